//! What the header fields of a request code mean: one struct for a request, one for its answer if it has fields.
//!
//! A struct borrows its texts from the [`Fields`](crate::Fields) it was decoded from. Fields that it does not name are
//! left alone: access control, tracing and routing add theirs to every request.

mod clients;
mod declare;
mod error;
mod kv;
mod nameserver;
mod offsets;
mod pull;
mod query;
mod routing;
mod send;
mod sendback;
mod topics;
mod value;

pub use clients::{
    ConsumerListRequest, HeartbeatResponse, NotifyConsumerIdsChanged, UnregisterClient,
};
pub use error::HeaderError;
pub use kv::{GetKvResponse, KvKey, KvNamespace, PutKv};
pub use nameserver::{
    AddWritePermissionResponse, BrokerHeartbeat, BrokerMemberGroup, BrokerName,
    QueryDataVersionRequest, QueryDataVersionResponse, RegisterBrokerRequest,
    RegisterBrokerResponse, UnregisterBroker, WipeWritePermissionResponse,
};
pub use offsets::{
    OffsetResponse, QueryConsumerOffsetRequest, QueryConsumerOffsetResponse, QueueRequest,
    SearchOffset, TimestampResponse, UpdateConsumerOffset, ViewMessage,
};
pub use pull::{PullRequest, PullResponse};
pub use query::{QueryMessage, QueryMessageResponse};
pub use routing::{LeaderHint, Routing};
pub use send::{SendRequest, SendResponse};
pub use sendback::SendBack;
pub use topics::{
    CreateTopic, DeleteTopicInNameServer, GetRoute, RegisterTopicInNameServer, TopicsByCluster,
};
pub use value::optional_integer;
