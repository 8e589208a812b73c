//! What the members of a group subscribe to.

use std::sync::Arc;

use hashbrown::HashMap;
use tern_wire::tags::Subscription;

use super::bounds::{MAX_SETS_OF_GROUP, MAX_TOPICS_OF_GROUP, subscription_bytes};
use super::heartbeat::{ConsumeFrom, ConsumeType, ConsumerData, MessageModel, SubscriptionData};
use super::members::GroupMember;
use super::subscription_set::{SubscriptionSet, disputes};

/// A group of consumers.
pub(super) struct ConsumerGroup {
    pub members: HashMap<u64, GroupMember>,
    pub model: MessageModel,
    pub consume_type: ConsumeType,
    pub consume_from: ConsumeFrom,
    pub subscriptions: HashMap<Arc<str>, TopicSubscription>,
    pub fingerprint: i64,
    /// What members say, each set once.
    sets: Vec<Arc<SubscriptionSet>>,
    /// What they did not agree in when it was said last.
    disputed: Vec<String>,
}

/// What a group subscribes to of one topic.
pub(super) struct TopicSubscription {
    pub expression: String,
    pub by_tags: bool,
    pub version: i64,
    pub filter: Option<Arc<Subscription>>,
}

/// What a new set of subscriptions did.
pub(super) struct Replaced {
    pub changed: bool,
    pub left_out: usize,
}

impl ConsumerGroup {
    pub fn new() -> Self {
        Self {
            members: HashMap::new(),
            model: MessageModel::Clustering,
            consume_type: ConsumeType::default(),
            consume_from: ConsumeFrom::default(),
            subscriptions: HashMap::new(),
            fingerprint: 0,
            sets: Vec::new(),
            disputed: Vec::new(),
        }
    }

    pub fn subscription_bytes(&self) -> usize {
        let bytes = |(topic, held): (&Arc<str>, &TopicSubscription)| {
            subscription_bytes(topic, &held.expression)
        };
        let of_members = self
            .sets
            .iter()
            .map(|subscription_set| subscription_set.bytes());
        self.subscriptions.iter().map(bytes).sum::<usize>() + of_members.sum::<usize>()
    }

    /// Take what a member subscribes to. A topic of the group goes when no member names it any more; a subscription is
    /// replaced if its version is larger.
    ///
    /// Source: RocketMQ 5.x, `ConsumerGroupInfo#updateSubscription`. Deliberate difference: there the last heartbeat
    /// stands for the whole group, and members with other topics take each other's away.
    pub fn subscribe(&mut self, member: u64, data: &ConsumerData, room: usize) -> Replaced {
        let mut replaced = Replaced {
            changed: self.hear(member, data, room),
            left_out: 0,
        };
        let before = self.subscriptions.len();
        let new = &data.subscription_data_set;
        if replaced.changed {
            let sets = &self.sets;
            self.subscriptions.retain(|topic, _| {
                new.iter().any(|new| *new.topic == **topic)
                    || sets
                        .iter()
                        .any(|subscription_set| subscription_set.filter(topic).is_some())
            });
            replaced.changed |= self.subscriptions.len() != before;
        }
        let mut bytes = self.subscription_bytes();
        for new in new {
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
            self.subscriptions
                .insert(Arc::from(&*new.topic), TopicSubscription::new(new));
        }
        replaced
    }

    /// Note what a member says; true if it said something else before.
    fn hear(&mut self, id: u64, data: &ConsumerData, room: usize) -> bool {
        let subscription_set = SubscriptionSet::read(data);
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        if subscription_set.is_some()
            && subscription_set.as_ref() == member.subscription_set.as_deref()
        {
            return false;
        }
        let was_known = member.subscription_set.take().is_some();
        self.forget_unsaid();
        let shared =
            subscription_set.and_then(|subscription_set| self.shared(subscription_set, room));
        let changed = was_known || shared.is_some();
        if let Some(member) = self.members.get_mut(&id) {
            member.subscription_set = shared;
        }
        changed
    }

    /// The one that members share, if there is room for it.
    fn shared(
        &mut self,
        subscription_set: SubscriptionSet,
        room: usize,
    ) -> Option<Arc<SubscriptionSet>> {
        if let Some(known) = self.sets.iter().find(|known| ***known == subscription_set) {
            return Some(Arc::clone(known));
        }
        let fits = self.subscription_bytes() + subscription_set.bytes() <= room;
        (fits && self.sets.len() < MAX_SETS_OF_GROUP).then(|| {
            let subscription_set = Arc::new(subscription_set);
            self.sets.push(Arc::clone(&subscription_set));
            subscription_set
        })
    }

    /// Drop the sets that no member says any more.
    pub fn forget_unsaid(&mut self) {
        self.sets
            .retain(|subscription_set| Arc::strong_count(subscription_set) > 1);
    }

    /// What members do not agree in that they did agree in, or others did not, when this was asked last.
    pub fn new_disputes(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        if self.sets.len() > 1 {
            let members = self.members.values();
            found = disputes(
                members.map(|member| (&*member.client_id, member.subscription_set.as_ref())),
            );
        }
        let news = found.iter().filter(|what| !self.disputed.contains(what));
        let news = news.cloned().collect();
        self.disputed = found;
        news
    }
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
