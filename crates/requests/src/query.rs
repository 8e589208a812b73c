//! Messages by key or unique id: 12.
//!
//! Every replica answers from what is committed here. The key index names candidates, and each is compared with its
//! record, so that what is found is right even where hashes meet. A leader that finds nothing looks once more after a
//! ReadIndex: a producer is answered before its message is in the index.

use bytes::{Bytes, BytesMut};
use tern_log::{KeyHasher, LogError};
use tern_wire::codes::response;
use tern_wire::headers::{QueryMessage, QueryMessageResponse};
use tern_wire::names::check_topic;
use tern_wire::properties::names::{KEYS, UNIQ_KEY};
use tern_wire::record::Record;
use tern_wire::{Command, Fields, properties};

use super::effects::Effects;
use super::handler::{ClientRequest, NotServed, Reads, RequestHandler, Response, Verdict, View};
use super::reading::queued_record_at;
use crate::request_error::RequestError;
use crate::views::Views;
use tern_replica::words;

/// Messages of one answer.
const MAX_MESSAGES: usize = 64;
/// The same for a unique id, whatever was asked for: there is one, or a few if a send was repeated.
const MAX_UNIQUE: usize = 32;
/// Bytes of one answer, a single longer message apart.
const MAX_BYTES: usize = 2 << 20;
/// Candidates that are compared for one answer: who makes keys whose hashes meet does not keep a thread forever.
const MAX_CANDIDATES: usize = 4096;
/// 12: the newest messages with a key.
pub struct QueryMessageHandler;

impl RequestHandler for QueryMessageHandler {
    type Header<'a> = QueryMessage<'a>;
    type Pending = ();

    const READS: Reads = Reads::ManyFiles;

    fn decode(command: &Command) -> Result<Self::Header<'_>, RequestError> {
        Ok(QueryMessage::decode(&command.fields)?)
    }

    fn check(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
    ) -> Result<(), RequestError> {
        if !view.leads() && !view.settings.slave_read {
            return Err(RequestError::not_leader(&view.role));
        }
        Query::new(header).map(drop)
    }

    fn judge(
        header: &Self::Header<'_>,
        _: &ClientRequest<'_>,
        view: &View<'_>,
        _: &mut Effects,
    ) -> Result<Verdict<()>, NotServed> {
        let found = Query::new(header)?.find(view.views)?;
        Ok(Verdict::Answer(answer(view.views, &found)))
    }
}

/// What is looked for.
struct Query<'a> {
    topic: &'a str,
    key: &'a str,
    from_ms: u64,
    to_ms: u64,
    most: usize,
    is_unique_key: bool,
}

impl<'a> Query<'a> {
    fn new(header: &QueryMessage<'a>) -> Result<Self, RequestError> {
        check_topic(header.topic)?;
        if header.index_type == Some("T") {
            let remark = "the broker does not support queries by tag";
            return Err(RequestError::new(response::SYSTEM_ERROR, remark));
        }
        let is_unique_key = header.is_unique_key == Some(true);
        let asked = usize::try_from(header.max_messages).unwrap_or(0);
        // Before all time lies no message.
        let time = |ms| u64::try_from(ms).unwrap_or(0);
        Ok(Self {
            topic: header.topic,
            key: header.key,
            from_ms: time(header.begin_timestamp_ms),
            to_ms: time(header.end_timestamp_ms),
            most: if is_unique_key {
                MAX_UNIQUE
            } else {
                asked.clamp(1, MAX_MESSAGES)
            },
            is_unique_key,
        })
    }

    /// Whether a record is what its hash promises.
    fn matches(&self, record: &Record<'_>) -> bool {
        let value = |name| properties::get(record.properties(), name);
        record.topic() == self.topic
            && (value(UNIQ_KEY) == Some(self.key)
                || (!self.is_unique_key
                    && value(KEYS).is_some_and(|keys| words(keys).any(|word| word == self.key))))
    }

    /// The records that match, newest first, at least one.
    fn find(&self, views: &Views) -> Result<Vec<Bytes>, NotServed> {
        let found = self.candidates(views)?;
        if !found.is_empty() {
            return Ok(found);
        }
        Err(NotServed::StaleView(if views.keys.is_whole() {
            not_found()
        } else {
            incomplete()
        }))
    }

    fn candidates(&self, views: &Views) -> Result<Vec<Bytes>, RequestError> {
        let hash = KeyHasher::new(self.topic).hash(self.key);
        let mut asked = self.most;
        loop {
            let candidates = views
                .keys
                .find(hash, self.from_ms, self.to_ms, asked)
                .map_err(|error| unreadable(&error))?;
            let (found, is_full) = self.compare(views, &candidates)?;
            if is_full || candidates.len() < asked || asked == MAX_CANDIDATES {
                return Ok(found);
            }
            // Some candidates had another key. It is rare, so all are read again.
            asked = (asked * 8).min(MAX_CANDIDATES);
        }
    }

    /// Those candidates that match, and whether they are as many as an answer takes.
    fn compare(
        &self,
        views: &Views,
        candidates: &[u64],
    ) -> Result<(Vec<Bytes>, bool), RequestError> {
        let mut found = Vec::new();
        let mut bytes = 0;
        for physical_offset in candidates {
            // None for what is indexed and not published yet, or belongs to a topic that was deleted.
            let stored = queued_record_at(views, *physical_offset);
            let Some(stored) = stored.map_err(|error| unreadable(&error))? else {
                continue;
            };
            let Ok(record) = Record::parse(&stored) else {
                continue;
            };
            if self.matches(&record) {
                bytes += stored.len();
                if bytes > MAX_BYTES && !found.is_empty() {
                    return Ok((found, true));
                }
                found.push(stored);
            }
        }
        let is_full = found.len() == self.most;
        Ok((found, is_full))
    }
}

fn answer(views: &Views, found: &[Bytes]) -> Response {
    let newest = views.keys.newest();
    let header = QueryMessageResponse {
        index_last_update_timestamp_ms: newest
            .map_or(0, |newest| newest.store_timestamp_ms.cast_signed()),
        index_last_update_physical_offset: newest
            .map_or(0, |newest| newest.physical_offset.cast_signed()),
    };
    let mut fields = Fields::with_capacity(96);
    header.encode(&mut fields);
    let mut body = BytesMut::with_capacity(found.iter().map(Bytes::len).sum());
    for record in found {
        body.extend_from_slice(record);
    }
    Response::with_fields(response::SUCCESS, fields).with_body(body.freeze())
}

fn not_found() -> RequestError {
    RequestError::new(
        response::QUERY_NOT_FOUND,
        "can not find message, maybe time range not correct",
    )
}

fn incomplete() -> RequestError {
    RequestError::new(
        response::SERVICE_NOT_AVAILABLE,
        "service not available now: the key index of this replica is being rebuilt",
    )
}

fn unreadable(error: &LogError) -> RequestError {
    match error {
        LogError::DamagedView { .. } => incomplete(),
        other => RequestError::new(
            response::SYSTEM_ERROR,
            format!("the messages cannot be read: {other}"),
        ),
    }
}
