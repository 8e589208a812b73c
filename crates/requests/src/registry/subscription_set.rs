//! What each member of a group subscribes to, and where members that share a group do not agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use tern_wire::names::{RETRY_PREFIX, check_topic};

use super::bounds::{MAX_TOPICS_OF_GROUP, subscription_bytes};
use super::heartbeat::ConsumerData;

/// Client ids that a line names of each side.
const NAMED: usize = 5;
/// Topics of a group that lines are written about.
const MAX_DISPUTES: usize = 16;

/// The subscriptions of one member. Members that say the same share one.
#[derive(Debug, PartialEq, Eq)]
pub struct SubscriptionSet {
    /// Topic and filter, ordered by topic. Filters that mean the same read the same.
    pub topics: Vec<(String, String)>,
    /// It shares a topic's queues with the members that subscribe to it. Others share them with the whole group.
    pub shares_by_topic: bool,
}

impl SubscriptionSet {
    /// What a heartbeat says; none if it is more than a group may have.
    pub fn read(data: &ConsumerData) -> Option<Self> {
        let mut topics = BTreeMap::new();
        for held in &data.subscription_data_set {
            check_topic(&held.topic).ok()?;
            let by_tags =
                held.expression_type.is_empty() || held.expression_type.eq_ignore_ascii_case("TAG");
            let filter = if by_tags {
                normal_tags(&held.sub_string)
            } else {
                held.sub_string.clone()
            };
            topics.insert(held.topic.clone(), filter);
        }
        (topics.len() <= MAX_TOPICS_OF_GROUP).then(|| Self {
            topics: topics.into_iter().collect(),
            shares_by_topic: data.shares_by_topic,
        })
    }

    /// Its filter of a topic; none if it does not subscribe to it.
    pub fn filter(&self, topic: &str) -> Option<&str> {
        let index = self
            .topics
            .binary_search_by(|(name, _)| name.as_str().cmp(topic))
            .ok()?;
        Some(&self.topics[index].1)
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let each = self.topics.iter();
        each.map(|(topic, filter)| subscription_bytes(topic, filter))
            .sum()
    }
}

/// Tags in order, each once.
fn normal_tags(expression: &str) -> String {
    let tags = expression.split("||").map(str::trim);
    let tags: BTreeSet<_> = tags.filter(|tag| !tag.is_empty()).collect();
    if tags.is_empty() {
        return "*".to_owned();
    }
    tags.into_iter().collect::<Vec<_>>().join(" || ")
}

/// What the members of a group do not agree in, as sentences; empty if nothing is lost by it.
///
/// Two members with different filters of a topic pass over each other's messages for good. A member that shares a topic
/// with the whole group leaves the part of those who do not read it to nobody.
pub(super) fn disputes<'a>(
    members: impl Iterator<Item = (&'a str, Option<&'a Arc<SubscriptionSet>>)>,
) -> Vec<String> {
    let mut members: Vec<_> = members.collect();
    members.sort_unstable_by_key(|(id, _)| *id);
    let known = || {
        members.iter().filter_map(|(id, subscription_set)| {
            subscription_set.map(|subscription_set| (*id, subscription_set))
        })
    };
    let topics: BTreeSet<&str> = known()
        .flat_map(|(_, subscription_set)| {
            subscription_set
                .topics
                .iter()
                .map(|(topic, _)| topic.as_str())
        })
        .collect();
    let mut found = Vec::new();
    for topic in topics {
        if found.len() >= MAX_DISPUTES {
            break;
        }
        let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut others = Vec::new();
        let mut by_group = false;
        for (id, subscription_set) in known() {
            match subscription_set.filter(topic) {
                Some(filter) => {
                    readers.entry(filter).or_default().push(id);
                    by_group |= !subscription_set.shares_by_topic;
                }
                None => others.push(id),
            }
        }
        if topic.starts_with(RETRY_PREFIX) {
            continue; // pull consumers do not read it, and nobody filters it
        }
        if readers.len() > 1 {
            found.push(format!(
                "members subscribe to topic {topic} with different filters, {}; what one of them does not want is \
                 passed over for the others",
                sides(readers.iter().map(|(filter, ids)| (format!("'{filter}'"), ids)))
            ));
        }
        if by_group && !others.is_empty() {
            let ids = readers.into_values().flatten().collect();
            found.push(format!(
                "not all members subscribe to topic {topic}, {}, and some of them share it with the whole group: the \
                 queues that fall to the others are read by nobody",
                sides([("yes".to_owned(), &ids), ("no".to_owned(), &others)].into_iter())
            ));
        }
    }
    found
}

fn sides<'a>(sides: impl Iterator<Item = (String, &'a Vec<&'a str>)>) -> String {
    let mut text = String::new();
    for (what, ids) in sides {
        let separator = if text.is_empty() { "" } else { "; " };
        let _ = write!(
            text,
            "{separator}{what}: {}",
            ids[..ids.len().min(NAMED)].join(", ")
        );
        if ids.len() > NAMED {
            let _ = write!(text, " and {} more", ids.len() - NAMED);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::heartbeat::SubscriptionData;

    fn subscription_set(topics: &[(&str, &str)], shares_by_topic: bool) -> Arc<SubscriptionSet> {
        let subscription = |(topic, expression): &(&str, &str)| SubscriptionData {
            topic: (*topic).to_owned(),
            sub_string: (*expression).to_owned(),
            ..SubscriptionData::default()
        };
        let data = ConsumerData {
            subscription_data_set: topics.iter().map(subscription).collect(),
            shares_by_topic,
            ..ConsumerData::default()
        };
        Arc::new(SubscriptionSet::read(&data).expect("within the bounds"))
    }

    fn disputes_of(members: &[(&str, Arc<SubscriptionSet>)]) -> Vec<String> {
        disputes(
            members
                .iter()
                .map(|(id, subscription_set)| (*id, Some(subscription_set))),
        )
    }

    #[test]
    fn filters_that_mean_the_same_are_no_dispute() {
        let same = [
            ("a", subscription_set(&[("T", "x||y"), ("U", "")], false)),
            (
                "b",
                subscription_set(&[("U", "*"), ("T", " y || x ||")], false),
            ),
        ];
        assert!(disputes_of(&same).is_empty());
        assert_eq!(same[0].1, same[1].1);
    }

    #[test]
    fn different_filters_are_a_dispute_that_names_the_clients() {
        let found = disputes_of(&[
            ("a", subscription_set(&[("T", "x")], true)),
            ("b", subscription_set(&[("T", "y")], false)),
            ("c", subscription_set(&[("T", "x")], true)),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("topic T") && found[0].contains("'x': a, c; 'y': b"));
    }

    #[test]
    fn different_topics_are_a_dispute_only_where_somebody_shares_with_the_whole_group() {
        let two = |shares| {
            [
                ("a", subscription_set(&[("T", "*")], shares)),
                ("b", subscription_set(&[("U", "*")], true)),
            ]
        };
        assert!(disputes_of(&two(true)).is_empty());
        let found = disputes_of(&two(false));
        assert_eq!(
            found.len(),
            1,
            "U is read by its only subscriber: {found:?}"
        );
        assert!(found[0].contains("topic T") && found[0].contains("yes: a; no: b"));
    }

    #[test]
    fn who_does_not_read_what_comes_again_disputes_nothing() {
        let found = disputes_of(&[
            (
                "a",
                subscription_set(&[("T", "*"), ("%RETRY%g", "*")], false),
            ),
            ("b", subscription_set(&[("T", "*")], false)),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_line_about_a_large_group_stays_short() {
        let names: Vec<String> = (0..1000).map(|number| format!("client-{number}")).collect();
        let set = subscription_set(&[("T", "x")], true);
        let other = subscription_set(&[("T", "y")], true);
        let mut members: Vec<_> = names
            .iter()
            .map(|id| (id.as_str(), Arc::clone(&set)))
            .collect();
        members.push(("z", other));
        let found = disputes_of(&members);
        assert!(found[0].contains("and 995 more") && found[0].len() < 400);
    }
}
