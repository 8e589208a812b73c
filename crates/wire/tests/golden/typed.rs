//! Sends the header of a recording through the struct of its code.

use tern_wire::Fields;
use tern_wire::headers::{
    BrokerHeartbeat, BrokerMemberGroup, BrokerName, ConsumerListRequest, CreateTopic,
    DeleteTopicInNameServer, GetKvResponse, GetRoute, HeartbeatResponse, KvKey, KvNamespace,
    NotifyConsumerIdsChanged, OffsetResponse, PullRequest, PullResponse, PutKv,
    QueryConsumerOffsetRequest, QueryDataVersionRequest, QueryDataVersionResponse, QueryMessage,
    QueryMessageResponse, QueueRequest, RegisterBrokerRequest, RegisterBrokerResponse, Routing,
    SearchOffset, SendRequest, SendResponse, TimestampResponse, TopicsByCluster, UnregisterBroker,
    UnregisterClient, UpdateConsumerOffset, WipeWritePermissionResponse,
};

use crate::recording::Recording;

/// Fields that belong to no header: the kind of request, for proxies.
const EXTRA: [&str; 1] = ["ReqT"];
/// Codes whose header has no field at all, in either direction.
const WITHOUT_FIELDS: [i32; 4] = [28, 106, 206, 304];

/// Compares what a struct reads and writes again with what was recorded. `false` if the code has no struct.
pub fn check(recording: &Recording) -> bool {
    let Some(mut again) = through_struct(recording) else {
        return false;
    };
    let routing = Routing::decode(&recording.fields).unwrap();
    if !again.iter().any(|(key, _)| key == "n") {
        routing.encode(&mut again);
    }
    for (key, value) in recording.fields.iter() {
        assert!(
            again.get(key) == Some(value) || EXTRA.contains(&key),
            "{recording}: {key}={value:?}"
        );
    }
    for (key, value) in again.iter() {
        assert_eq!(
            recording.fields.get(key),
            Some(value),
            "{recording}: {key} was not there"
        );
    }
    true
}

fn through_struct(recording: &Recording) -> Option<Fields> {
    if recording.kind == "resp" {
        answer(recording)
    } else {
        request(recording)
    }
}

/// Decodes with the struct and encodes again.
macro_rules! through {
    ($recording:expr, $header:ident) => {{
        let mut fields = Fields::new();
        let decoded = $header::decode(&$recording.fields)
            .unwrap_or_else(|error| panic!("{}: {error}", $recording));
        decoded.encode(&mut fields);
        Some(fields)
    }};
}

fn request(recording: &Recording) -> Option<Fields> {
    match recording.request_code {
        10 => {
            let mut fields = Fields::new();
            SendRequest::decode_v1(&recording.fields)
                .unwrap()
                .encode_v1(&mut fields);
            Some(fields)
        }
        310 | 320 => {
            let mut fields = Fields::new();
            SendRequest::decode_v2(&recording.fields)
                .unwrap()
                .encode_v2(&mut fields);
            Some(fields)
        }
        11 | 361 => through!(recording, PullRequest),
        12 => through!(recording, QueryMessage),
        14 => through!(recording, QueryConsumerOffsetRequest),
        15 => through!(recording, UpdateConsumerOffset),
        17 => through!(recording, CreateTopic),
        29 => through!(recording, SearchOffset),
        30..=32 => through!(recording, QueueRequest),
        34 => Some(Fields::new()),
        35 => through!(recording, UnregisterClient),
        38 => through!(recording, ConsumerListRequest),
        40 => through!(recording, NotifyConsumerIdsChanged),
        100 => through!(recording, PutKv),
        101 | 102 => through!(recording, KvKey),
        103 => through!(recording, RegisterBrokerRequest),
        104 => through!(recording, UnregisterBroker),
        105 => through!(recording, GetRoute),
        205 => through!(recording, BrokerName),
        216 => through!(recording, DeleteTopicInNameServer),
        219 => through!(recording, KvNamespace),
        224 => through!(recording, TopicsByCluster),
        322 => through!(recording, QueryDataVersionRequest),
        901 => through!(recording, BrokerMemberGroup),
        904 => through!(recording, BrokerHeartbeat),
        code if WITHOUT_FIELDS.contains(&code) => Some(Fields::new()),
        _ => None,
    }
}

fn answer(recording: &Recording) -> Option<Fields> {
    // A refusal carries fields only by accident: Java answers a refused send with the region it had filled in already.
    let refused = !matches!(
        (recording.request_code, recording.code),
        (_, 0) | (11, 19..=21)
    );
    match recording.request_code {
        _ if refused => None,
        10 | 310 | 320 => through!(recording, SendResponse),
        11 | 361 => through!(recording, PullResponse),
        12 => through!(recording, QueryMessageResponse),
        14 | 29..=31 => through!(recording, OffsetResponse),
        32 => through!(recording, TimestampResponse),
        34 => through!(recording, HeartbeatResponse),
        101 => through!(recording, GetKvResponse),
        103 => through!(recording, RegisterBrokerResponse),
        205 => through!(recording, WipeWritePermissionResponse),
        322 => through!(recording, QueryDataVersionResponse),
        15 | 17 | 35 | 38 | 100 | 102 | 104 | 105 | 216 | 219 | 224 | 901 | 904 => {
            Some(Fields::new())
        }
        code if WITHOUT_FIELDS.contains(&code) => Some(Fields::new()),
        _ => None,
    }
}
