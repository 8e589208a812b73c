//! What the members of a group subscribe to.

use std::sync::Arc;

use hashbrown::HashMap;
use tern_wire::tags::Subscription;

use super::tables::Member;
use crate::heartbeat::{ConsumeFrom, ConsumeType, MessageModel, SubscriptionData};

/// Topics of one group.
pub(super) const MAX_TOPICS_OF_GROUP: usize = 1_024;
/// What a subscription takes besides its texts, about.
const SUBSCRIPTION_BYTES: usize = 256;

/// A group of consumers.
pub(super) struct ConsumerGroup<C> {
    pub members: HashMap<u64, Member<C>>,
    pub model: MessageModel,
    pub consume_type: ConsumeType,
    pub consume_from: ConsumeFrom,
    pub subscriptions: HashMap<Arc<str>, TopicSubscription>,
    pub fingerprint: i64,
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

impl<C> ConsumerGroup<C> {
    pub fn new() -> Self {
        Self {
            members: HashMap::new(),
            model: MessageModel::Clustering,
            consume_type: ConsumeType::default(),
            consume_from: ConsumeFrom::default(),
            subscriptions: HashMap::new(),
            fingerprint: 0,
        }
    }

    pub fn subscription_bytes(&self) -> usize {
        let bytes = |(topic, held): (&Arc<str>, &TopicSubscription)| {
            subscription_bytes(topic, &held.expression)
        };
        self.subscriptions.iter().map(bytes).sum()
    }

    /// The new set stands for the whole group: what it does not name goes; what it names is replaced if its version
    /// is larger.
    ///
    /// Source: RocketMQ 5.x, `ConsumerGroupInfo#updateSubscription`.
    pub fn subscribe(&mut self, data: &[SubscriptionData], room: usize) -> Replaced {
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
