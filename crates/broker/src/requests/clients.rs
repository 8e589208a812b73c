//! Clients that announce themselves: 34, 35, 38, and the push 40.
//!
//! Every replica takes heartbeats and answers them with 0. What follows from them is the leader's: it creates the
//! group and its retry topic, says who the members are, and tells them when they change.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tern_net::{Complaint, Connection, Level, Logger};
use tern_state::State;
use tern_wire::codes::{request, response};
use tern_wire::headers::{
    ConsumerListRequest, HeartbeatResponse, NotifyConsumerIdsChanged, UnregisterClient,
};
use tern_wire::names::check_group_from;
use tern_wire::{Command, Fields};

use super::reply::Incoming;
use crate::answers::Answers;
use crate::clients::{Caller, ClientRegistry};
use crate::creations::{Creations, missing_of_group};
use crate::heartbeat::{ConsumerData, Heartbeat};
use crate::refused::Refused;
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;

/// How often entries without heartbeats are looked for.
const SWEEP: Duration = Duration::from_secs(10);

static LEFT_OUT: Complaint = Complaint::new(
    Logger::Broker,
    Level::Warning,
    "heartbeat beyond the bounds of the client registry, partly left out",
);

/// Keeps the client registry.
pub(crate) struct Members {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    clients: Arc<ClientRegistry>,
    creations: Arc<Creations>,
    last_opaque: AtomicI32,
}

impl Members {
    /// Starts the task that removes clients which have gone silent; it ends with the last user.
    pub fn start(services: &Services) -> Arc<Self> {
        let members = Arc::new(Self {
            settings: services.settings.clone(),
            views: Arc::clone(&services.views),
            roles: Arc::clone(&services.roles),
            clients: Arc::clone(&services.clients),
            creations: Arc::clone(&services.creations),
            last_opaque: AtomicI32::new(0),
        });
        services.runtime.spawn(sweep(Arc::downgrade(&members)));
        members
    }

    /// 34: a client is alive, and these are its groups.
    pub fn heartbeat(self: &Arc<Self>, incoming: Incoming) {
        let beat = match Heartbeat::parse(&incoming.command.body) {
            Ok(beat) => beat,
            Err(error) => {
                let remark = format!("the body is no heartbeat: {error}");
                return incoming
                    .reply
                    .refuse_now(Refused::new(response::SYSTEM_ERROR, remark));
            }
        };
        let connection = incoming.reply.connection();
        let caller = Caller {
            id: connection.id(),
            connection: Arc::clone(connection),
            language: incoming.command.language,
            version: incoming.command.version,
        };
        let beaten = self.clients.beat(&caller, &beat, Instant::now());
        if beaten.left_out > 0 {
            LEFT_OUT.say(
                connection.peer(),
                format_args!("{} entries", beaten.left_out),
            );
        }
        self.notify(&beaten.changed);
        self.create_groups(&beat, incoming.command.version);
        let mut fields = Fields::with_capacity(64);
        let response = HeartbeatResponse {
            supports_v2: Some(true),
            // Who sends subscriptions each time is always told to; others learn whether theirs are known.
            subscription_changed: Some(!beat.without_sub || beaten.wants_subscriptions),
        };
        response.encode(&mut fields);
        let answer = incoming.reply.with_fields(response::SUCCESS, fields);
        incoming.reply.send(answer);
    }

    /// 35: a client leaves groups.
    pub fn unregister(&self, incoming: Incoming) {
        let header = match UnregisterClient::decode(&incoming.command.fields) {
            Ok(header) => header,
            Err(error) => return incoming.reply.refuse_now(error.into()),
        };
        let id = incoming.reply.connection().id();
        let changed = self
            .clients
            .leave(id, header.producer_group, header.consumer_group);
        self.notify(changed.as_slice());
        let answer = incoming.reply.command(response::SUCCESS);
        incoming.reply.send(answer);
    }

    /// 38: who is in this group? Only the leader says so; without an answer clients keep their assignment.
    pub fn list(&self, incoming: Incoming) {
        let answer = self.members(&incoming);
        match answer {
            Ok(answer) => incoming.reply.send(answer),
            Err(refused) => incoming.reply.refuse_now(refused),
        }
    }

    fn members(&self, incoming: &Incoming) -> Result<Command, Refused> {
        let header = ConsumerListRequest::decode(&incoming.command.fields)?;
        let role = self.roles.view();
        if !role.leads() {
            return Err(Refused::not_leader(&role).with_code(response::SYSTEM_ERROR));
        }
        let ids = self.clients.members(header.consumer_group);
        if ids.is_empty() {
            let remark = format!("no consumer for this group, {}", header.consumer_group);
            return Err(Refused::new(response::SYSTEM_ERROR, remark));
        }
        Ok(incoming
            .reply
            .command(response::SUCCESS)
            .with_body(id_list(&ids)))
    }

    /// A connection ended: its clients are gone at once.
    pub fn closed(&self, connection: &Connection) {
        let changed = self.clients.closed(connection.id());
        self.notify(&changed);
    }

    /// 40 to the members of groups that changed.
    fn notify(&self, groups: &[Arc<str>]) {
        if groups.is_empty() || !self.roles.view().leads() {
            return;
        }
        for group in groups {
            let state = self.views.state();
            if state
                .group(group)
                .is_some_and(|group| !group.notify_consumer_ids_changed_enable)
            {
                continue;
            }
            for connection in self.clients.connections(group) {
                let opaque = self.last_opaque.fetch_add(1, Ordering::Relaxed);
                let mut push =
                    Command::request(request::NOTIFY_CONSUMER_IDS_CHANGED, opaque).one_way();
                NotifyConsumerIdsChanged {
                    consumer_group: group,
                }
                .encode(&mut push.fields);
                connection.send_command(push);
            }
        }
    }

    fn create_groups(&self, beat: &Heartbeat, client_version: i32) {
        if !self.roles.view().leads() {
            return;
        }
        let state = self.views.state();
        let mut answers = Answers::default();
        for consumer in &beat.consumer_data_set {
            let name = &*consumer.group_name;
            let order = subscribes_to_ordered_topic(&state, consumer);
            if check_group_from(name, client_version).is_err()
                || missing_of_group(&state, name, consumer.unit_mode, order).is_empty()
            {
                continue;
            }
            if state.group(name).is_some() || self.settings.creates_group(name) {
                let shape = (consumer.unit_mode, order);
                // Nobody waits for it: the next heartbeat tries again.
                self.creations
                    .group(Arc::from(name), shape, Box::new(|_, _| {}), &mut answers);
            }
        }
        answers.flush();
    }
}

fn subscribes_to_ordered_topic(state: &State, consumer: &ConsumerData) -> bool {
    let mut topics = consumer.subscription_data_set.iter();
    topics.any(|subscription| {
        state
            .topic(&subscription.topic)
            .is_some_and(|topic| topic.config.order)
    })
}

/// `{"consumerIdList":[…]}`
fn id_list(ids: &[Arc<str>]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        consumer_id_list: Vec<&'a str>,
    }
    let body = Body {
        consumer_id_list: ids.iter().map(|id| &**id).collect(),
    };
    serde_json::to_vec(&body).expect("strings are always JSON")
}

async fn sweep(members: Weak<Members>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(members) = members.upgrade() else {
            return;
        };
        let changed = members.clients.expire(Instant::now());
        members.notify(&changed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_list_is_the_json_of_rocketmq() {
        let ids = [Arc::from("10.0.0.1@7"), Arc::from("x\"y")];
        assert_eq!(
            id_list(&ids),
            br#"{"consumerIdList":["10.0.0.1@7","x\"y"]}"#
        );
    }
}
