//! Clients that announce themselves: 34, 35, 38.
//!
//! Every replica takes heartbeats and answers them with 0. What follows from them is the leader's: it creates the
//! group and its retry topic, says who the members are, and tells them when they change.

use std::collections::BTreeMap;
use std::sync::Arc;

use tern_state::State;
use tern_wire::codes::response;
use tern_wire::headers::{ConsumerListRequest, HeartbeatResponse, UnregisterClient};
use tern_wire::names::check_group_from;
use tern_wire::{Command, Fields};

use super::effects::{Effects, HeartbeatEffects, MissingGroup};
use super::handler::{ClientRequest, NotServed, RequestHandler, Response, Verdict, View};
use crate::creation::missing_of_group;
use crate::registry::heartbeat::{ConsumerData, Heartbeat};
use crate::registry::listing::MemberSubscriptions;
use crate::registry::{Caller, SubscriptionSet};
use crate::request_error::RequestError;

/// 34: a client is alive, and these are its groups.
pub struct HeartbeatHandler;

impl RequestHandler for HeartbeatHandler {
    type Header<'a> = Heartbeat;
    type Pending = ();

    fn decode(command: &Command) -> Result<Heartbeat, RequestError> {
        Heartbeat::parse(&command.body).map_err(|error| {
            let remark = format!("the body is no heartbeat: {error}");
            RequestError::new(response::SYSTEM_ERROR, remark)
        })
    }

    fn judge(
        heartbeat: &Heartbeat,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        effects: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let caller = Caller {
            connection: request.connection,
            peer: request.peer,
            language: request.command.language,
            version: request.command.version,
        };
        let result = view
            .clients
            .on_heartbeat(&caller, heartbeat, view.clock.monotonic_ms());
        effects.changed_groups = result.changed;
        effects.heartbeat = Some(Box::new(HeartbeatEffects {
            disputes: result.disputes,
            missing_groups: missing_groups(heartbeat, request.command.version, view),
            left_out: result.left_out,
        }));
        let mut fields = Fields::with_capacity(64);
        let response = HeartbeatResponse {
            supports_v2: Some(true),
            // A client that sends its subscriptions each time is always told to go on; others learn whether theirs are
            // known.
            subscription_changed: Some(!heartbeat.without_sub || result.wants_subscriptions),
        };
        response.encode(&mut fields);
        Ok(Verdict::Answer(Response::with_fields(
            response::SUCCESS,
            fields,
        )))
    }
}

/// 35: a client leaves groups.
pub struct UnregisterClientHandler;

impl RequestHandler for UnregisterClientHandler {
    type Header<'a> = UnregisterClient<'a>;
    type Pending = ();

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(UnregisterClient::decode(&command.fields)?)
    }

    fn judge(
        header: &Self::Header<'_>,
        request: &ClientRequest<'_>,
        view: &View<'_>,
        effects: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let (producers, consumers) = (header.producer_group, header.consumer_group);
        let changed = view.clients.leave(request.connection, producers, consumers);
        effects.changed_groups.extend(changed);
        Ok(Verdict::Answer(Response::new(response::SUCCESS)))
    }
}

/// 38: who is in this group? Only the leader says so; without an answer clients keep their assignment.
pub struct ConsumerListHandler;

impl RequestHandler for ConsumerListHandler {
    type Header<'a> = ConsumerListRequest<'a>;
    type Pending = ();

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(ConsumerListRequest::decode(&command.fields)?)
    }

    fn judge(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        if !view.leads() && !view.role.reads_alone() {
            let error = RequestError::not_leader(&view.role);
            return Err(error.with_code(response::SYSTEM_ERROR).into());
        }
        let members = view.clients.members(header.consumer_group);
        if members.is_empty() {
            let remark = format!("no consumer for this group, {}", header.consumer_group);
            return Err(RequestError::new(response::SYSTEM_ERROR, remark).into());
        }
        let list = list_of(&members, header.with_subscriptions == Some(true));
        let answer = Response::new(response::SUCCESS).with_body(list);
        Ok(Verdict::Answer(answer))
    }
}

/// The groups of a heartbeat that the state lacks, or lacks a part of, and that come into being by use.
fn missing_groups(heartbeat: &Heartbeat, version: i32, view: &View<'_>) -> Vec<MissingGroup> {
    if !view.leads() {
        return Vec::new();
    }
    let missing = |consumer: &ConsumerData| {
        let (name, unit) = (&*consumer.group_name, consumer.unit_mode);
        let order = subscribes_to_ordered_topic(&view.state, consumer);
        if check_group_from(name, version).is_err()
            || missing_of_group(&view.state, name, (unit, order), 0).is_empty()
        {
            return None;
        }
        let may_be = view.state.group(name).is_some() || view.settings.creates_group(name);
        may_be.then(|| MissingGroup {
            name: Arc::from(name),
            unit,
            order,
        })
    };
    let consumers = heartbeat.consumer_data_set.iter();
    consumers.filter_map(missing).collect()
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
/// for each id the index of its set, -1 where it is not known.
fn list_of(members: &MemberSubscriptions, with_subscriptions: bool) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ConsumerListBody<'a> {
        consumer_id_list: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        set_of_consumer: Option<Vec<i32>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription_sets: Option<Vec<SubscriptionSetBody<'a>>>,
    }
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct SubscriptionSetBody<'a> {
        shares_by_topic: bool,
        subscriptions: BTreeMap<&'a str, &'a str>,
    }
    let mut body = ConsumerListBody {
        consumer_id_list: members.iter().map(|(id, _)| &**id).collect(),
        set_of_consumer: None,
        subscription_sets: None,
    };
    if with_subscriptions {
        let mut sets: Vec<&SubscriptionSet> = Vec::new();
        let indexes = members.iter().map(|(_, said)| {
            let Some(said) = said.as_deref() else {
                return -1;
            };
            let index = sets.iter().position(|known| std::ptr::eq(*known, said));
            let index = index.unwrap_or_else(|| {
                sets.push(said);
                sets.len() - 1
            });
            i32::try_from(index).unwrap_or(-1)
        });
        body.set_of_consumer = Some(indexes.collect());
        let sets = sets.into_iter().map(|said| SubscriptionSetBody {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Option<Arc<SubscriptionSet>> {
        let beat = Heartbeat::parse(body.as_bytes()).expect("a heartbeat");
        SubscriptionSet::read(&beat.consumer_data_set[0]).map(Arc::new)
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
