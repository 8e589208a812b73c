//! Where requests of clients come in: to the engine's handlers, to the control plane, or nowhere.

use std::sync::{Arc, OnceLock};

use tern_net::{Connection, Credit, Handler};
use tern_requests::{RequestError, is_ready};
use tern_wire::Command;
use tern_wire::codes::response;

use crate::events::NodeEvents;
use crate::requests::{Driver, RequestContext};
use crate::routes::{self, WaitsFor};
use crate::services::Services;

/// The handler of both client ports.
pub struct RequestDispatcher {
    serving: Arc<OnceLock<Arc<Services>>>,
    driver: OnceLock<Arc<Driver>>,
    events: Arc<dyn NodeEvents>,
    control_codes: Vec<i32>,
}

impl RequestDispatcher {
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
            driver: OnceLock::new(),
            events,
            control_codes,
        }
    }

    /// The driver, if this request can be served by now.
    fn driver_for(&self, waits_for: WaitsFor) -> Option<&Arc<Driver>> {
        let services = self.serving.get()?;
        if !is_ready(waits_for, &services.views) {
            return None;
        }
        Some(self.driver.get_or_init(|| Driver::start(services)))
    }
}

impl Handler for RequestDispatcher {
    fn opened(&self, _: &Arc<Connection>) {}

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        let code = command.code;
        match routes::find(code) {
            Some(route) => {
                let context = RequestContext::new(connection, command, credit, route.waits_for);
                match self.driver_for(route.waits_for) {
                    Some(driver) => (route.serve)(driver, context),
                    None => context.responder.refuse(RequestError::not_yet()),
                }
            }
            None if self.control_codes.binary_search(&code).is_ok() => {
                self.events.request(connection, command, credit);
            }
            None => RequestContext::new(connection, command, credit, WaitsFor::Memory)
                .responder
                .refuse(unknown(code)),
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        // No client is registered before there is a driver.
        if let Some(driver) = self.driver.get() {
            driver.closed(connection);
        }
        self.events.closed(connection);
    }
}

/// The blank at the beginning is RocketMQ's.
fn unknown(code: i32) -> RequestError {
    RequestError::new(
        response::REQUEST_CODE_NOT_SUPPORTED,
        format!(" request type {code} not supported"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NoEvents, ReplicaBench, TestClient, leading};
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
        let mut bench = ReplicaBench::new();
        bench.commit_ops(&[Op::PutGroup(PutGroup {
            changed_at_ms: 1,
            config: GroupConfig::new("CG"),
        })]);
        bench.commit_message("BenchmarkTest", 0, "", b"old");
        bench.views.replay_to(bench.views.applied_index() + 1);
        let serving = Arc::new(OnceLock::new());
        let _ = serving.set(Arc::new(bench.services(leading())));
        let dispatcher = RequestDispatcher::new(Arc::clone(&serving), Arc::new(NoEvents), &[]);
        let mut client = TestClient::connect().await;

        dispatcher.request(&client.connection, pull(), Credit::free());
        assert_eq!(client.answer().await.code, response::SERVICE_NOT_AVAILABLE);

        // What waits for ReadIndex waits for the views.
        let mut asked = Command::request(request::GET_MAX_OFFSET, 2);
        QueueRequest {
            topic: "BenchmarkTest",
            queue_id: 0,
            committed: None,
        }
        .encode(&mut asked.fields);
        dispatcher.request(&client.connection, asked, Credit::free());
        assert!(bench.read().is_some());

        bench.commit_message("BenchmarkTest", 0, "", b"new");
        dispatcher.request(&client.connection, pull(), Credit::free());
        assert_eq!(client.answer().await.code, response::SUCCESS);
    }
}
