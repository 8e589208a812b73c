//! Copies of the registry for members and operators: who is connected to a group, and what it subscribes to.

use std::net::SocketAddr;
use std::sync::Arc;

use super::ClientRegistry;
use super::heartbeat::MessageModel;
use super::members::GroupMember;
use super::subscription_set::SubscriptionSet;

/// Client ids of a group, in order, each once, with what they subscribe to as far as it is known.
pub type MemberSubscriptions = Vec<(Arc<str>, Option<Arc<SubscriptionSet>>)>;

/// One client of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Its address.
    pub address: SocketAddr,
    /// The id that it gives itself.
    pub client_id: Arc<str>,
    /// Name of its library's language.
    pub language: &'static str,
    /// Version ordinal of its library.
    pub version: i32,
}

/// One subscription of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionListing {
    /// Topic.
    pub topic: Arc<str>,
    /// The expression as the client sent it.
    pub expression: String,
    /// Whether it is of tags; what is not of tags is of SQL92.
    pub by_tags: bool,
    /// Version that the client gave it.
    pub version: i64,
}

/// A consumer group that has members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerListing {
    /// Members, ordered by client id.
    pub members: Vec<ClientInfo>,
    /// Who of the group gets a message.
    pub broadcasting: bool,
    /// How the members ask for messages, in Java's words.
    pub consume_type: &'static str,
    /// Where a new group begins, in Java's words.
    pub consume_from: &'static str,
    /// Subscriptions, ordered by topic.
    pub subscriptions: Vec<SubscriptionListing>,
}

impl ClientRegistry {
    /// The members of a group; empty if it has none.
    pub fn members(&self, group: &str) -> MemberSubscriptions {
        let tables = self.tables.lock();
        let Some(group) = tables.consumers.get(group) else {
            return Vec::new();
        };
        let mut members: MemberSubscriptions = group
            .members
            .values()
            .map(|member| {
                (
                    Arc::clone(&member.client_id),
                    member.subscription_set.clone(),
                )
            })
            .collect();
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        members.dedup_by(|(one, _), (other, _)| one == other);
        members
    }

    /// A consumer group as it is connected here; none if it has no member.
    pub fn consumers(&self, group: &str) -> Option<ConsumerListing> {
        let tables = self.tables.lock();
        let group = tables.consumers.get(group)?;
        let mut subscriptions: Vec<_> = group
            .subscriptions
            .iter()
            .map(|(topic, held)| SubscriptionListing {
                topic: Arc::clone(topic),
                expression: held.expression.clone(),
                by_tags: held.by_tags,
                version: held.version,
            })
            .collect();
        subscriptions.sort_unstable_by(|one, other| one.topic.cmp(&other.topic));
        Some(ConsumerListing {
            members: peers(group.members.values()),
            broadcasting: group.model == MessageModel::Broadcasting,
            consume_type: group.consume_type.name(),
            consume_from: group.consume_from.name(),
            subscriptions,
        })
    }

    /// Producers of a group, ordered by client id; empty if there is none.
    pub fn producers(&self, group: &str) -> Vec<ClientInfo> {
        let tables = self.tables.lock();
        let members = tables.producers.get(group).into_iter();
        peers(members.flat_map(|members| members.values()))
    }

    /// Consumer groups with members that subscribe to a topic, in order.
    pub fn subscribers(&self, topic: &str) -> Vec<Arc<str>> {
        let tables = self.tables.lock();
        let mut names: Vec<_> = tables
            .consumers
            .iter()
            .filter(|(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| Arc::clone(name))
            .collect();
        names.sort_unstable();
        names
    }
}

fn peers<'a>(members: impl Iterator<Item = &'a GroupMember>) -> Vec<ClientInfo> {
    let mut peers: Vec<_> = members
        .map(|member| ClientInfo {
            address: member.peer,
            client_id: Arc::clone(&member.client_id),
            language: member.language.name(),
            version: member.version,
        })
        .collect();
    peers.sort_unstable_by(|one, other| one.client_id.cmp(&other.client_id));
    peers
}

#[cfg(test)]
mod tests {
    use tern_wire::Language;

    use super::*;
    use crate::registry::Caller;
    use crate::registry::heartbeat::Heartbeat;

    fn registry(beats: &[&str]) -> ClientRegistry {
        let registry = ClientRegistry::new();
        for (id, beat) in (1..).zip(beats) {
            let caller = Caller {
                connection: id,
                peer: SocketAddr::from(([127, 0, 0, 1], 10_000 + id as u16)),
                language: Language::GO,
                version: 400,
            };
            let beat = Heartbeat::parse(beat.as_bytes()).expect("a heartbeat");
            registry.on_heartbeat(&caller, &beat, 1_000);
        }
        registry
    }

    #[test]
    fn a_group_is_listed_with_what_its_members_said() {
        let registry = registry(&[
            r#"{"clientID":"b","consumerDataSet":[{"groupName":"g","consumeType":"CONSUME_ACTIVELY",
                "consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","messageModel":"BROADCASTING","subscriptionDataSet":[
                {"topic":"T","subString":"x","subVersion":5},
                {"topic":"S","subString":"a > 1","subVersion":6,"expressionType":"SQL92"}]}]}"#,
        ]);
        let listing = registry.consumers("g").expect("it has a member");
        assert_eq!(
            (
                listing.broadcasting,
                listing.consume_type,
                listing.consume_from
            ),
            (true, "CONSUME_ACTIVELY", "CONSUME_FROM_FIRST_OFFSET")
        );
        let member = ClientInfo {
            address: SocketAddr::from(([127, 0, 0, 1], 10_001)),
            client_id: Arc::from("b"),
            language: "GO",
            version: 400,
        };
        assert_eq!(listing.members, [member]);
        let subscription = |topic: &str, expression: &str, by_tags, version| SubscriptionListing {
            topic: Arc::from(topic),
            expression: expression.to_owned(),
            by_tags,
            version,
        };
        assert_eq!(
            listing.subscriptions,
            [
                subscription("S", "a > 1", false, 6),
                subscription("T", "x", true, 5)
            ]
        );
        assert_eq!(registry.subscribers("T"), [Arc::from("g")]);
        assert!(registry.subscribers("U").is_empty());
        assert!(registry.consumers("h").is_none());
    }

    #[test]
    fn producers_are_listed_in_order_of_their_ids() {
        let beat = |id| format!(r#"{{"clientID":"{id}","producerDataSet":[{{"groupName":"p"}}]}}"#);
        let registry = registry(&[&beat("b"), &beat("a")]);
        let ids: Vec<_> = registry
            .producers("p")
            .iter()
            .map(|peer| peer.client_id.to_string())
            .collect();
        assert_eq!(ids, ["a", "b"]);
        assert!(registry.producers("q").is_empty());
        registry.closed(1);
        assert_eq!(registry.producers("p").len(), 1);
    }
}
