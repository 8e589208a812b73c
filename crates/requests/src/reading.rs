//! From a queue and an offset to the records of a pull answer, and from a place to the record there.

use bytes::Bytes;
use smallvec::SmallVec;
use tern_log::{ConsumeQueues, LogError, LogReader, QueuedRecord, Source};
use tern_wire::record::{MIN_SIZE, Record, iter};
use tern_wire::tags::Subscription;

use crate::queues::QueueKey;
use crate::views::Views;

/// Messages of one answer, if so many are asked for. RocketMQ's brokers give 32 at most, which its clients ask for unless
/// they are told otherwise: with little messages an answer is then 10 KB, and its round trip costs more than it does.
pub(super) const MAX_MESSAGES: usize = 1_024;
/// As many as most answers have.
const USUAL_MESSAGES: usize = 32;
/// Bytes of one answer, a single longer message apart.
const MAX_BYTES: usize = 256 << 10;
/// Entries that one look goes through for a filter that matches little.
const SCAN_LIMIT: u64 = 16_000;
/// Entries read at once behind a filter.
const SCAN_STEP: usize = 256;

/// What a look at a queue found.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Matching messages, in order.
    pub entries: SmallVec<[QueuedRecord; USUAL_MESSAGES]>,
    /// Where to go on: behind the last entry that was looked at.
    pub next: u64,
    /// Where in the log the last of them stands.
    pub last_position: Option<u64>,
}

impl Scanned {
    /// Bytes of the messages.
    pub fn bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|record| record.entry.size as usize)
            .sum()
    }

    /// Only the first so many messages; the next one is where to go on.
    pub fn cut(&mut self, count: usize) {
        if let Some(next) = self.entries.get(count) {
            self.next = next.queue_offset;
            self.entries.truncate(count);
        }
    }
}

/// Look for messages from an offset on: at most `most` of them and 256 KiB, but one if there is any.
pub(super) fn scan(
    queues: &ConsumeQueues,
    (topic_id, queue_id): QueueKey,
    from: u64,
    filter: &Subscription,
    most: usize,
) -> Result<Scanned, LogError> {
    let mut found = Scanned {
        next: from,
        ..Scanned::default()
    };
    let mut bytes = 0;
    let mut step = Vec::with_capacity(most.min(MAX_MESSAGES));
    while found.entries.len() < most && found.next - from < SCAN_LIMIT {
        step.clear();
        let wanted = match filter {
            Subscription::All => most - found.entries.len(),
            Subscription::Tags(_) => SCAN_STEP,
        };
        if queues.read(topic_id, queue_id, found.next, wanted, &mut step)? == 0 {
            break;
        }
        for entry in &step {
            if filter.matches(entry.tags_code) {
                bytes += entry.size as usize;
                if found.entries.len() == most || (bytes > MAX_BYTES && !found.entries.is_empty()) {
                    return Ok(found);
                }
                found.entries.push(QueuedRecord {
                    queue_offset: found.next,
                    entry: *entry,
                });
            }
            found.next += 1;
            found.last_position = Some(entry.physical_offset);
        }
    }
    Ok(found)
}

/// The committed record that begins at a physical offset, checked with its whole frame; none if none does.
///
/// A client names the offset, and bytes inside of a body may look like a record: the frame's records are walked from its
/// first one on. A message of a topic that was deleted is found, too. Damage is reported.
pub(super) fn stored_record_at(
    views: &Views,
    physical_offset: u64,
) -> Result<Option<Bytes>, LogError> {
    if physical_offset >= views.applied_position() {
        return Ok(None);
    }
    let frame = views
        .log
        .index_at(physical_offset)
        .and_then(|index| views.log.frame(index));
    match frame {
        Ok(frame) => Ok(record_in(frame.records(), physical_offset)),
        Err(LogError::NotStored { .. } | LogError::NotFound { .. }) => Ok(None),
        Err(error) => {
            views.damage.note(physical_offset, &error);
            Err(error)
        }
    }
}

/// As [`stored_record_at`], for a client that stores the message again; none if its topic was deleted.
pub(super) fn consumed_record_at(
    views: &Views,
    physical_offset: u64,
) -> Result<Option<Bytes>, LogError> {
    let Some(bytes) = stored_record_at(views, physical_offset)? else {
        return Ok(None);
    };
    let is_there = is_queued(views, physical_offset, &bytes)
        .inspect_err(|error| views.damage.note(physical_offset, error))?;
    Ok(is_there.then_some(bytes))
}

/// As [`stored_record_at`], but a frame that was found whole once is not read again; none if its topic was deleted.
///
/// The queue that the record says it stands in must say the same. Where a file's bytes are no record, its frame says
/// whether they were one.
pub(super) fn queued_record_at(
    views: &Views,
    physical_offset: u64,
) -> Result<Option<Bytes>, LogError> {
    look_at(views, physical_offset).inspect_err(|error| views.damage.note(physical_offset, error))
}

/// The record that says of itself that it stands at a physical offset.
fn record_in(records: &[u8], physical_offset: u64) -> Option<Bytes> {
    let mut at = 0;
    for record in iter(records) {
        let record = record.ok()?;
        if record.physical_offset() == physical_offset {
            return Some(Bytes::copy_from_slice(&records[at..at + record.size()]));
        }
        at += record.size();
    }
    None
}

fn look_at(views: &Views, physical_offset: u64) -> Result<Option<Bytes>, LogError> {
    let end = views.applied_position();
    let stands = |length: usize| {
        physical_offset
            .checked_add(length as u64)
            .is_some_and(|behind| behind <= end)
    };
    if !stands(MIN_SIZE) {
        return Ok(None);
    }
    let found = match stored_at(&views.log, physical_offset, stands) {
        Err(LogError::NotStored { .. }) => None,
        other => Some(other?),
    };
    if let Some((bytes, source)) = found {
        if is_queued(views, physical_offset, &bytes)? {
            if source == Source::File {
                views.log.sound_around(physical_offset)?;
            }
            return Ok(Some(bytes));
        }
        if source == Source::Memory {
            return Ok(None);
        }
    }
    match views.log.check_around(physical_offset) {
        Ok(_) | Err(LogError::NotStored { .. } | LogError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes at a position as far as the size there says; only the size if that cannot be.
fn stored_at(
    log: &LogReader,
    physical_offset: u64,
    stands: impl Fn(usize) -> bool,
) -> Result<(Bytes, Source), LogError> {
    let (size, source) = log.bytes(physical_offset, 4)?;
    let length = u32::from_be_bytes(size[..].try_into().expect("four bytes")) as usize;
    if length < MIN_SIZE || !stands(length) {
        return Ok((size, source));
    }
    log.bytes(physical_offset, length)
}

/// Whether bytes are a record with the body that its checksum covers, and its queue names their position.
fn is_queued(views: &Views, physical_offset: u64, bytes: &[u8]) -> Result<bool, LogError> {
    let Ok(record) = Record::parse(bytes) else {
        return Ok(false);
    };
    let Some(topic_id) = views.state().topic(record.topic()).map(|topic| topic.id) else {
        return Ok(false);
    };
    let (queue_id, queue_offset) = (record.queue_id().cast_unsigned(), record.queue_offset());
    let mut entries = Vec::with_capacity(1);
    views
        .queues
        .read(topic_id, queue_id, queue_offset, 1, &mut entries)?;
    let is_there = entries.first().is_some_and(|entry| {
        entry.physical_offset == physical_offset && entry.size as usize == record.size()
    });
    Ok(is_there && record.check_crc().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ViewBench;
    use bytes::BytesMut;
    use tern_log::QueueEntry;
    use tern_state::{DeleteTopic, Op, PutTopic, TopicConfig};

    const TOPIC: &str = "BenchmarkTest";

    fn queue(bench: &ViewBench) -> QueueKey {
        (bench.views.state().topic(TOPIC).unwrap().id, 3)
    }

    fn look(bench: &ViewBench, from: u64, filter: &str, most: usize) -> (Vec<String>, u64) {
        let filter = Subscription::parse(filter).unwrap();
        let found = scan(&bench.views.queues, queue(bench), from, &filter, most).unwrap();
        let mut frame = BytesMut::new();
        bench
            .views
            .log
            .copy_records(&found.entries, &mut frame)
            .unwrap();
        assert_eq!(frame.len(), found.bytes());
        let bodies =
            iter(&frame).map(|record| String::from_utf8_lossy(record.unwrap().body()).into_owned());
        (bodies.collect(), found.next)
    }

    #[test]
    fn messages_come_in_order_and_within_the_limit() {
        let mut bench = ViewBench::new();
        for number in 0..5 {
            bench.commit_message(TOPIC, 3, "", format!("m{number}").as_bytes());
            bench.commit_message(TOPIC, 4, "", b"another queue");
        }
        assert_eq!(
            look(&bench, 0, "*", 3),
            (vec!["m0".into(), "m1".into(), "m2".into()], 3)
        );
        assert_eq!(
            look(&bench, 3, "*", 32),
            (vec!["m3".into(), "m4".into()], 5)
        );
        assert_eq!(look(&bench, 5, "*", 32), (vec![], 5));
        assert_eq!(look(&bench, 99, "*", 32), (vec![], 99));
    }

    #[test]
    fn a_filter_passes_over_what_it_does_not_want() {
        let mut bench = ViewBench::new();
        for number in 0..600 {
            let tag = if number % 200 == 150 { "rare" } else { "often" };
            bench.commit_message(TOPIC, 3, tag, format!("m{number}").as_bytes());
        }
        assert_eq!(
            look(&bench, 0, "rare", 32),
            (vec!["m150".into(), "m350".into(), "m550".into()], 600)
        );
        assert_eq!(
            look(&bench, 0, "rare", 2),
            (vec!["m150".into(), "m350".into()], 512)
        );
        assert_eq!(look(&bench, 551, "rare || never", 2), (vec![], 600));
    }

    #[test]
    fn an_answer_has_256_kib_or_one_message() {
        let mut bench = ViewBench::new();
        for size in [300 << 10, 100 << 10, 100 << 10, 100 << 10] {
            bench.commit_message(TOPIC, 3, "", &vec![b'x'; size]);
        }
        assert_eq!(look(&bench, 0, "*", 32).1, 1);
        assert_eq!(look(&bench, 1, "*", 32).1, 3);
        assert_eq!(look(&bench, 3, "*", 32).1, 4);
    }

    #[test]
    fn a_damaged_record_is_no_record_that_is_not_there() {
        let mut bench = ViewBench::cold();
        for number in 0..4 {
            bench.commit_message(TOPIC, 3, "", format!("m{number}").as_bytes());
        }
        let inside = bench.entry(TOPIC, 3, 0).physical_offset + 8;
        assert!(queued_record_at(&bench.views, inside).unwrap().is_none());
        let rotted = bench.rot(TOPIC, 3, 1).physical_offset;
        let error = queued_record_at(&bench.views, rotted).expect_err("damage");
        assert!(matches!(error, LogError::Rotted { .. }), "{error}");
        assert_eq!(bench.views.damage.count(), 1);
        for whole in [0, 2, 3] {
            let position = bench.entry(TOPIC, 3, whole).physical_offset;
            assert!(queued_record_at(&bench.views, position).unwrap().is_some());
        }
    }

    #[test]
    fn each_look_at_a_place_finds_records_where_they_begin_and_reports_damage() {
        for look in [stored_record_at, consumed_record_at, queued_record_at] {
            let mut bench = ViewBench::cold();
            for number in 0..4 {
                bench.commit_message(TOPIC, 3, "", format!("m{number}").as_bytes());
            }
            let position = bench.entry(TOPIC, 3, 1).physical_offset;
            let found = look(&bench.views, position).unwrap().expect("a record");
            assert_eq!(Record::parse(&found).unwrap().body(), b"m1");
            let end = bench.views.applied_position();
            for nothing in [0, position + 4, end - 1, end, u64::MAX] {
                assert_eq!(look(&bench.views, nothing).unwrap(), None, "{nothing}");
            }
            let rotted = bench.rot(TOPIC, 3, 2).physical_offset;
            assert!(look(&bench.views, rotted).is_err());
            assert_eq!(bench.views.damage.count(), 1);
        }
    }

    #[test]
    fn a_message_of_a_deleted_topic_is_found_by_its_place_only() {
        let mut bench = ViewBench::new();
        bench.commit_ops(&[Op::PutTopic(PutTopic {
            config: TopicConfig::new("orders", 4, 6),
            changed_at_ms: 1,
        })]);
        bench.commit_message("orders", 3, "", b"m");
        let position = bench.entry("orders", 3, 0).physical_offset;
        assert!(
            consumed_record_at(&bench.views, position)
                .unwrap()
                .is_some()
        );
        bench.commit_ops(&[Op::DeleteTopic(DeleteTopic {
            name: "orders".into(),
            changed_at_ms: 2,
        })]);
        assert!(stored_record_at(&bench.views, position).unwrap().is_some());
        assert!(
            consumed_record_at(&bench.views, position)
                .unwrap()
                .is_none()
        );
        assert!(queued_record_at(&bench.views, position).unwrap().is_none());
    }

    #[test]
    fn one_look_ends_after_so_many_entries() {
        let bench = ViewBench::new();
        let queue = queue(&bench);
        for offset in 0..SCAN_LIMIT + 500 {
            let entry = QueueEntry {
                physical_offset: offset * 100,
                size: 100,
                tags_code: 1,
            };
            bench
                .views
                .queues
                .append(queue.0, queue.1, offset, entry)
                .unwrap();
        }
        let filter = Subscription::parse("none").unwrap();
        let found = scan(&bench.views.queues, queue, 0, &filter, 32).unwrap();
        assert!(
            found.entries.is_empty() && found.next >= SCAN_LIMIT && found.next < SCAN_LIMIT + 500
        );
    }
}
