//! How many topics and groups a broker group has at most.
//!
//! Each costs memory on every replica, a row in every registration and files of its queues, and whoever may send can
//! make them. So they are bounded, for operators as well as for creation by use. Topics that groups bring along, those
//! for retries and dead letters, are counted and never refused: a message must find its way back, and the number of
//! groups bounds them.

use tern_requests::TableLimits;
use tern_state::{Op, PutGroup, PutTopic, State};
use tern_wire::names;

/// New topics and groups.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableGrowth {
    topics: usize,
    /// Of these topics, how many may be refused.
    bounded_topics: usize,
    groups: usize,
}

impl TableGrowth {
    /// What ops bring into being that a state does not have.
    pub fn of(ops: &[Op], state: &State) -> Self {
        let mut added = Self::default();
        for op in ops {
            match op {
                Op::PutTopic(PutTopic { config, .. }) if state.topic(&config.name).is_none() => {
                    added.topics += 1;
                    added.bounded_topics += usize::from(!comes_with_a_group(&config.name));
                }
                Op::PutGroup(PutGroup { config, .. }) if state.group(&config.name).is_none() => {
                    added.groups += 1;
                }
                _ => {}
            }
        }
        added
    }

    /// Take note of what is proposed.
    pub fn add(&mut self, other: Self) {
        self.topics += other.topics;
        self.groups += other.groups;
    }

    /// What was proposed is decided.
    pub fn remove(&mut self, other: Self) {
        self.topics -= other.topics;
        self.groups -= other.groups;
    }
}

fn comes_with_a_group(topic: &str) -> bool {
    topic.starts_with(names::RETRY_PREFIX) || topic.starts_with(names::DLQ_PREFIX)
}

/// The sentence with which new topics or groups are refused, if there is no room for them beside what there is and
/// what is on its way.
pub(super) fn refusal(
    limits: TableLimits,
    state: &State,
    growth: TableGrowth,
    new: TableGrowth,
) -> Option<String> {
    let refusal = |what: &str, has: usize, key: &str, apache: &str, limit: usize| {
        format!(
            "the broker has {has} {what} and the limit is {limit}; delete some, or raise {key} in the topology \
             ({apache} in a broker.conf)"
        )
    };
    let (topics, groups) = (state.topics().len(), state.groups().len());
    if new.bounded_topics > 0 && topics + growth.topics + new.bounded_topics > limits.topics {
        let (key, apache) = ("max_topics", "maxTopicNums");
        return Some(refusal("topics", topics, key, apache, limits.topics));
    }
    if new.groups > 0 && groups + growth.groups + new.groups > limits.groups {
        let (key, apache) = ("max_groups", "maxSubscriptionGroupNums");
        let what = "subscription groups";
        return Some(refusal(what, groups, key, apache, limits.groups));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state of a group knows nothing of the protocol, so each says them.
    #[test]
    fn the_state_has_the_protocols_prefix_and_bits() {
        use tern_state::perm;
        use tern_wire::permission;

        assert_eq!(tern_state::RETRY_PREFIX, names::RETRY_PREFIX);
        assert_eq!(
            [perm::INHERIT, perm::WRITE, perm::READ, perm::PRIORITY],
            [
                permission::INHERIT,
                permission::WRITE,
                permission::READ,
                permission::PRIORITY
            ]
        );
    }
}
