//! Clients that announce themselves: 34, 35, 38, and the push 40.
//!
//! Every replica takes heartbeats and answers them with 0. What follows from them is the leader's: it creates the
//! group and its retry topic, says who the members are, and tells them when they change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::Connection;
use tern_state::State;
use tern_wire::codes::{request, response};
use tern_wire::headers::{
    ConsumerListRequest, HeartbeatResponse, NotifyConsumerIdsChanged, UnregisterClient,
};
use tern_wire::names::check_group_from;
use tern_wire::{Command, Fields};
use tokio::runtime::Handle;

use super::reply::Incoming;
use crate::answers::Answers;
use crate::clients::{Caller, ClientRegistry, Members as MemberList, Said};
use crate::creations::{Creations, missing_of_group};
use crate::heartbeat::{ConsumerData, Heartbeat};
use crate::refused::Refused;
use crate::roles::RoleBoard;
use crate::services::{Services, Settings};
use crate::views::Views;

/// How often entries without heartbeats are looked for.
const SWEEP: Duration = Duration::from_secs(10);

static LEFT_OUT: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "heartbeat beyond the bounds of the client registry, partly left out",
);

/// Disputes that wait to be said; more are left out.
const MAX_DISPUTES: usize = 256;
/// A little longer than the time between two lines of one kind.
const DISPUTE_PAUSE: Duration = Duration::from_millis(1_100);

static DISPUTE: RateLimitedLog = RateLimitedLog::new(
    Logger::Broker,
    Level::Warning,
    "one group, several subscriptions",
);

/// Keeps the client registry.
pub(crate) struct Members {
    settings: Settings,
    views: Arc<Views>,
    roles: Arc<RoleBoard>,
    clients: Arc<ClientRegistry>,
    creations: Arc<Creations>,
    last_opaque: AtomicI32,
    runtime: Handle,
    /// Disputes that are still to be said.
    disputes: Mutex<Disputes>,
}

/// A queue of lines, and whether somebody says them.
#[derive(Default)]
struct Disputes {
    lines: VecDeque<(Arc<str>, String)>,
    is_said: bool,
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
            runtime: services.runtime.clone(),
            disputes: Mutex::default(),
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
            LEFT_OUT.log(
                connection.peer(),
                format_args!("{} entries", beaten.left_out),
            );
        }
        if self.roles.view().leads() {
            self.say_disputes(beaten.disputes);
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
        let members = self.clients.members(header.consumer_group);
        if members.is_empty() {
            let remark = format!("no consumer for this group, {}", header.consumer_group);
            return Err(Refused::new(response::SYSTEM_ERROR, remark));
        }
        Ok(incoming
            .reply
            .command(response::SUCCESS)
            .with_body(list_of(&members, header.with_subscriptions == Some(true))))
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

    /// One after the other, no faster than such lines are written: what is said once must not be left out.
    fn say_disputes(self: &Arc<Self>, disputes: Vec<(Arc<str>, String)>) {
        let mut waiting = self.disputes.lock();
        let room = MAX_DISPUTES.saturating_sub(waiting.lines.len());
        waiting.lines.extend(disputes.into_iter().take(room));
        if waiting.lines.is_empty() || std::mem::replace(&mut waiting.is_said, true) {
            return;
        }
        drop(waiting);
        self.runtime.spawn(say_all(Arc::downgrade(self)));
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

/// `{"consumerIdList":[…]}`, and for clients that ask for it what each of them subscribes to: the different sets, and
/// for each id the place of its set, -1 where it is not known.
fn list_of(members: &MemberList, with_subscriptions: bool) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        consumer_id_list: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        set_of_consumer: Option<Vec<i32>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription_sets: Option<Vec<Set<'a>>>,
    }
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Set<'a> {
        shares_by_topic: bool,
        subscriptions: BTreeMap<&'a str, &'a str>,
    }
    let mut body = Body {
        consumer_id_list: members.iter().map(|(id, _)| &**id).collect(),
        set_of_consumer: None,
        subscription_sets: None,
    };
    if with_subscriptions {
        let mut sets: Vec<&Said> = Vec::new();
        let places = members.iter().map(|(_, said)| {
            let Some(said) = said.as_deref() else {
                return -1;
            };
            let place = sets.iter().position(|known| std::ptr::eq(*known, said));
            let place = place.unwrap_or_else(|| {
                sets.push(said);
                sets.len() - 1
            });
            i32::try_from(place).unwrap_or(-1)
        });
        body.set_of_consumer = Some(places.collect());
        let sets = sets.into_iter().map(|said| Set {
            shares_by_topic: said.shares_by_topic,
            subscriptions: said
                .topics
                .iter()
                .map(|(topic, filter)| (&**topic, &**filter))
                .collect(),
        });
        body.subscription_sets = Some(sets.collect());
    }
    serde_json::to_vec(&body).expect("strings are always JSON")
}

async fn say_all(members: Weak<Members>) {
    while let Some(members) = members.upgrade() {
        {
            let mut waiting = members.disputes.lock();
            let Some((group, what)) = waiting.lines.pop_front() else {
                waiting.is_said = false;
                return;
            };
            DISPUTE.log(group, what);
        }
        drop(members);
        tokio::time::sleep(DISPUTE_PAUSE).await;
    }
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

    fn said(body: &str) -> Option<Arc<Said>> {
        let beat = Heartbeat::parse(body.as_bytes()).expect("a heartbeat");
        Said::read(&beat.consumer_data_set[0]).map(Arc::new)
    }

    #[test]
    fn a_member_list_is_the_json_of_rocketmq() {
        let members = vec![(Arc::from("10.0.0.1@7"), None), (Arc::from("x\"y"), None)];
        assert_eq!(
            list_of(&members, false),
            br#"{"consumerIdList":["10.0.0.1@7","x\"y"]}"#
        );
    }

    #[test]
    fn who_asks_for_subscriptions_gets_each_set_once() {
        let ours = said(
            r#"{"consumerDataSet":[{"groupName":"g","sharesByTopic":true,"subscriptionDataSet":[
            {"topic":"T","subString":"b||a"},{"topic":"%RETRY%g","subString":"*"}]}]}"#,
        );
        let java = said(r#"{"consumerDataSet":[{"groupName":"g","subscriptionDataSet":[]}]}"#);
        let members = vec![
            (Arc::from("a"), java),
            (Arc::from("b"), ours.clone()),
            (Arc::from("c"), None),
            (Arc::from("d"), ours),
        ];
        let text = String::from_utf8(list_of(&members, true)).expect("JSON is text");
        assert_eq!(
            text,
            concat!(
                r#"{"consumerIdList":["a","b","c","d"],"setOfConsumer":[0,1,-1,1],"subscriptionSets":["#,
                r#"{"sharesByTopic":false,"subscriptions":{}},"#,
                r#"{"sharesByTopic":true,"subscriptions":{"%RETRY%g":"*","T":"a || b"}}]}"#,
            )
        );
    }
}
