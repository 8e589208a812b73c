//! Who is connected: producers and consumers by group and connection, with what the consumers subscribe to.
//!
//! In memory, on every replica, not in the log: clients send heartbeats to all replicas, so that a new leader knows
//! its members. Bounded in entries and in bytes. An entry goes with its connection, or 120 s after the last
//! heartbeat.

mod bounds;
pub mod heartbeat;
pub mod listing;
mod members;
mod subscription_set;
mod subscriptions;
mod tables;

use std::sync::Arc;

use parking_lot::Mutex;
use tern_wire::tags::Subscription;

use heartbeat::{Heartbeat, MessageModel};
pub use members::Caller;
pub use subscription_set::SubscriptionSet;
pub use tables::HeartbeatResult;
use tables::Tables;

/// How long an entry lives without a heartbeat, ms.
const EXPIRY_MS: u64 = 120_000;

/// What a group subscribes to of a topic.
#[derive(Debug, Clone)]
pub enum Subscribed {
    /// No consumer of the group is registered.
    NoGroup,
    /// The group is registered without the topic.
    NoTopic {
        /// Its model.
        model: MessageModel,
    },
    /// The subscription.
    To {
        /// The model of the group.
        model: MessageModel,
        /// Version that the client gave it.
        version: i64,
        /// The filter; `None` for a kind of expression that is not served.
        filter: Option<Arc<Subscription>>,
    },
}

/// The registry.
pub struct ClientRegistry {
    tables: Mutex<Tables>,
}

impl Default for ClientRegistry {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientRegistry {
    /// Nobody yet.
    pub fn new() -> Self {
        Self {
            tables: Mutex::new(Tables::new()),
        }
    }

    /// Take a heartbeat, at a time of the monotonic clock, ms. Groups whose names are not names are left out.
    pub fn on_heartbeat(
        &self,
        caller: &Caller,
        heartbeat: &Heartbeat,
        now_ms: u64,
    ) -> HeartbeatResult {
        let mut tables = self.tables.lock();
        let mut result = HeartbeatResult::default();
        for producer in &heartbeat.producer_data_set {
            if !tables.add_producer(caller, &heartbeat.client_id, &producer.group_name, now_ms) {
                result.left_out += 1;
            }
        }
        for consumer in &heartbeat.consumer_data_set {
            tables.add_consumer(caller, heartbeat, consumer, now_ms, &mut result);
        }
        result
    }

    /// A client leaves groups by itself. Returns the consumer group if it changed.
    pub fn leave(
        &self,
        id: u64,
        producer_group: Option<&str>,
        consumer_group: Option<&str>,
    ) -> Option<Arc<str>> {
        let mut tables = self.tables.lock();
        if let Some(group) = producer_group {
            tables.remove_producer(id, group);
        }
        let changed = consumer_group.and_then(|group| tables.remove_consumer(id, group));
        if let Some(groups) = tables.connections.get_mut(&id) {
            groups
                .consumers
                .retain(|name| Some(&**name) != consumer_group);
            groups
                .producers
                .retain(|name| Some(&**name) != producer_group);
        }
        changed
    }

    /// A connection ended. Returns the consumer groups that changed.
    pub fn closed(&self, id: u64) -> Vec<Arc<str>> {
        let mut tables = self.tables.lock();
        let Some(groups) = tables.connections.remove(&id) else {
            return Vec::new();
        };
        for group in &groups.producers {
            tables.remove_producer(id, group);
        }
        let changed = groups
            .consumers
            .iter()
            .filter_map(|group| tables.remove_consumer(id, group));
        changed.collect()
    }

    /// Remove entries without a heartbeat for 120 s. Returns the consumer groups that changed.
    pub fn expire(&self, now_ms: u64) -> Vec<Arc<str>> {
        let mut tables = self.tables.lock();
        let old = |seen_ms: u64| now_ms.saturating_sub(seen_ms) > EXPIRY_MS;
        let mut gone = Vec::new();
        for (group, members) in &tables.producers {
            gone.extend(
                members
                    .iter()
                    .filter(|(_, member)| old(member.seen_ms))
                    .map(|(id, _)| (*id, Arc::clone(group))),
            );
        }
        for (id, group) in gone.drain(..) {
            tables.remove_producer(id, &group);
            tables.forget(id, |groups| &mut groups.producers, &group);
        }
        for (name, group) in &tables.consumers {
            let expired = group
                .members
                .iter()
                .filter(|(_, member)| old(member.seen_ms));
            gone.extend(expired.map(|(id, _)| (*id, Arc::clone(name))));
        }
        let mut changed = Vec::new();
        for (id, group) in gone {
            changed.extend(tables.remove_consumer(id, &group));
            tables.forget(id, |groups| &mut groups.consumers, &group);
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// Numbers of the connections of a group's members.
    pub fn connections(&self, group: &str) -> Vec<u64> {
        let tables = self.tables.lock();
        let members = tables.consumers.get(group).into_iter();
        members
            .flat_map(|group| group.members.keys())
            .copied()
            .collect()
    }

    /// What a group subscribes to of a topic.
    pub fn subscribed(&self, group: &str, topic: &str) -> Subscribed {
        let tables = self.tables.lock();
        let Some(group) = tables.consumers.get(group) else {
            return Subscribed::NoGroup;
        };
        let model = group.model;
        match group.subscriptions.get(topic) {
            None => Subscribed::NoTopic { model },
            Some(subscription) => Subscribed::To {
                model,
                version: subscription.version,
                filter: subscription.filter.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::bounds::{
        MAX_GROUPS_OF_CONNECTION, MAX_SETS_OF_GROUP, MAX_SUBSCRIPTION_BYTES, MAX_TOPICS_OF_GROUP,
    };
    use super::heartbeat::{ConsumerData, SubscriptionData};
    use super::*;
    use tern_wire::Language;

    fn caller(id: u64) -> Caller {
        Caller {
            connection: id,
            peer: SocketAddr::from(([127, 0, 0, 1], 10_000 + id as u16)),
            language: Language::GO,
            version: 513,
        }
    }

    fn beat(client: &str, group: &str, topics: &[(&str, &str, i64)]) -> Heartbeat {
        let subscription = |(topic, expression, version): &(&str, &str, i64)| SubscriptionData {
            topic: (*topic).to_owned(),
            sub_string: (*expression).to_owned(),
            sub_version: *version,
            ..SubscriptionData::default()
        };
        Heartbeat {
            client_id: client.to_owned(),
            consumer_data_set: vec![ConsumerData {
                group_name: group.to_owned(),
                subscription_data_set: topics.iter().map(subscription).collect(),
                ..ConsumerData::default()
            }],
            ..Heartbeat::default()
        }
    }

    fn ids(registry: &ClientRegistry, group: &str) -> Vec<Arc<str>> {
        let members = registry.members(group);
        members.into_iter().map(|(id, _)| id).collect()
    }

    fn changed(result: &HeartbeatResult) -> Vec<&str> {
        result.changed.iter().map(|name| &**name).collect()
    }

    #[test]
    fn a_group_hears_of_new_members_and_of_new_subscriptions_only() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        let topics = [("T", "*", 1)];
        assert_eq!(
            changed(&registry.on_heartbeat(&caller(1), &beat("a", "g", &topics), now)),
            ["g"]
        );
        assert!(
            registry
                .on_heartbeat(&caller(1), &beat("a", "g", &topics), now)
                .changed
                .is_empty()
        );
        assert_eq!(
            changed(&registry.on_heartbeat(&caller(2), &beat("b", "g", &topics), now)),
            ["g"]
        );
        assert!(
            registry
                .on_heartbeat(&caller(2), &beat("b", "g", &[("T", "*", 2)]), now)
                .changed
                .is_empty()
        );
        assert_eq!(
            changed(&registry.on_heartbeat(&caller(2), &beat("b", "g", &[("T", "x", 3)]), now)),
            ["g"]
        );
        assert_eq!(ids(&registry, "g").len(), 2);
        assert_eq!(registry.connections("g").len(), 2);
    }

    #[test]
    fn a_closed_connection_is_out_of_all_its_groups_at_once() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        registry.on_heartbeat(&caller(1), &beat("a", "g", &[]), now);
        registry.on_heartbeat(&caller(1), &beat("a", "h", &[]), now);
        registry.on_heartbeat(&caller(2), &beat("b", "g", &[]), now);
        let mut gone = registry.closed(1);
        gone.sort_unstable();
        assert_eq!(gone, [Arc::from("g"), Arc::from("h")]);
        assert_eq!(ids(&registry, "g"), [Arc::from("b")]);
        assert!(ids(&registry, "h").is_empty());
        assert!(registry.closed(1).is_empty());
        let tables = registry.tables.lock();
        assert_eq!((tables.entries, tables.connections.len()), (1, 1));
    }

    #[test]
    fn a_member_without_heartbeats_is_removed_after_two_minutes() {
        let registry = ClientRegistry::new();
        let start = 1_000;
        let mut both = beat("a", "g", &[("T", "*", 1)]);
        both.producer_data_set
            .push(crate::registry::heartbeat::ProducerData {
                group_name: "p".to_owned(),
            });
        registry.on_heartbeat(&caller(1), &both, start);
        registry.on_heartbeat(&caller(2), &beat("b", "g", &[]), start + 60_000);
        assert!(registry.expire(start + EXPIRY_MS).is_empty());
        assert_eq!(registry.expire(start + EXPIRY_MS + 1_000), [Arc::from("g")]);
        assert_eq!(ids(&registry, "g"), [Arc::from("b")]);
        assert!(registry.tables.lock().producers.is_empty());
        assert_eq!(registry.closed(2), [Arc::from("g")]);
        let tables = registry.tables.lock();
        assert_eq!(
            (
                tables.entries,
                tables.subscription_bytes,
                tables.connections.len()
            ),
            (0, 0, 0)
        );
    }

    #[test]
    fn an_older_subscription_replaces_nothing_and_a_missing_one_goes() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        registry.on_heartbeat(
            &caller(1),
            &beat("a", "g", &[("T", "x", 5), ("U", "*", 5)]),
            now,
        );
        registry.on_heartbeat(&caller(1), &beat("a", "g", &[("T", "y", 4)]), now);
        registry.on_heartbeat(&caller(1), &beat("a", "g", &[("T", "z", 5)]), now);
        let Subscribed::To {
            version: 5,
            filter: Some(filter),
            ..
        } = registry.subscribed("g", "T")
        else {
            panic!("the newer subscription stays");
        };
        assert!(filter.matches(tern_wire::tags::tags_code("x")));
        assert!(matches!(
            registry.subscribed("g", "U"),
            Subscribed::NoTopic { .. }
        ));
        assert!(matches!(registry.subscribed("h", "U"), Subscribed::NoGroup));
    }

    #[test]
    fn members_with_other_topics_leave_each_other_theirs_and_nobody_is_told_again() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        let (one, two) = (
            beat("a", "g", &[("T", "*", 5)]),
            beat("b", "g", &[("U", "*", 5)]),
        );
        registry.on_heartbeat(&caller(1), &one, now);
        registry.on_heartbeat(&caller(2), &two, now);
        for _ in 0..2 {
            assert_eq!(
                registry.on_heartbeat(&caller(1), &one, now),
                HeartbeatResult::default()
            );
            assert_eq!(
                registry.on_heartbeat(&caller(2), &two, now),
                HeartbeatResult::default()
            );
        }
        for topic in ["T", "U"] {
            assert!(matches!(
                registry.subscribed("g", topic),
                Subscribed::To { .. }
            ));
        }
        registry.closed(2);
        registry.on_heartbeat(
            &caller(1),
            &beat("a", "g", &[("T", "*", 5), ("V", "*", 5)]),
            now,
        );
        assert!(matches!(
            registry.subscribed("g", "U"),
            Subscribed::NoTopic { .. }
        ));
    }

    #[test]
    fn a_dispute_is_told_once_and_again_when_its_sides_change() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        let filter = |client: &str, filter: &str| beat(client, "g", &[("T", filter, 1)]);
        let told = |result: HeartbeatResult| result.disputes.len();
        assert_eq!(
            told(registry.on_heartbeat(&caller(1), &filter("a", "x"), now)),
            0
        );
        assert_eq!(
            told(registry.on_heartbeat(&caller(2), &filter("b", "y"), now)),
            1
        );
        assert_eq!(
            told(registry.on_heartbeat(&caller(1), &filter("a", "x"), now)),
            0
        );
        assert_eq!(
            told(registry.on_heartbeat(&caller(2), &filter("b", "y"), now)),
            0
        );
        assert_eq!(
            told(registry.on_heartbeat(&caller(3), &filter("c", "y"), now)),
            1
        );
        registry.closed(2);
        registry.closed(3);
        assert_eq!(
            told(registry.on_heartbeat(&caller(1), &filter("a", "x"), now)),
            0
        );
        assert_eq!(
            told(registry.on_heartbeat(&caller(2), &filter("b", "y"), now)),
            1
        );
    }

    #[test]
    fn what_many_members_say_is_kept_once_and_counted() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        let bytes = || registry.tables.lock().subscription_bytes;
        registry.on_heartbeat(&caller(0), &beat("0", "g", &[("T", "*", 1)]), now);
        let first = bytes();
        for id in 1..100 {
            let name = id.to_string();
            registry.on_heartbeat(&caller(id), &beat(&name, "g", &[("T", "*", 1)]), now);
        }
        assert_eq!(bytes(), first);
        for id in 100..300 {
            let filter = format!("tag{id}");
            registry.on_heartbeat(&caller(id), &beat(&filter, "g", &[("T", &filter, 1)]), now);
        }
        let known = registry
            .members("g")
            .iter()
            .filter(|(_, subscription_set)| subscription_set.is_some())
            .count();
        assert_eq!(known, 100 + MAX_SETS_OF_GROUP - 1);
        for id in 0..300 {
            registry.closed(id);
        }
        assert_eq!(bytes(), 0);
    }

    #[test]
    fn broadcasting_groups_are_not_told_of_their_members() {
        let registry = ClientRegistry::new();
        let mut data = beat("a", "g", &[("T", "*", 1)]);
        data.consumer_data_set[0].message_model = MessageModel::Broadcasting;
        assert!(
            registry
                .on_heartbeat(&caller(1), &data, 1_000)
                .changed
                .is_empty()
        );
        assert!(registry.closed(1).is_empty());
    }

    #[test]
    fn a_heartbeat_without_subscriptions_keeps_those_that_are_known() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        let mut short = beat("a", "g", &[]);
        (short.without_sub, short.fingerprint) = (true, 77);
        assert!(
            registry
                .on_heartbeat(&caller(1), &short, now)
                .wants_subscriptions
        );
        let mut full = beat("a", "g", &[("T", "*", 1)]);
        full.fingerprint = 77;
        assert!(
            !registry
                .on_heartbeat(&caller(1), &full, now)
                .wants_subscriptions
        );
        assert!(
            !registry
                .on_heartbeat(&caller(1), &short, now)
                .wants_subscriptions
        );
        assert!(matches!(
            registry.subscribed("g", "T"),
            Subscribed::To { .. }
        ));
        short.fingerprint = 78;
        assert!(
            registry
                .on_heartbeat(&caller(1), &short, now)
                .wants_subscriptions
        );
    }

    #[test]
    fn a_flood_of_groups_and_topics_ends_at_the_bounds() {
        let registry = ClientRegistry::new();
        let now = 1_000;
        for number in 0..MAX_GROUPS_OF_CONNECTION {
            assert_eq!(
                registry
                    .on_heartbeat(&caller(1), &beat("a", &format!("g{number}"), &[]), now)
                    .left_out,
                0
            );
        }
        assert_eq!(
            registry
                .on_heartbeat(&caller(1), &beat("a", "one-more", &[]), now)
                .left_out,
            1
        );
        let names: Vec<String> = (0..=MAX_TOPICS_OF_GROUP)
            .map(|number| format!("t{number}"))
            .collect();
        let topics: Vec<_> = names.iter().map(|name| (name.as_str(), "*", 1)).collect();
        assert_eq!(
            registry
                .on_heartbeat(&caller(2), &beat("b", "wide", &topics), now)
                .left_out,
            1
        );
        let long = "t".repeat(MAX_SUBSCRIPTION_BYTES / 2);
        assert_eq!(
            registry
                .on_heartbeat(&caller(2), &beat("b", "long", &[("T", &long, 1)]), now)
                .left_out,
            1
        );
        assert_eq!(
            registry
                .on_heartbeat(&caller(3), &beat("c", "../x", &[]), now)
                .left_out,
            1
        );
        assert!(registry.tables.lock().subscription_bytes <= MAX_SUBSCRIPTION_BYTES);
    }
}
