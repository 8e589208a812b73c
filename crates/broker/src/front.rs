//! Where requests of clients come in: to the engine's handlers, to the control plane, or nowhere.

use std::sync::{Arc, OnceLock};

use tern_net::{Connection, Credit, Handler};
use tern_wire::Command;
use tern_wire::codes::response;

use crate::node::NodeEvents;
use crate::refused::Refused;
use crate::requests::{Families, Incoming};
use crate::routes::{self, Lane};
use crate::services::Services;

/// The handler of both client ports.
pub struct Front {
    serving: Arc<OnceLock<Arc<Services>>>,
    families: OnceLock<Families>,
    events: Arc<dyn NodeEvents>,
    control_codes: Vec<i32>,
}

impl Front {
    /// `serving` is filled when the replica begins to serve; `control_codes` are answered by the control plane.
    pub fn new(
        serving: Arc<OnceLock<Arc<Services>>>,
        events: Arc<dyn NodeEvents>,
        control_codes: &[i32],
    ) -> Self {
        let mut control_codes = control_codes.to_vec();
        control_codes.sort_unstable();
        Self {
            serving,
            families: OnceLock::new(),
            events,
            control_codes,
        }
    }

    /// Whether views can be shown. What waits for a fresh read or for its place in the log waits for them anyway.
    fn has_replayed(&self) -> bool {
        let services = self.serving.get();
        services.is_some_and(|services| services.views.have_replayed())
    }

    fn families(&self) -> Option<&Families> {
        if let Some(families) = self.families.get() {
            return Some(families);
        }
        let services = self.serving.get()?;
        Some(self.families.get_or_init(|| Families::new(services)))
    }
}

impl Handler for Front {
    fn opened(&self, _: &Arc<Connection>) {}

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        let code = command.code;
        let Some(route) = routes::find(code) else {
            if self.control_codes.binary_search(&code).is_ok() {
                self.events.request(connection, command, credit);
            } else {
                Incoming::new(connection, command, credit)
                    .reply
                    .refuse_now(unknown(code));
            }
            return;
        };
        let incoming = Incoming::new(connection, command, credit);
        match self.families() {
            Some(families) if route.lane != Lane::View || self.has_replayed() => {
                (route.handle)(families, incoming);
            }
            _ => incoming.reply.refuse_now(not_yet()),
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        // Nobody is registered before there are families.
        if let Some(families) = self.families.get() {
            families.members.closed(connection);
        }
        self.events.closed(connection);
    }
}

/// The blank at the beginning is RocketMQ's.
fn unknown(code: i32) -> Refused {
    Refused::new(
        response::REQUEST_CODE_NOT_SUPPORTED,
        format!(" request type {code} not supported"),
    )
}

fn not_yet() -> Refused {
    Refused::new(
        response::SERVICE_NOT_AVAILABLE,
        "service not available now: this replica has started and does not serve yet, its group is being founded or \
         its log is being read",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, Client, NoEvents, leading};
    use tern_state::{GroupConfig, Op, PutGroup};
    use tern_wire::codes::request;
    use tern_wire::headers::{PullRequest, QueueRequest};
    use tern_wire::sys_flag::pull as flags;

    fn pull() -> Command {
        let mut command = Command::request(request::PULL_MESSAGE, 1);
        PullRequest {
            consumer_group: "CG",
            topic: "BenchmarkTest",
            queue_id: 0,
            queue_offset: 0,
            max_messages: 32,
            sys_flag: flags::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            subscription_version: 0,
            expression_type: None,
            max_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        }
        .encode(&mut command.fields);
        command
    }

    #[tokio::test]
    async fn views_that_are_being_rebuilt_are_not_shown() {
        let mut bench = Bench::new();
        bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: GroupConfig::new("CG"),
        })]);
        bench.commit_message("BenchmarkTest", 0, "", b"old");
        bench.views.replay_to(bench.views.applied_index() + 1);
        let serving = Arc::new(OnceLock::new());
        let _ = serving.set(Arc::new(bench.services(leading())));
        let front = Front::new(Arc::clone(&serving), Arc::new(NoEvents), &[]);
        let mut client = Client::connect().await;

        front.request(&client.connection, pull(), Credit::free());
        assert_eq!(client.answer().await.code, response::SERVICE_NOT_AVAILABLE);

        // What waits for a fresh read waits for the views.
        let mut asked = Command::request(request::GET_MAX_OFFSET, 2);
        QueueRequest {
            topic: "BenchmarkTest",
            queue_id: 0,
            committed: None,
        }
        .encode(&mut asked.fields);
        front.request(&client.connection, asked, Credit::free());
        assert!(bench.read().is_some());

        bench.commit_message("BenchmarkTest", 0, "", b"new");
        front.request(&client.connection, pull(), Credit::free());
        assert_eq!(client.answer().await.code, response::SUCCESS);
    }
}
