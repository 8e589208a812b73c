//! From the body and the properties of a send to the records that are appended.

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use tern_log::{FRAME_HEADER_SIZE, MAX_FRAME_LENGTH, SEGMENT_HEADER_SIZE};
use tern_state::{State, Topic};
use tern_wire::codes::response;
use tern_wire::headers::SendRequest;
use tern_wire::properties::{self, PropertyError, Writer, names};
use tern_wire::record::{NewRecord, RecordError, encode};
use tern_wire::{batch, sys_flag};

use super::destination::{Destination, TopicQueue, delay_level};
use crate::request_error::RequestError;
use crate::settings::Settings;
use tern_replica::Draft;

/// Region of every broker, until there are more.
pub(super) const REGION: &str = "DefaultRegion";
/// Messages of a batch. The answer names each with 32 or 56 characters in its header.
const MAX_BATCH: usize = 16_384;
/// Bits of the message flag that a producer decides about.
const PRODUCER_BITS: i32 = sys_flag::COMPRESSED | sys_flag::COMPRESSION_MASK;

/// What all records of one send have in common.
pub(super) struct Sending<'a> {
    pub header: &'a SendRequest<'a>,
    pub body: &'a [u8],
    pub topic: &'a Topic,
    pub queue_id: u32,
    pub destination: Destination,
    /// What its properties ask for.
    pub asked: Result<DeliveryProperties<'a>, RequestError>,
    pub born_host: SocketAddr,
    pub settings: &'a Settings,
    /// Bytes that the records may take, [`draft_limit`].
    pub limit: usize,
}

/// Records ready to be proposed, and the key that names the send in its answer.
#[derive(Debug)]
pub(super) struct Drafted {
    pub draft: Draft,
    /// The queue that the producer asked for, also if the message waits elsewhere until its delay is over.
    pub queue_id: u32,
    pub unique_key: Option<Box<str>>,
}

/// [`draft_limit`] of this group.
pub(super) fn limit_of(state: &State) -> usize {
    state
        .settings()
        .map_or(0, |founding| draft_limit(founding.segment_size))
}

/// Bytes that the records of one send may take: they share a frame, and a frame has its place in one segment. A
/// frame may get a map of its zero sectors, two bytes for each.
fn draft_limit(segment_size: u64) -> usize {
    let room = segment_size
        .saturating_sub(SEGMENT_HEADER_SIZE)
        .min(u64::from(MAX_FRAME_LENGTH));
    (room - room / 128).saturating_sub(FRAME_HEADER_SIZE as u64 + 64) as usize
}

impl Sending<'_> {
    /// One message.
    pub fn single(self, make_unique_key: impl FnOnce() -> String) -> Result<Drafted, RequestError> {
        let text = self.header.properties.unwrap_or_default();
        self.check_body()?;
        let asked = self.asked.clone()?;
        let mut made = String::new();
        let unique_key = asked.unique_key.unwrap_or_else(|| {
            made = make_unique_key();
            &made
        });
        let mut stored =
            Writer::with_capacity(text.len() + self.settings.cluster.len() + unique_key.len() + 64);
        let is_dead_letter = self.destination.is_dead_letter();
        stored.copy(text, |name| {
            name != names::WAIT
                && !(name == names::DELAY && (asked.delay.is_some() || is_dead_letter))
                && !(asked.delay.is_some() && is_time(name))
                && !names::is_broker_owned(name)
        });
        let mut set =
            |name, value: &str| stored.push(name, value).map_err(|error| unwritable(&error));
        if asked.unique_key.is_none() {
            set(names::UNIQ_KEY, unique_key)?;
        }
        set(names::CLUSTER, &self.settings.cluster)?;
        set(names::MSG_REGION, REGION)?;
        set(names::TRACE_ON, "true")?;
        if is_dead_letter {
            set(names::DELAY, "-1")?;
        }
        let unique_key = Some(Box::from(unique_key));
        let queue = (Arc::clone(&self.topic.config.name), self.queue_id);
        let queue = self
            .destination
            .stored_in(queue, &mut stored)
            .map_err(|error| unwritable(&error))?;
        let record = self.record(&queue, self.header.flag, self.body, stored.as_str());
        let mut draft = self.draft(&queue, record.encoded_len())?;
        append(&record, &mut draft)?;
        Ok(Drafted {
            draft,
            queue_id: self.queue_id,
            unique_key,
        })
    }

    /// A batch: each message a record of its own, with its own properties and the cluster's name.
    pub fn batch(&self) -> Result<Drafted, RequestError> {
        self.check_body()?;
        let queue = (Arc::clone(&self.topic.config.name), self.queue_id);
        let mut draft = self.draft(&queue, self.body.len())?;
        for item in batch::iter(self.body) {
            let item = item.map_err(|error| illegal(error.to_string()))?;
            let number = draft.sizes.len() + 1;
            if number > MAX_BATCH {
                return Err(illegal(format!("a batch has at most {MAX_BATCH} messages")));
            }
            self.item(&item, &queue, &mut draft)
                .map_err(|error| of_a_batch(&error, number))?;
        }
        let whole = self.asked.clone()?;
        if whole.delay.is_some() {
            return Err(illegal("a batch cannot have a delay".to_owned()));
        }
        Ok(Drafted {
            draft,
            queue_id: self.queue_id,
            unique_key: whole.unique_key.map(Box::from),
        })
    }

    fn item(
        &self,
        item: &batch::Item<'_>,
        queue: &TopicQueue,
        draft: &mut Draft,
    ) -> Result<(), RequestError> {
        if delivery_properties(&item.properties)?.delay.is_some() {
            return Err(illegal(
                "a message of a batch cannot have a delay".to_owned(),
            ));
        }
        let mut stored =
            Writer::with_capacity(item.properties.len() + self.settings.cluster.len() + 16);
        stored.copy(&item.properties, |name| !names::is_broker_owned(name));
        stored
            .push(names::CLUSTER, &self.settings.cluster)
            .map_err(|error| unwritable(&error))?;
        let record = self.record(queue, item.flag, item.body, stored.as_str());
        self.check_size(draft.bytes.len() + record.encoded_len())?;
        append(&record, draft)
    }

    fn record<'a>(
        &'a self,
        queue: &'a TopicQueue,
        flag: i32,
        body: &'a [u8],
        properties: &'a str,
    ) -> NewRecord<'a> {
        let multi_tag = if self.topic.config.multi_tag {
            sys_flag::MULTI_TAGS
        } else {
            0
        };
        NewRecord {
            queue_id: queue.1.cast_signed(),
            flag,
            sys_flag: self.header.sys_flag & PRODUCER_BITS | multi_tag,
            born_timestamp_ms: self.header.born_timestamp_ms,
            born_host: self.born_host,
            store_host: self.settings.store_host,
            reconsume_times: self.header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body,
            topic: &queue.0,
            properties: properties.as_bytes(),
        }
    }

    fn draft(&self, queue: &TopicQueue, bytes: usize) -> Result<Draft, RequestError> {
        self.check_size(bytes)?;
        Ok(Draft {
            topic: Arc::clone(&queue.0),
            queue_id: queue.1,
            bytes: Vec::with_capacity(bytes),
            sizes: SmallVec::new(),
        })
    }

    /// RocketMQ takes an empty body for a missing one, and refuses it.
    fn check_body(&self) -> Result<(), RequestError> {
        let (have, limit) = (self.body.len(), self.settings.max_message_bytes);
        match have {
            0 => Err(illegal("the message is illegal: it has no body".to_owned())),
            _ if have > limit => Err(illegal(format!(
                "the message is illegal: body of {have} bytes, the limit is {limit}"
            ))),
            _ => Ok(()),
        }
    }

    fn check_size(&self, bytes: usize) -> Result<(), RequestError> {
        if bytes > self.limit {
            let limit = self.limit;
            return Err(illegal(format!(
                "the records of one send take {bytes} bytes here, the limit is {limit}"
            )));
        }
        Ok(())
    }
}

fn append(record: &NewRecord<'_>, draft: &mut Draft) -> Result<(), RequestError> {
    let size = encode(record, &mut draft.bytes).map_err(|error| too_long(&error))?;
    draft.sizes.push(size as u32);
    Ok(())
}

/// A part of the record is longer than its length field can say.
fn too_long(error: &RecordError) -> RequestError {
    illegal(match error {
        RecordError::TooLong {
            field: "properties",
            have,
            limit,
        } => format!(
            "the message is illegal: properties of {have} bytes with what the broker adds, the limit is {limit}"
        ),
        other => format!("the message is illegal: {other}"),
    })
}

/// What the broker adds cannot stand in properties.
fn unwritable(error: &PropertyError) -> RequestError {
    illegal(format!("the message is illegal: {error}"))
}

fn of_a_batch(error: &RequestError, number: usize) -> RequestError {
    let remark = format!("message {number} of the batch: {}", error.remark);
    RequestError::new(error.code, remark)
}

fn illegal(remark: String) -> RequestError {
    RequestError::new(response::MESSAGE_ILLEGAL, remark)
}

/// What the properties of a message ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeliveryProperties<'a> {
    pub unique_key: Option<&'a str>,
    /// A delay level.
    pub delay: Option<u16>,
}

/// Is this a time until which a message is to be kept back?
fn is_time(name: &str) -> bool {
    matches!(
        name,
        names::TIMER_DELAY_SEC | names::TIMER_DELAY_MS | names::TIMER_DELIVER_MS
    )
}

/// What properties ask for. Refuses what would have to be kept back for later: delivering it at once would be a lie. A delay level wins over the
/// times beside it, as in Apache's broker.
pub(super) fn delivery_properties(text: &str) -> Result<DeliveryProperties<'_>, RequestError> {
    let mut unique_key = None;
    let mut delay = None;
    let mut is_timed = false;
    for (name, value) in properties::iter(text) {
        match name {
            names::UNIQ_KEY => unique_key = Some(value),
            names::DELAY => {
                let asked = value.parse().map_err(|_| {
                    illegal(format!(
                        "the message has a delay level that is no number: {value}"
                    ))
                })?;
                delay = delay_level(asked);
            }
            names::TRAN_MSG if value.eq_ignore_ascii_case("true") => {
                return Err(not_delivered("transactional"));
            }
            _ => is_timed |= is_time(name),
        }
    }
    if is_timed && delay.is_none() {
        return Err(not_delivered("timed"));
    }
    Ok(DeliveryProperties { unique_key, delay })
}

/// The answer to messages of kinds that this version does not have.
pub(super) fn not_delivered(kind: &str) -> RequestError {
    illegal(format!(
        "this version does not deliver {kind} messages yet; nothing was stored"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::destination;
    use crate::testing::{ViewBench, settings};
    use tern_replica::testing::SEGMENT_SIZE;
    use tern_wire::record::{Record, iter};

    fn header(properties: &str) -> SendRequest<'_> {
        SendRequest {
            producer_group: "p",
            topic: "BenchmarkTest",
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id: 1,
            sys_flag: 0,
            born_timestamp_ms: 17,
            flag: 5,
            properties: Some(properties),
            reconsume_times: None,
            unit_mode: None,
            max_reconsume_times: None,
            batch: None,
            broker_name: None,
        }
    }

    /// Drafts with the given limits and hands the records over.
    fn drafted<T>(
        header: &SendRequest<'_>,
        body: &[u8],
        limit: usize,
        check: impl FnOnce(Result<(Option<String>, Vec<Record<'_>>), RequestError>) -> T,
    ) -> T {
        let bench = ViewBench::new();
        let state = bench.views.state();
        let asked = delivery_properties(header.properties.unwrap_or_default());
        let level = asked.as_ref().ok().and_then(|asked| asked.delay);
        let sending = Sending {
            header,
            body,
            topic: state.topic("BenchmarkTest").unwrap(),
            queue_id: 1,
            destination: destination(None, level),
            asked,
            born_host: "127.0.0.1:1234".parse().unwrap(),
            settings: &settings(),
            limit,
        };
        let drafted = if header.is_batch() {
            sending.batch()
        } else {
            sending.single(|| "MADE".to_owned())
        };
        match drafted {
            Err(error) => check(Err(error)),
            Ok(drafted) => {
                let records: Vec<_> = iter(&drafted.draft.bytes).map(Result::unwrap).collect();
                let sizes: Vec<_> = records.iter().map(|record| record.size() as u32).collect();
                assert_eq!(sizes, drafted.draft.sizes.to_vec());
                check(Ok((drafted.unique_key.map(String::from), records)))
            }
        }
    }

    fn code(properties: &str, body: &[u8]) -> i32 {
        drafted(
            &header(properties),
            body,
            draft_limit(SEGMENT_SIZE),
            |result| result.map_or_else(|r| r.code, |_| 0),
        )
    }

    fn texts(pairs: &[(&str, &str)]) -> String {
        properties::to_text(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn a_message_is_stored_with_the_brokers_properties_and_without_forged_ones() {
        let sent = texts(&[
            ("TAGS", "a"),
            ("WAIT", "true"),
            ("CLUSTER", "forged"),
            ("POP_CK", "x"),
            ("k", "v"),
        ]);
        drafted(&header(&sent), b"hello", 10_000, |result| {
            let (unique_key, records) = result.unwrap();
            assert_eq!(unique_key.as_deref(), Some("MADE"));
            let stored: Vec<_> = properties::iter(records[0].properties()).collect();
            assert_eq!(
                stored,
                [
                    ("TAGS", "a"),
                    ("k", "v"),
                    ("UNIQ_KEY", "MADE"),
                    ("CLUSTER", "demo"),
                    ("MSG_REGION", "DefaultRegion"),
                    ("TRACE_ON", "true")
                ]
            );
            assert_eq!(
                (records[0].body(), records[0].flag(), records[0].queue_id()),
                (&b"hello"[..], 5, 1)
            );
            assert_eq!(records[0].store_host().port(), 10911);
            records[0].check_crc().unwrap();
        });
    }

    #[test]
    fn the_clients_unique_key_stays() {
        drafted(
            &header(&texts(&[("UNIQ_KEY", "K1")])),
            b"m",
            10_000,
            |result| {
                let (unique_key, records) = result.unwrap();
                assert_eq!(unique_key.as_deref(), Some("K1"));
                assert_eq!(
                    properties::get(records[0].properties(), "UNIQ_KEY"),
                    Some("K1")
                );
            },
        );
    }

    #[test]
    fn messages_for_later_are_refused_and_not_delivered_at_once() {
        for pair in [
            ("DELAY", "soon"),
            ("TRAN_MSG", "true"),
            ("TIMER_DELAY_MS", "5"),
            ("TIMER_DELIVER_MS", "1"),
            ("TIMER_DELAY_SEC", "9"),
        ] {
            assert_eq!(code(&texts(&[pair]), b"m"), 13, "{pair:?}");
        }
        for pair in [("DELAY", "0"), ("TRAN_MSG", "false")] {
            assert_eq!(code(&texts(&[pair]), b"m"), 0, "{pair:?}");
        }
    }

    #[test]
    fn a_delayed_message_waits_in_the_queue_of_its_level_and_knows_where_it_belongs() {
        for (asked, level, queue_id) in [("1", "1", 0), ("3", "3", 2), ("19", "18", 17)] {
            let sent = texts(&[
                ("UNIQ_KEY", "K"),
                ("DELAY", asked),
                ("REAL_TOPIC", "forged"),
            ]);
            drafted(&header(&sent), b"m", 10_000, |result| {
                let (_, records) = result.unwrap();
                let text = records[0].properties();
                assert_eq!(
                    (records[0].topic(), records[0].queue_id()),
                    ("SCHEDULE_TOPIC_XXXX", queue_id)
                );
                for (name, value) in [
                    ("DELAY", level),
                    ("REAL_TOPIC", "BenchmarkTest"),
                    ("REAL_QID", "1"),
                ] {
                    assert_eq!(properties::get(text, name), Some(value));
                    assert_eq!(
                        properties::iter(text).filter(|pair| pair.0 == name).count(),
                        1
                    );
                }
            });
        }
    }

    #[test]
    fn sizes_are_checked() {
        assert_eq!(code("", b""), 13);
        assert_eq!(code("", &vec![1; 4 << 20]), 0);
        assert_eq!(code("", &vec![1; (4 << 20) + 1]), 13);
        assert_eq!(code(&texts(&[("k", &"v".repeat(32_600))]), b"m"), 0);
        // Within the limit as sent, above it with what the broker adds.
        assert_eq!(code(&texts(&[("k", &"v".repeat(32_760))]), b"m"), 13);
    }

    fn batch_of(items: &[(&[u8], &str)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (at, (item, properties)) in items.iter().enumerate() {
            let item = batch::Item {
                flag: at as i32,
                body: item,
                properties: (*properties).into(),
            };
            batch::encode(&item, &mut body).unwrap();
        }
        body
    }

    #[test]
    fn each_message_of_a_batch_keeps_its_own_properties_and_gets_no_other() {
        let whole = texts(&[("UNIQ_KEY", "WHOLE"), ("k", "of all")]);
        let header = SendRequest {
            batch: Some(true),
            ..header(&whole)
        };
        let one = texts(&[("UNIQ_KEY", "A1"), ("CLUSTER", "forged")]);
        let body = batch_of(&[(b"m1", &one), (b"m2", "")]);
        drafted(&header, &body, 10_000, |result| {
            let (unique_key, records) = result.unwrap();
            assert_eq!(unique_key.as_deref(), Some("WHOLE"));
            assert_eq!(
                properties::iter(records[0].properties()).collect::<Vec<_>>(),
                [("UNIQ_KEY", "A1"), ("CLUSTER", "demo")]
            );
            assert_eq!(
                properties::iter(records[1].properties()).collect::<Vec<_>>(),
                [("CLUSTER", "demo")]
            );
            assert_eq!(records.iter().map(Record::flag).collect::<Vec<_>>(), [0, 1]);
        });
    }

    #[test]
    fn a_batch_with_lying_sizes_or_a_message_for_later_is_refused_whole() {
        let header = SendRequest {
            batch: Some(true),
            ..header("")
        };
        let code_of = |body: &[u8]| {
            drafted(&header, body, 10_000, |result| {
                result.map_or_else(|r| r.code, |_| 0)
            })
        };
        let good = batch_of(&[(b"m1", ""), (b"m2", "")]);
        assert_eq!(code_of(&good), 0);
        assert_eq!(code_of(&good[..good.len() - 1]), 13);
        assert_eq!(code_of(&[&good[..], &[0]].concat()), 13);
        let mut lying = good.clone();
        lying[19] = 200;
        assert_eq!(code_of(&lying), 13);
        assert_eq!(
            code_of(&batch_of(&[
                (b"m1", ""),
                (b"m2", &texts(&[("DELAY", "1")]))
            ])),
            13
        );
        assert_eq!(code_of(b""), 13);
    }

    #[test]
    fn records_that_no_frame_can_hold_are_refused_before_the_log_sees_them() {
        let header = SendRequest {
            batch: Some(true),
            ..header("")
        };
        let body = batch_of(&[(&[1; 100][..], ""); 10]);
        let code_of = |limit| {
            drafted(&header, &body, limit, |result| {
                result.map_or_else(|r| r.code, |_| 0)
            })
        };
        assert_eq!(code_of(4_000), 0);
        assert_eq!(code_of(1_500), 13);
        // What fits into the limit fits into a frame, even if all of it is zeros.
        for segment_size in [64 << 10, 1 << 20, SEGMENT_SIZE] {
            let mut draft = tern_log::FrameDraft::default();
            draft.records = vec![0; draft_limit(segment_size)];
            draft.record_sizes = vec![draft.records.len() as u32];
            draft.queue_offsets = vec![0];
            let end = tern_log::LogEnd::default();
            draft.seal(&end, 1, 1, segment_size).unwrap();
        }
    }
}
