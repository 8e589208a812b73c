//! Client registry: 34, 35, 38, and the push 40.

use super::declare::header;

header! {
    /// Answer to a heartbeat (34), whose request has a body only.
    HeartbeatResponse {
        /// Does the broker understand heartbeats without subscriptions?
        supports_v2: Option<bool> = b"IS_SUPPORT_HEART_BEAT_V2",
        /// Did the subscriptions change?
        subscription_changed: Option<bool> = b"IS_SUB_CHANGE",
    }
}

header! {
    /// 35: a client leaves these groups.
    UnregisterClient<'a> {
        /// Client id; the capital D is the protocol's.
        client_id: &'a str = b"clientID",
        /// Producer group.
        producer_group: Option<&'a str> = b"producerGroup",
        /// Consumer group.
        consumer_group: Option<&'a str> = b"consumerGroup",
    }
}

header! {
    /// 38: who is in this group?
    ConsumerListRequest<'a> {
        /// Consumer group.
        consumer_group: &'a str = b"consumerGroup",
        /// Ours: the answer shall also say what each of them subscribes to.
        with_subscriptions: Option<bool> = b"withSubscriptions",
    }
}

header! {
    /// 40, from the broker, one-way: members of this group came or went.
    NotifyConsumerIdsChanged<'a> {
        /// Consumer group.
        consumer_group: &'a str = b"consumerGroup",
    }
}
