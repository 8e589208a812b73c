//! The body of a heartbeat (34), with all the forms in which clients write it.
//!
//! Java writes names of enumerations, C++ their numbers, Go other letter case and `null`; C++ leaves members out and
//! writes versions as text. Codes of tags are computed from the expression here: Go's are wrong beyond ASCII.

use serde::{Deserialize, Deserializer};

/// What a client says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Heartbeat {
    /// Id of the client, unique among the members of a group.
    #[serde(rename = "clientID", deserialize_with = "nullable")]
    pub client_id: String,
    /// Groups that it consumes in.
    #[serde(deserialize_with = "nullable")]
    pub consumer_data_set: Vec<ConsumerData>,
    /// Groups that it produces in.
    #[serde(deserialize_with = "nullable")]
    pub producer_data_set: Vec<ProducerData>,
    /// Equal for equal subscriptions; 0 from clients that do not use it.
    #[serde(rename = "heartbeatFingerprint", deserialize_with = "number")]
    pub fingerprint: i64,
    /// The subscriptions are left out: the broker keeps those it has.
    #[serde(alias = "isWithoutSub", deserialize_with = "nullable")]
    pub without_sub: bool,
}

/// One consumer group of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    /// Name of the group.
    #[serde(deserialize_with = "nullable")]
    pub group_name: String,
    /// Broadcasting, or clustering.
    pub message_model: MessageModel,
    /// How it asks for messages; told to operators, acted on by nobody.
    #[serde(deserialize_with = "consume_type")]
    pub consume_type: ConsumeType,
    /// Where a new group begins; the client itself acts on it.
    #[serde(deserialize_with = "consume_from")]
    pub consume_from_where: ConsumeFrom,
    /// What it subscribes to; empty for consumers that choose their queues.
    #[serde(deserialize_with = "nullable")]
    pub subscription_data_set: Vec<SubscriptionData>,
    /// Unit mode.
    #[serde(deserialize_with = "nullable")]
    pub unit_mode: bool,
    /// Ours: it shares a topic's queues with the members that subscribe to it, and not with all of the group.
    #[serde(deserialize_with = "nullable")]
    pub shares_by_topic: bool,
}

/// One subscription.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionData {
    /// Topic.
    #[serde(deserialize_with = "nullable")]
    pub topic: String,
    /// The expression.
    #[serde(deserialize_with = "nullable")]
    pub sub_string: String,
    /// Its version: milliseconds, from Go nanoseconds, from some 0.
    #[serde(deserialize_with = "number")]
    pub sub_version: i64,
    /// `TAG` or `SQL92`.
    #[serde(deserialize_with = "nullable")]
    pub expression_type: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            topic: String::new(),
            sub_string: String::new(),
            sub_version: 0,
            expression_type: "TAG".to_owned(),
        }
    }
}

/// One producer group of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerData {
    /// Name of the group.
    #[serde(deserialize_with = "nullable")]
    pub group_name: String,
}

/// Who of a group gets a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MessageModel {
    /// Every member.
    Broadcasting,
    /// One member.
    #[default]
    Clustering,
}

/// How a consumer asks for messages: an ordinal of RocketMQ's, with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumeType(u8);

/// Where a new group begins: an ordinal of RocketMQ's, with its name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConsumeFrom(u8);

const CONSUME_TYPES: [&str; 3] = ["CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP"];
const CONSUME_FROM: [&str; 6] = [
    "CONSUME_FROM_LAST_OFFSET",
    "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
    "CONSUME_FROM_MIN_OFFSET",
    "CONSUME_FROM_MAX_OFFSET",
    "CONSUME_FROM_FIRST_OFFSET",
    "CONSUME_FROM_TIMESTAMP",
];

impl Default for ConsumeType {
    /// Push, as nearly all are.
    fn default() -> Self {
        Self(1)
    }
}

impl ConsumeType {
    /// The name that Java gives it.
    pub fn name(self) -> &'static str {
        CONSUME_TYPES[usize::from(self.0)]
    }
}

impl ConsumeFrom {
    /// The name that Java gives it.
    pub fn name(self) -> &'static str {
        CONSUME_FROM[usize::from(self.0)]
    }
}

impl Heartbeat {
    /// Read a body.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(i64),
    Text(String),
    Nothing(()),
}

impl<'de> Deserialize<'de> for MessageModel {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Loose::deserialize(from)? {
            Loose::Number(0) => Self::Broadcasting,
            Loose::Text(name) if name.eq_ignore_ascii_case("BROADCASTING") || name == "0" => {
                Self::Broadcasting
            }
            _ => Self::Clustering,
        })
    }
}

pub fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn consume_type<'de, D: Deserializer<'de>>(from: D) -> Result<ConsumeType, D::Error> {
    let index = index_of(Loose::deserialize(from)?, &CONSUME_TYPES);
    Ok(index.map_or_else(ConsumeType::default, ConsumeType))
}

fn consume_from<'de, D: Deserializer<'de>>(from: D) -> Result<ConsumeFrom, D::Error> {
    let index = index_of(Loose::deserialize(from)?, &CONSUME_FROM);
    Ok(index.map_or_else(ConsumeFrom::default, ConsumeFrom))
}

/// The ordinal of an enumeration that is written as its name or as its number.
fn index_of(loose: Loose, names: &[&str]) -> Option<u8> {
    let index = match loose {
        Loose::Number(number) => usize::try_from(number).ok(),
        Loose::Text(text) => names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(&text))
            .or_else(|| text.parse().ok()),
        Loose::Nothing(()) => None,
    };
    let index = index.filter(|index| *index < names.len())?;
    u8::try_from(index).ok()
}

/// A number, or its text; anything else counts as 0, as no heartbeat is refused for its versions.
pub fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Ok(match Loose::deserialize(from)? {
        Loose::Number(number) => number,
        Loose::Text(text) => text.trim().parse().unwrap_or(0),
        Loose::Nothing(()) => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_heartbeat_is_read() {
        let body = br#"{"clientID":"192.168.0.5@1234#5678",
            "consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY",
            "groupName":"CG","messageModel":"CLUSTERING","subscriptionDataSet":[{"classFilterMode":false,
            "codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,
            "tagsSet":["TagA","TagB"],"topic":"TopicA"}],"unitMode":false}],
            "heartbeatFingerprint":0,"producerDataSet":[{"groupName":"PG"}],"withoutSub":false}"#;
        let beat = Heartbeat::parse(body).unwrap();
        assert_eq!(beat.client_id, "192.168.0.5@1234#5678");
        assert_eq!(beat.producer_data_set[0].group_name, "PG");
        let group = &beat.consumer_data_set[0];
        assert_eq!(group.message_model, MessageModel::Clustering);
        assert_eq!(group.consume_type.name(), "CONSUME_PASSIVELY");
        assert_eq!(group.consume_from_where.name(), "CONSUME_FROM_LAST_OFFSET");
        assert_eq!(group.subscription_data_set[0].sub_string, "TagA || TagB");
        assert_eq!(
            group.subscription_data_set[0].sub_version,
            1_700_000_000_000
        );
    }

    #[test]
    fn what_other_clients_write_means_the_same() {
        let cpp = br#"{"clientID":"c","consumerDataSet":[{"consumeFromWhere":4,"consumeType":0,"groupName":"CG",
            "messageModel":0,"subscriptionDataSet":[{"subString":"*","subVersion":"17","topic":"T"}]}]}"#;
        let beat = Heartbeat::parse(cpp).unwrap();
        let group = &beat.consumer_data_set[0];
        assert_eq!(group.message_model, MessageModel::Broadcasting);
        assert_eq!(group.consume_type.name(), "CONSUME_ACTIVELY");
        assert_eq!(group.consume_from_where.name(), "CONSUME_FROM_FIRST_OFFSET");
        assert_eq!(group.subscription_data_set[0].sub_version, 17);
        assert_eq!(group.subscription_data_set[0].expression_type, "TAG");
        let go = br#"{"clientID":"g","producerDataSet":null,"isWithoutSub":true,"consumerDataSet":[{"groupName":"CG",
            "messageModel":"Clustering","subscriptionDataSet":null}]} "#;
        let beat = Heartbeat::parse(go).unwrap();
        assert!(beat.without_sub && beat.producer_data_set.is_empty());
        let unknown = br#"{"consumerDataSet":[{"consumeType":9,"consumeFromWhere":"LATER"}]}"#;
        let group = &Heartbeat::parse(unknown).unwrap().consumer_data_set[0];
        assert_eq!(group.consume_type, ConsumeType::default());
        assert_eq!(group.consume_from_where, ConsumeFrom::default());
        assert!(beat.consumer_data_set[0].subscription_data_set.is_empty());
    }

    #[test]
    fn what_is_no_heartbeat_is_refused() {
        for body in [
            &b""[..],
            b"[]x",
            b"{\"consumerDataSet\":5}",
            b"{\"clientID\":{}}",
        ] {
            assert!(Heartbeat::parse(body).is_err());
        }
    }
}
