//! Delayed messages, put into their topics when they are due.
//!
//! A delayed message waits in the queue of its level. When it is due, the leader appends it again under its real
//! topic, and in the *same frame* moves the level's progress on: whatever becomes of that frame, the message is put
//! exactly once. Each level has one batch under way at most, because the next one begins where that one ends; the
//! leader refuses a batch that does not begin where its log ends.
//!
//! A message carries when it is due by the clock of the leader that stored it. That clock may have been wrong, and no
//! right one shows a message that is due later than after its level's delay. Such a message, and what stands behind it
//! then, waits for that delay by the monotonic clock and no longer: a year ahead for a moment holds nothing back for a
//! year.
//!
//! Nothing here has a thread, a clock or a socket: whoever drives it says what time it is and hands in its proposals.

mod reprieve;

use std::net::SocketAddr;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_log::{ConsumeQueues, LogError, LogReader, QueueEntry};
use tern_state::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use tern_state::{DelayProgress, Op, State};
use tern_wire::properties::{get, names};
use tern_wire::record::{NewRecord, Record, encode};

use super::inputs::{Draft, Outcome};
use reprieve::Reprieve;
use tern_log::planted::{Bug, is_planted};

/// Messages of one batch.
const BATCH_MESSAGES: usize = 64;
/// Bytes of one batch, a single longer message apart.
const BATCH_BYTES: u64 = 256 << 10;
/// Pause of a level that could not go on.
const PAUSE_MS: u64 = 100;

/// What there is to see when delayed messages are looked for.
#[derive(Clone, Copy)]
pub struct DelayView<'a> {
    /// The applied state.
    pub state: &'a State,
    /// The consume queues that belong to it.
    pub queues: &'a ConsumeQueues,
    /// The log that they point into.
    pub log: &'a LogReader,
    /// The leader's wall clock, ms: a message is due by it.
    pub now_ms: u64,
    /// The address that messages put again carry as that of their broker.
    pub store_host: SocketAddr,
}

/// Names a batch when its outcome comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayTicket {
    /// Term in which it was proposed.
    pub term: u64,
    /// Delay level.
    pub level: u16,
}

/// A batch to be proposed, answered when it is applied.
#[derive(Debug)]
pub struct DelayProposal {
    /// The messages, for their real topics.
    pub drafts: SmallVec<[Draft; 1]>,
    /// The level's progress.
    pub ops: Bytes,
    /// Comes back with the outcome.
    pub ticket: DelayTicket,
}

/// What one look at the levels led to.
#[derive(Debug, Default)]
pub struct DelayWork {
    /// To be proposed.
    pub proposals: Vec<DelayProposal>,
    /// Due messages that are left out, because their topics do not exist any more: topic, and offset in the queue of
    /// the level.
    pub dropped: Vec<(String, u64)>,
    /// Levels that could not be read. They are tried again.
    pub unreadable: Vec<UnreadLevel>,
}

/// A level that could not be read.
#[derive(Debug)]
pub struct UnreadLevel {
    /// The level.
    pub level: u16,
    /// Where its message stands in the log; none if its queue could not be read.
    pub position: Option<u64>,
    /// Why.
    pub error: LogError,
}

/// Where a level stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Step {
    /// Has to be looked at.
    #[default]
    Look,
    /// Nothing waits in its queue.
    Empty,
    /// Its first message is due then.
    Until(u64),
    /// The last batch was not stored, or not yet: to be looked at again after a pause. One that stands undecided in
    /// the leader's log makes it refuse the next, as that does not begin where the level will then be.
    Pause,
    /// A batch is under way.
    Asked,
    /// A planted bug: the messages are put, their progress follows in another frame.
    Owed(Bytes),
}

/// All levels of a leader; a replica that does not lead has an idle one.
#[derive(Debug, Default)]
pub struct Delays {
    term: Option<u64>,
    /// What the monotonic clock said last, ms.
    monotonic_ms: u64,
    levels: [Step; LEVELS as usize],
    reprieves: [Option<Reprieve>; LEVELS as usize],
    /// Of a planted bug: progress that was held back from the frame of its messages.
    withheld: [Option<Bytes>; LEVELS as usize],
}

impl Delays {
    /// Idle.
    pub fn new() -> Self {
        Self::default()
    }

    /// This replica leads in `term`, and everything that was committed before is applied: a fresh read has shown it.
    pub fn begin(&mut self, term: u64) {
        *self = Self {
            term: Some(term),
            monotonic_ms: self.monotonic_ms,
            ..Self::default()
        };
    }

    /// It does not lead any more. What is under way is decided by the log.
    pub fn end(&mut self) {
        *self = Self {
            monotonic_ms: self.monotonic_ms,
            ..Self::default()
        };
    }

    /// The monotonic clock says this now, ms; to be told before each look and before [`Self::idle_ms`].
    pub fn at(&mut self, monotonic_ms: u64) {
        self.monotonic_ms = monotonic_ms;
    }

    /// The term that is being served.
    pub fn term(&self) -> Option<u64> {
        self.term
    }

    /// New messages came into the queues of the levels, or the state moved on.
    pub fn wake(&mut self) {
        for step in &mut self.levels {
            if *step == Step::Empty {
                *step = Step::Look;
            }
        }
    }

    /// What became of a batch.
    pub fn decided(&mut self, ticket: DelayTicket, outcome: &Outcome) {
        if self.term != Some(ticket.term) {
            return;
        }
        let at = usize::from(ticket.level) - 1;
        self.levels[at] = match outcome {
            Outcome::Stored(_) => match self.withheld[at].take() {
                Some(progress) => Step::Owed(progress),
                None => Step::Look,
            },
            _ => Step::Pause,
        };
    }

    /// How long there is nothing to do unless something is told, ms; for ever if nothing waits.
    pub fn idle_ms(&self, now_ms: u64) -> Option<u64> {
        self.term?;
        let levels = self.levels.iter().zip(&self.reprieves);
        let waits = levels.filter_map(|(step, reprieve)| match step {
            Step::Look | Step::Owed(_) => Some(0),
            Step::Until(due) => {
                let left = reprieve.map(|it| it.left_ms(self.monotonic_ms));
                Some(due.saturating_sub(now_ms).min(left.unwrap_or(u64::MAX)))
            }
            Step::Pause => Some(PAUSE_MS),
            Step::Empty | Step::Asked => None,
        });
        waits.min()
    }

    /// Look at every level that may have something due.
    pub fn work(&mut self, view: &DelayView<'_>) -> DelayWork {
        let mut work = DelayWork::default();
        let Some(term) = self.term else {
            return work;
        };
        for level in 1..=LEVELS {
            let at = usize::from(level) - 1;
            let ticket = DelayTicket { term, level };
            let may = match &self.levels[at] {
                Step::Look | Step::Pause => true,
                Step::Until(due) => match &self.reprieves[at] {
                    _ if *due <= view.now_ms => true,
                    Some(reprieve) => reprieve.is_over(self.monotonic_ms),
                    None => reprieve::is_beyond(level, *due, view.now_ms),
                },
                Step::Owed(_) => {
                    let Step::Owed(ops) = std::mem::replace(&mut self.levels[at], Step::Asked)
                    else {
                        unreachable!("looked at above");
                    };
                    work.proposals.push(DelayProposal {
                        drafts: SmallVec::new(),
                        ops,
                        ticket,
                    });
                    false
                }
                Step::Empty | Step::Asked => false,
            };
            if may {
                self.levels[at] = self.look(ticket, view, &mut work);
            }
        }
        work
    }

    fn look(&mut self, ticket: DelayTicket, view: &DelayView<'_>, work: &mut DelayWork) -> Step {
        let at = usize::from(ticket.level) - 1;
        let from = view.state.delay_progress(ticket.level);
        self.reprieves[at] = self.reprieves[at].filter(|it| it.covers(from));
        let over = self.reprieves[at].filter(|it| it.is_over(self.monotonic_ms));
        let batch = match find(ticket.level, over.map_or(0, |it| it.end()), view) {
            Ok(Found::Nothing) => return Step::Empty,
            Ok(Found::Later { due_ms, end }) => {
                if reprieve::is_beyond(ticket.level, due_ms, view.now_ms) {
                    let begun = Reprieve::begin(ticket.level, end, self.monotonic_ms);
                    self.reprieves[at].get_or_insert(begun);
                }
                return Step::Until(due_ms);
            }
            Ok(Found::Due(batch)) => batch,
            Err((position, error)) => {
                work.unreadable.push(UnreadLevel {
                    level: ticket.level,
                    position,
                    error,
                });
                return Step::Pause;
            }
        };
        work.dropped.extend(batch.dropped);
        let mut ops = Vec::new();
        let progress = Op::DelayProgress(DelayProgress {
            level: ticket.level,
            from: batch.from,
            to: batch.to,
        });
        progress.encode(&mut ops);
        let mut ops = Bytes::from(ops);
        if is_planted(Bug::DelayProgressApart) && !batch.drafts.is_empty() {
            self.withheld[usize::from(ticket.level) - 1] = Some(std::mem::take(&mut ops));
        }
        work.proposals.push(DelayProposal {
            drafts: batch.drafts,
            ops,
            ticket,
        });
        Step::Asked
    }
}

/// Where a level could not be read, and why.
type Unreadable = (Option<u64>, LogError);

enum Found {
    Nothing,
    /// When the first message is due, and where the queue ends.
    Later {
        due_ms: u64,
        end: u64,
    },
    Due(Batch),
}

#[derive(Default)]
struct Batch {
    drafts: SmallVec<[Draft; 1]>,
    from: u64,
    to: u64,
    dropped: Vec<(String, u64)>,
    /// Positions of the frame that was checked last.
    sound: Range<u64>,
}

/// The due messages of a level from its progress on; all before `over` are, whatever they carry. They are put in the
/// order in which they stand.
fn find(level: u16, over: u64, view: &DelayView<'_>) -> Result<Found, Unreadable> {
    let (Some(topic), queue_id) = (view.state.topic(SCHEDULE_TOPIC), level_queue(level)) else {
        return Ok(Found::Nothing);
    };
    let from = view.state.delay_progress(level);
    let mut entries = Vec::with_capacity(BATCH_MESSAGES);
    let begin = from.max(view.queues.range(topic.id, queue_id).0);
    view.queues
        .read(topic.id, queue_id, begin, BATCH_MESSAGES, &mut entries)
        .map_err(|error| (None, error))?;
    let Some(first) = entries.first() else {
        return Ok(Found::Nothing);
    };
    let is_due = |entry: &QueueEntry, offset: u64| offset < over || due_ms(entry) <= view.now_ms;
    if !is_due(first, begin) {
        return Ok(Found::Later {
            due_ms: due_ms(first),
            end: view.queues.range(topic.id, queue_id).1,
        });
    }
    let mut batch = Batch {
        from,
        to: begin,
        ..Batch::default()
    };
    let mut bytes = 0;
    for entry in entries {
        bytes += u64::from(entry.size);
        if !is_due(&entry, batch.to) || (bytes > BATCH_BYTES && batch.to > begin) {
            break;
        }
        match batch.add(&entry, view) {
            // Those before it are put; the next look begins with it.
            Err(_) if batch.to > begin => break,
            added => added?,
        }
        batch.to += 1;
    }
    Ok(Found::Due(batch))
}

/// The apply step writes the due time where other queues have the tag.
fn due_ms(entry: &QueueEntry) -> u64 {
    entry.tags_code.cast_unsigned()
}

impl Batch {
    fn add(&mut self, entry: &QueueEntry, view: &DelayView<'_>) -> Result<(), Unreadable> {
        let position = entry.physical_offset;
        // A damaged copy is not left out: another replica may have a good one. Properties that rotted would name another
        // topic, or one that is not there, over a body whose checksum is right.
        let bytes = view
            .log
            .sound_record(entry, &mut self.sound)
            .map_err(|error| (Some(position), error))?;
        let Ok(record) = Record::parse(&bytes) else {
            return Err((Some(position), LogError::WrongEntry { position }));
        };
        if self.put_again(&record, view).is_none() {
            let topic = get(record.properties(), names::REAL_TOPIC).unwrap_or_default();
            self.dropped.push((topic.to_owned(), self.to));
        }
        Ok(())
    }

    /// A delayed message as a message of its real topic; none if that is gone.
    fn put_again(&mut self, delayed: &Record<'_>, view: &DelayView<'_>) -> Option<()> {
        let text = delayed.properties();
        let topic = &view.state.topic(get(text, names::REAL_TOPIC)?)?.config.name;
        let queue_id: u32 = get(text, names::REAL_QID)?.parse().ok()?;
        let record = NewRecord {
            queue_id: queue_id.cast_signed(),
            flag: delayed.flag(),
            sys_flag: delayed.sys_flag(),
            born_timestamp_ms: delayed.born_timestamp_ms(),
            born_host: delayed.born_host(),
            store_host: view.store_host,
            reconsume_times: delayed.reconsume_times(),
            prepared_transaction_offset: delayed.prepared_transaction_offset(),
            body: delayed.body(),
            topic,
            // All of them: RocketMQ too delivers what held the message back, and consumers read its level there.
            properties: text.as_bytes(),
        };
        let draft = match self.drafts.last_mut() {
            Some(last) if last.queue_id == queue_id && last.topic == *topic => last,
            _ => {
                self.drafts.push(Draft {
                    topic: topic.clone(),
                    queue_id,
                    bytes: Vec::with_capacity(record.encoded_len()),
                    sizes: SmallVec::new(),
                });
                self.drafts.last_mut()?
            }
        };
        let size = encode(&record, &mut draft.bytes).ok()?;
        draft.sizes.push(size as u32);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::{Refusal, Stored};
    use crate::testing::Bench;
    use tern_wire::record::iter;

    pub(super) const REAL: &str = "BenchmarkTest";

    pub(super) fn put(bench: &mut Bench, level: u16, real: &str, body: &[u8]) -> u64 {
        let properties = format!(
            "TAGS\u{1}a\u{2}DELAY\u{1}{level}\u{2}REAL_TOPIC\u{1}{real}\u{2}REAL_QID\u{1}3\u{2}"
        );
        let host = "127.0.0.1:1".parse().unwrap();
        bench.commit_record(&NewRecord {
            queue_id: level_queue(level).cast_signed(),
            flag: 5,
            sys_flag: 0,
            born_timestamp_ms: 17,
            born_host: host,
            store_host: host,
            reconsume_times: 2,
            prepared_transaction_offset: 0,
            body,
            topic: SCHEDULE_TOPIC,
            properties: properties.as_bytes(),
        })
    }

    pub(super) fn work(delays: &mut Delays, bench: &Bench, now_ms: u64) -> DelayWork {
        let state = bench.views.state();
        delays.work(&DelayView {
            state: &state,
            queues: &bench.views.queues,
            log: &bench.views.log,
            now_ms,
            store_host: "127.0.0.1:10911".parse().unwrap(),
        })
    }

    /// The only proposal of a look, applied; how many messages it has.
    fn carried_out(delays: &mut Delays, bench: &mut Bench, now_ms: u64) -> usize {
        let mut work = work(delays, bench, now_ms);
        assert_eq!(work.proposals.len(), 1);
        let proposal = work.proposals.remove(0);
        bench.commit_proposal(&proposal.drafts, &proposal.ops);
        delays.decided(proposal.ticket, &Outcome::Stored(Stored::default()));
        proposal.drafts.iter().map(|draft| draft.sizes.len()).sum()
    }

    pub(super) fn leading() -> Delays {
        let mut delays = Delays::new();
        delays.begin(1);
        delays
    }

    #[test]
    fn a_message_is_put_when_it_is_due_with_its_progress_and_once() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        put(&mut bench, 1, REAL, b"hello");
        // The second frame is stored at 10 ms.
        assert!(work(&mut delays, &bench, 1_009).proposals.is_empty());
        assert_eq!(delays.idle_ms(1_000), Some(10));
        let proposal = work(&mut delays, &bench, 1_010).proposals.remove(0);
        assert_eq!(
            Op::decode_all(&proposal.ops).unwrap(),
            [Op::DelayProgress(DelayProgress {
                level: 1,
                from: 0,
                to: 1
            })]
        );
        let draft = &proposal.drafts[0];
        assert_eq!((&*draft.topic, draft.queue_id), (REAL, 3));
        let record = iter(&draft.bytes).next().unwrap().unwrap();
        assert_eq!(
            (record.topic(), record.queue_id(), record.body()),
            (REAL, 3, &b"hello"[..])
        );
        assert_eq!(
            record.properties(),
            "TAGS\u{1}a\u{2}DELAY\u{1}1\u{2}REAL_TOPIC\u{1}BenchmarkTest\u{2}REAL_QID\u{1}3\u{2}"
        );
        assert_eq!((record.flag(), record.born_timestamp_ms()), (5, 17));
        assert_eq!(
            (record.reconsume_times(), record.store_host().port()),
            (2, 10911)
        );
        assert!(
            work(&mut delays, &bench, 9_999).proposals.is_empty(),
            "under way"
        );
        bench.commit_proposal(&proposal.drafts, &proposal.ops);
        delays.decided(proposal.ticket, &Outcome::Stored(Stored::default()));
        assert!(work(&mut delays, &bench, 9_999).proposals.is_empty());
        assert_eq!(bench.views.state().next_offset(REAL, 3), 1);
        assert_eq!(delays.idle_ms(9_999), None, "nothing waits");
    }

    #[test]
    fn new_messages_wake_a_level_that_was_empty() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        assert!(work(&mut delays, &bench, 0).proposals.is_empty());
        put(&mut bench, 2, REAL, b"m");
        assert_eq!(delays.idle_ms(0), None);
        delays.wake();
        assert!(work(&mut delays, &bench, 0).proposals.is_empty());
        assert_eq!(delays.idle_ms(5_000), Some(10));
    }

    #[test]
    fn what_was_not_stored_is_proposed_again_after_a_pause() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        put(&mut bench, 1, REAL, b"m");
        for outcome in [
            Outcome::Refused(Refusal::Outdated),
            Outcome::Unknown,
            Outcome::NotStored,
        ] {
            let proposal = work(&mut delays, &bench, 2_000).proposals.remove(0);
            delays.decided(proposal.ticket, &outcome);
            assert_eq!(delays.idle_ms(2_000), Some(PAUSE_MS));
        }
        assert_eq!(carried_out(&mut delays, &mut bench, 2_000), 1);
    }

    #[test]
    fn an_answer_of_another_term_changes_nothing() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        put(&mut bench, 1, REAL, b"m");
        let old = work(&mut delays, &bench, 2_000).proposals.remove(0);
        delays.begin(3);
        assert_eq!(work(&mut delays, &bench, 2_000).proposals.len(), 1);
        delays.decided(old.ticket, &Outcome::NotStored);
        assert!(work(&mut delays, &bench, 2_000).proposals.is_empty());
        delays.end();
        assert_eq!(delays.idle_ms(2_000), None);
        assert!(work(&mut delays, &bench, 2_000).proposals.is_empty());
    }

    #[test]
    fn a_message_whose_topic_is_gone_is_left_out_and_the_rest_is_put() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        put(&mut bench, 1, "gone", b"m0");
        put(&mut bench, 1, REAL, b"m1");
        let proposal = work(&mut delays, &bench, 9_000);
        assert_eq!(proposal.dropped, [("gone".to_owned(), 0)]);
        assert_eq!(proposal.proposals[0].drafts.len(), 1);
        assert_eq!(
            Op::decode_all(&proposal.proposals[0].ops).unwrap(),
            [Op::DelayProgress(DelayProgress {
                level: 1,
                from: 0,
                to: 2
            })]
        );
    }

    #[test]
    fn a_damaged_message_is_neither_put_nor_left_out_and_those_before_it_are_put() {
        let (mut bench, mut delays) = (Bench::cold(), leading());
        for number in 0..4 {
            put(&mut bench, 1, REAL, format!("m{number}").as_bytes());
        }
        let rotted = bench.rot(SCHEDULE_TOPIC, level_queue(1), 2);
        assert_eq!(carried_out(&mut delays, &mut bench, 9_000), 2);
        let found = work(&mut delays, &bench, 9_000);
        assert!(found.proposals.is_empty() && found.dropped.is_empty());
        let unread = &found.unreadable[0];
        assert_eq!(
            (unread.level, unread.position),
            (1, Some(rotted.physical_offset))
        );
        assert!(matches!(unread.error, LogError::Rotted { .. }));
        assert_eq!(delays.idle_ms(9_000), Some(PAUSE_MS));
    }

    /// The body's own checksum is right, so nothing but the frame's says that the real topic is not what it reads.
    #[test]
    fn a_message_whose_properties_rotted_is_not_left_out_as_one_of_a_deleted_topic() {
        let (mut bench, mut delays) = (Bench::cold(), leading());
        for number in 0..4 {
            put(&mut bench, 1, REAL, format!("m{number}").as_bytes());
        }
        let rotted = bench.rot_properties(SCHEDULE_TOPIC, level_queue(1), 2, REAL);
        assert_eq!(carried_out(&mut delays, &mut bench, 9_000), 2);
        let found = work(&mut delays, &bench, 9_000);
        assert!(found.proposals.is_empty() && found.dropped.is_empty());
        let unread = &found.unreadable[0];
        assert_eq!(unread.position, Some(rotted.physical_offset));
        assert!(matches!(unread.error, LogError::Rotted { .. }));
    }

    #[test]
    fn a_batch_has_64_messages_or_256_kib_and_ends_before_what_is_not_due() {
        let (mut bench, mut delays) = (Bench::new(), leading());
        for _ in 0..70 {
            put(&mut bench, 1, REAL, b"m");
        }
        assert_eq!(carried_out(&mut delays, &mut bench, 5_000), 64);
        // The 68th of them was stored at 680 ms.
        assert_eq!(carried_out(&mut delays, &mut bench, 1_680), 4);
        assert!(work(&mut delays, &bench, 1_680).proposals.is_empty());
        assert_eq!(carried_out(&mut delays, &mut bench, 5_000), 2);
        for size in [300 << 10, 100 << 10, 100 << 10, 100 << 10] {
            put(&mut bench, 3, REAL, &vec![b'x'; size]);
        }
        delays.wake();
        for count in [1, 2, 1] {
            assert_eq!(carried_out(&mut delays, &mut bench, 50_000), count);
        }
        assert_eq!(bench.views.state().delay_progress(3), 4);
    }
}
