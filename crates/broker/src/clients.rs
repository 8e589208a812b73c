//! Who is connected: producers and consumers by group and connection, with what the consumers subscribe to.
//!
//! In memory, on every replica, not in the log: clients send heartbeats to all replicas, so that a new leader knows
//! its members. Bounded in entries and in bytes. An entry goes with its connection, or 120 s after the last
//! heartbeat.

mod listing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_net::Connection;
use tern_wire::Language;
use tern_wire::tags::Subscription;

use crate::heartbeat::{
    ConsumeFrom, ConsumeType, ConsumerData, Heartbeat, MessageModel, SubscriptionData,
};
pub use listing::{ConsumerListing, Peer, SubscriptionListing};

/// How long an entry lives without a heartbeat.
const EXPIRY: Duration = Duration::from_secs(120);
/// Entries of all clients together: one for each group of each connection.
const MAX_ENTRIES: usize = 200_000;
/// Groups of one connection.
const MAX_GROUPS_OF_CONNECTION: usize = 1_024;
/// Topics of one group.
const MAX_TOPICS_OF_GROUP: usize = 1_024;
/// Bytes of all subscriptions together.
const MAX_SUBSCRIPTION_BYTES: usize = 64 << 20;
/// What a subscription takes besides its texts, about.
const SUBSCRIPTION_BYTES: usize = 256;

/// Who sends a heartbeat. The registry is generic over what a connection is, for its tests.
#[derive(Debug, Clone)]
pub struct Caller<C> {
    /// Id of the connection.
    pub id: u64,
    /// The connection.
    pub connection: C,
    /// Language of its client library.
    pub language: Language,
    /// Version of its client library.
    pub version: i32,
}

/// What a heartbeat did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Beaten {
    /// Consumer groups whose members or subscriptions changed, and whose members want to know.
    pub changed: Vec<Arc<str>>,
    /// The client must send its subscriptions: those known are none, or others.
    pub wants_subscriptions: bool,
    /// Entries that were left out because a bound is reached.
    pub left_out: usize,
}

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
pub struct ClientRegistry<C = Arc<Connection>> {
    tables: Mutex<Tables<C>>,
}

struct Tables<C> {
    consumers: HashMap<Arc<str>, ConsumerGroup<C>>,
    producers: HashMap<Arc<str>, HashMap<u64, Member<C>>>,
    connections: HashMap<u64, Groups>,
    entries: usize,
    subscription_bytes: usize,
}

/// The groups of one connection.
#[derive(Default)]
struct Groups {
    consumers: Vec<Arc<str>>,
    producers: Vec<Arc<str>>,
}

struct ConsumerGroup<C> {
    members: HashMap<u64, Member<C>>,
    model: MessageModel,
    consume_type: ConsumeType,
    consume_from: ConsumeFrom,
    subscriptions: HashMap<Arc<str>, TopicSubscription>,
    fingerprint: i64,
}

struct Member<C> {
    client_id: Arc<str>,
    connection: C,
    language: Language,
    version: i32,
    seen: Instant,
}

impl<C: Clone> Member<C> {
    fn new(caller: &Caller<C>, client_id: &str, seen: Instant) -> Self {
        Self {
            client_id: Arc::from(client_id),
            connection: caller.connection.clone(),
            language: caller.language,
            version: caller.version,
            seen,
        }
    }
}

struct TopicSubscription {
    expression: String,
    by_tags: bool,
    version: i64,
    filter: Option<Arc<Subscription>>,
}

impl<C: Clone> Default for ClientRegistry<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Clone> ClientRegistry<C> {
    /// Nobody yet.
    pub fn new() -> Self {
        let tables = Tables {
            consumers: HashMap::new(),
            producers: HashMap::new(),
            connections: HashMap::new(),
            entries: 0,
            subscription_bytes: 0,
        };
        Self {
            tables: Mutex::new(tables),
        }
    }

    /// Take a heartbeat. Groups whose names are not names are left out.
    pub fn beat(&self, caller: &Caller<C>, beat: &Heartbeat, now: Instant) -> Beaten {
        let mut tables = self.tables.lock();
        let mut beaten = Beaten::default();
        for producer in &beat.producer_data_set {
            if !tables.add_producer(caller, &beat.client_id, &producer.group_name, now) {
                beaten.left_out += 1;
            }
        }
        for consumer in &beat.consumer_data_set {
            tables.add_consumer(caller, beat, consumer, now, &mut beaten);
        }
        beaten
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
    pub fn expire(&self, now: Instant) -> Vec<Arc<str>> {
        let mut tables = self.tables.lock();
        let old = |seen: &Instant| now.saturating_duration_since(*seen) > EXPIRY;
        let mut gone = Vec::new();
        for (group, members) in &tables.producers {
            gone.extend(
                members
                    .iter()
                    .filter(|(_, member)| old(&member.seen))
                    .map(|(id, _)| (*id, Arc::clone(group))),
            );
        }
        for (id, group) in gone.drain(..) {
            tables.remove_producer(id, &group);
            tables.forget(id, |groups| &mut groups.producers, &group);
        }
        for (name, group) in &tables.consumers {
            let expired = group.members.iter().filter(|(_, member)| old(&member.seen));
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

    /// Ids of a group's members, in order, each once.
    pub fn members(&self, group: &str) -> Vec<Arc<str>> {
        let tables = self.tables.lock();
        let Some(group) = tables.consumers.get(group) else {
            return Vec::new();
        };
        let mut ids: Vec<_> = group
            .members
            .values()
            .map(|member| Arc::clone(&member.client_id))
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Connections of a group's members.
    pub fn connections(&self, group: &str) -> Vec<C> {
        let tables = self.tables.lock();
        let members = tables
            .consumers
            .get(group)
            .into_iter()
            .flat_map(|group| group.members.values());
        members.map(|member| member.connection.clone()).collect()
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

impl<C: Clone> Tables<C> {
    fn add_producer(
        &mut self,
        caller: &Caller<C>,
        client_id: &str,
        group: &str,
        now: Instant,
    ) -> bool {
        let id = caller.id;
        if let Some(member) = self
            .producers
            .get_mut(group)
            .and_then(|members| members.get_mut(&id))
        {
            member.seen = now;
            return true;
        }
        if !self.may_add(id, group) {
            return false;
        }
        let group: Arc<str> = Arc::from(group);
        self.entries += 1;
        self.connections
            .entry(id)
            .or_default()
            .producers
            .push(Arc::clone(&group));
        let member = Member::new(caller, client_id, now);
        self.producers.entry(group).or_default().insert(id, member);
        true
    }

    fn add_consumer(
        &mut self,
        caller: &Caller<C>,
        beat: &Heartbeat,
        data: &ConsumerData,
        now: Instant,
        beaten: &mut Beaten,
    ) {
        let known = self
            .consumers
            .get_key_value(&*data.group_name)
            .map(|(name, _)| Arc::clone(name));
        let name = known.unwrap_or_else(|| Arc::from(&*data.group_name));
        let known = self
            .consumers
            .get(&name)
            .and_then(|group| group.members.get(&caller.id));
        let is_new = known.is_none();
        if is_new {
            if !self.may_add(caller.id, &name) {
                beaten.left_out += 1;
                return;
            }
            self.entries += 1;
            self.connections
                .entry(caller.id)
                .or_default()
                .consumers
                .push(Arc::clone(&name));
        }
        let group = self
            .consumers
            .entry(Arc::clone(&name))
            .or_insert_with(ConsumerGroup::new);
        let member = Member::new(caller, &beat.client_id, now);
        group.members.insert(caller.id, member);
        group.model = data.message_model;
        group.consume_type = data.consume_type;
        group.consume_from = data.consume_from_where;
        let mut changed = is_new;
        if beat.without_sub {
            beaten.wants_subscriptions |=
                group.subscriptions.is_empty() || group.fingerprint != beat.fingerprint;
        } else {
            let before = group.subscription_bytes();
            let room = MAX_SUBSCRIPTION_BYTES - (self.subscription_bytes - before);
            let replaced = group.subscribe(&data.subscription_data_set, room);
            changed |= replaced.changed;
            beaten.left_out += replaced.left_out;
            group.fingerprint = beat.fingerprint;
            self.subscription_bytes = self.subscription_bytes - before + group.subscription_bytes();
        }
        if changed && group.model == MessageModel::Clustering {
            beaten.changed.push(name);
        }
    }

    fn may_add(&self, id: u64, group: &str) -> bool {
        let of_connection = self
            .connections
            .get(&id)
            .map_or(0, |groups| groups.consumers.len() + groups.producers.len());
        self.entries < MAX_ENTRIES
            && of_connection < MAX_GROUPS_OF_CONNECTION
            // The longest that any client may have: what is longer, or has other characters, names nothing.
            && tern_wire::names::check_group_from(group, 0).is_ok()
    }

    fn remove_producer(&mut self, id: u64, group: &str) {
        let Some(members) = self.producers.get_mut(group) else {
            return;
        };
        if members.remove(&id).is_some() {
            self.entries -= 1;
        }
        if members.is_empty() {
            self.producers.remove(group);
        }
    }

    /// The group, if its other members want to know.
    fn remove_consumer(&mut self, id: u64, name: &str) -> Option<Arc<str>> {
        let (key, group) = self.consumers.get_key_value(name)?;
        let (key, model) = (Arc::clone(key), group.model);
        let group = self.consumers.get_mut(name)?;
        group.members.remove(&id)?;
        self.entries -= 1;
        if group.members.is_empty() {
            self.subscription_bytes -= group.subscription_bytes();
            self.consumers.remove(name);
        }
        (model == MessageModel::Clustering).then_some(key)
    }

    fn forget(&mut self, id: u64, list: impl Fn(&mut Groups) -> &mut Vec<Arc<str>>, group: &str) {
        let Some(groups) = self.connections.get_mut(&id) else {
            return;
        };
        list(groups).retain(|name| **name != *group);
        if groups.consumers.is_empty() && groups.producers.is_empty() {
            self.connections.remove(&id);
        }
    }
}

/// What a new set of subscriptions did.
struct Replaced {
    changed: bool,
    left_out: usize,
}

impl<C> ConsumerGroup<C> {
    fn new() -> Self {
        Self {
            members: HashMap::new(),
            model: MessageModel::Clustering,
            consume_type: ConsumeType::default(),
            consume_from: ConsumeFrom::default(),
            subscriptions: HashMap::new(),
            fingerprint: 0,
        }
    }

    fn subscription_bytes(&self) -> usize {
        let bytes = |(topic, held): (&Arc<str>, &TopicSubscription)| {
            subscription_bytes(topic, &held.expression)
        };
        self.subscriptions.iter().map(bytes).sum()
    }

    /// The new set stands for the whole group: what it does not name goes; what it names is replaced if its version
    /// is larger.
    ///
    /// Source: RocketMQ 5.x, `ConsumerGroupInfo#updateSubscription`.
    fn subscribe(&mut self, data: &[SubscriptionData], room: usize) -> Replaced {
        let before = self.subscriptions.len();
        self.subscriptions
            .retain(|topic, _| data.iter().any(|new| *new.topic == **topic));
        let mut replaced = Replaced {
            changed: self.subscriptions.len() != before,
            left_out: 0,
        };
        let mut bytes = self.subscription_bytes();
        for new in data {
            let held = self.subscriptions.get(&*new.topic);
            if held.is_some_and(|held| new.sub_version <= held.version) {
                continue;
            }
            let more = subscription_bytes(&new.topic, &new.sub_string);
            if tern_wire::names::check_topic(&new.topic).is_err()
                || bytes + more > room
                || (held.is_none() && self.subscriptions.len() >= MAX_TOPICS_OF_GROUP)
            {
                replaced.left_out += 1;
                continue;
            }
            bytes += more;
            replaced.changed |= held.is_none_or(|held| held.expression != new.sub_string);
            self.subscriptions
                .insert(Arc::from(&*new.topic), TopicSubscription::new(new));
        }
        replaced
    }
}

fn subscription_bytes(topic: &str, expression: &str) -> usize {
    // The expression is held as text and, apart, tag by tag.
    topic.len() + 2 * expression.len() + SUBSCRIPTION_BYTES
}

impl TopicSubscription {
    fn new(data: &SubscriptionData) -> Self {
        let by_tags =
            data.expression_type.is_empty() || data.expression_type.eq_ignore_ascii_case("TAG");
        let filter = by_tags
            .then(|| Subscription::parse(&data.sub_string).ok())
            .flatten();
        Self {
            expression: data.sub_string.clone(),
            by_tags,
            version: data.sub_version,
            filter: filter.map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(id: u64) -> Caller<u64> {
        Caller {
            id,
            connection: id,
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

    fn changed(beaten: &Beaten) -> Vec<&str> {
        beaten.changed.iter().map(|name| &**name).collect()
    }

    #[test]
    fn a_group_hears_of_new_members_and_of_new_subscriptions_only() {
        let registry = ClientRegistry::new();
        let now = Instant::now();
        let topics = [("T", "*", 1)];
        assert_eq!(
            changed(&registry.beat(&caller(1), &beat("a", "g", &topics), now)),
            ["g"]
        );
        assert!(
            registry
                .beat(&caller(1), &beat("a", "g", &topics), now)
                .changed
                .is_empty()
        );
        assert_eq!(
            changed(&registry.beat(&caller(2), &beat("b", "g", &topics), now)),
            ["g"]
        );
        assert!(
            registry
                .beat(&caller(2), &beat("b", "g", &[("T", "*", 2)]), now)
                .changed
                .is_empty()
        );
        assert_eq!(
            changed(&registry.beat(&caller(2), &beat("b", "g", &[("T", "x", 3)]), now)),
            ["g"]
        );
        assert_eq!(registry.members("g").len(), 2);
        assert_eq!(registry.connections("g").len(), 2);
    }

    #[test]
    fn a_closed_connection_is_out_of_all_its_groups_at_once() {
        let registry = ClientRegistry::new();
        let now = Instant::now();
        registry.beat(&caller(1), &beat("a", "g", &[]), now);
        registry.beat(&caller(1), &beat("a", "h", &[]), now);
        registry.beat(&caller(2), &beat("b", "g", &[]), now);
        let mut gone = registry.closed(1);
        gone.sort_unstable();
        assert_eq!(gone, [Arc::from("g"), Arc::from("h")]);
        assert_eq!(registry.members("g"), [Arc::from("b")]);
        assert!(registry.members("h").is_empty());
        assert!(registry.closed(1).is_empty());
        let tables = registry.tables.lock();
        assert_eq!((tables.entries, tables.connections.len()), (1, 1));
    }

    #[test]
    fn a_member_without_heartbeats_is_removed_after_two_minutes() {
        let registry = ClientRegistry::new();
        let start = Instant::now();
        let mut both = beat("a", "g", &[("T", "*", 1)]);
        both.producer_data_set.push(crate::heartbeat::ProducerData {
            group_name: "p".to_owned(),
        });
        registry.beat(&caller(1), &both, start);
        registry.beat(
            &caller(2),
            &beat("b", "g", &[]),
            start + Duration::from_secs(60),
        );
        assert!(registry.expire(start + EXPIRY).is_empty());
        assert_eq!(
            registry.expire(start + EXPIRY + Duration::from_secs(1)),
            [Arc::from("g")]
        );
        assert_eq!(registry.members("g"), [Arc::from("b")]);
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
        let now = Instant::now();
        registry.beat(
            &caller(1),
            &beat("a", "g", &[("T", "x", 5), ("U", "*", 5)]),
            now,
        );
        registry.beat(&caller(1), &beat("a", "g", &[("T", "y", 4)]), now);
        registry.beat(&caller(1), &beat("a", "g", &[("T", "z", 5)]), now);
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
    fn broadcasting_groups_are_not_told_of_their_members() {
        let registry = ClientRegistry::new();
        let mut data = beat("a", "g", &[("T", "*", 1)]);
        data.consumer_data_set[0].message_model = MessageModel::Broadcasting;
        assert!(
            registry
                .beat(&caller(1), &data, Instant::now())
                .changed
                .is_empty()
        );
        assert!(registry.closed(1).is_empty());
    }

    #[test]
    fn a_heartbeat_without_subscriptions_keeps_those_that_are_known() {
        let registry = ClientRegistry::new();
        let now = Instant::now();
        let mut short = beat("a", "g", &[]);
        (short.without_sub, short.fingerprint) = (true, 77);
        assert!(registry.beat(&caller(1), &short, now).wants_subscriptions);
        let mut full = beat("a", "g", &[("T", "*", 1)]);
        full.fingerprint = 77;
        assert!(!registry.beat(&caller(1), &full, now).wants_subscriptions);
        assert!(!registry.beat(&caller(1), &short, now).wants_subscriptions);
        assert!(matches!(
            registry.subscribed("g", "T"),
            Subscribed::To { .. }
        ));
        short.fingerprint = 78;
        assert!(registry.beat(&caller(1), &short, now).wants_subscriptions);
    }

    #[test]
    fn a_flood_of_groups_and_topics_ends_at_the_bounds() {
        let registry = ClientRegistry::new();
        let now = Instant::now();
        for number in 0..MAX_GROUPS_OF_CONNECTION {
            assert_eq!(
                registry
                    .beat(&caller(1), &beat("a", &format!("g{number}"), &[]), now)
                    .left_out,
                0
            );
        }
        assert_eq!(
            registry
                .beat(&caller(1), &beat("a", "one-more", &[]), now)
                .left_out,
            1
        );
        let names: Vec<String> = (0..=MAX_TOPICS_OF_GROUP)
            .map(|number| format!("t{number}"))
            .collect();
        let topics: Vec<_> = names.iter().map(|name| (name.as_str(), "*", 1)).collect();
        assert_eq!(
            registry
                .beat(&caller(2), &beat("b", "wide", &topics), now)
                .left_out,
            1
        );
        let long = "t".repeat(MAX_SUBSCRIPTION_BYTES / 2);
        assert_eq!(
            registry
                .beat(&caller(2), &beat("b", "long", &[("T", &long, 1)]), now)
                .left_out,
            1
        );
        assert_eq!(
            registry
                .beat(&caller(3), &beat("c", "../x", &[]), now)
                .left_out,
            1
        );
        assert!(registry.tables.lock().subscription_bytes <= MAX_SUBSCRIPTION_BYTES);
    }
}
