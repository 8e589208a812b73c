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
//! It is a task of the leader's (`leader_tasks.rs`).

mod reprieve;

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;
use tern_log::{LogError, QueueEntry};
use tern_state::delay::{LEVELS, SCHEDULE_TOPIC, level_queue};
use tern_state::{DelayProgress, Op};
use tern_wire::properties::{get, names};
use tern_wire::record::{NewRecord, Record, encode};

use crate::leader_tasks::{LeaderTask, TaskNotice, TaskTime, TaskView, TaskWork};
use crate::proposal::{Draft, Outcome};
use reprieve::Reprieve;

/// Messages of one batch.
const BATCH_MESSAGES: usize = 64;
/// Bytes of one batch, a single longer message apart.
const BATCH_BYTES: u64 = 256 << 10;
/// Pause of a level that could not go on.
const PAUSE_MS: u64 = 100;

/// Where a level stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum LevelState {
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
}

/// All levels of a leader.
#[derive(Debug, Default)]
pub struct DelayScheduler {
    levels: [LevelState; LEVELS as usize],
    reprieves: [Option<Reprieve>; LEVELS as usize],
}

impl DelayScheduler {
    /// All levels have to be looked at.
    pub fn new() -> Self {
        Self::default()
    }

    fn look(&mut self, level: u16, view: &TaskView<'_>, work: &mut TaskWork) -> LevelState {
        let at = usize::from(level) - 1;
        let from = view.state.delay_progress(level);
        let now = view.now;
        self.reprieves[at] = self.reprieves[at].filter(|it| it.covers(from));
        let over = self.reprieves[at].filter(|it| it.is_over(now.monotonic_ms));
        let batch = match find(level, over.map_or(0, |it| it.end()), view) {
            Ok(NextDue::Nothing) => return LevelState::Empty,
            Ok(NextDue::Later { due_ms, end }) => {
                if reprieve::is_beyond(level, due_ms, now.wall_ms) {
                    let begun = Reprieve::begin(level, end, now.monotonic_ms);
                    self.reprieves[at].get_or_insert(begun);
                }
                return LevelState::Until(due_ms);
            }
            Ok(NextDue::Due(batch)) => batch,
            Err((position, error)) => {
                work.notices.push(TaskNotice::Unreadable {
                    level,
                    position,
                    error,
                });
                return LevelState::Pause;
            }
        };
        let dropped = batch.dropped.into_iter();
        work.notices
            .extend(dropped.map(|(topic, queue_offset)| TaskNotice::Dropped {
                topic,
                queue_offset,
            }));
        let mut ops = Vec::new();
        let progress = Op::DelayProgress(DelayProgress {
            level,
            from: batch.from,
            to: batch.to,
        });
        progress.encode(&mut ops);
        work.propose(level, batch.drafts, Bytes::from(ops));
        LevelState::Asked
    }
}

impl LeaderTask for DelayScheduler {
    fn topics(&self) -> &[&'static str] {
        &[SCHEDULE_TOPIC]
    }

    fn begin(&mut self) {
        *self = Self::default();
    }

    fn wake(&mut self) {
        for step in &mut self.levels {
            if *step == LevelState::Empty {
                *step = LevelState::Look;
            }
        }
    }

    /// Looks at every level that may have something due.
    fn work(&mut self, view: &TaskView<'_>, work: &mut TaskWork) {
        for level in 1..=LEVELS {
            let at = usize::from(level) - 1;
            let may = match &self.levels[at] {
                LevelState::Look | LevelState::Pause => true,
                LevelState::Until(due) => match &self.reprieves[at] {
                    _ if *due <= view.now.wall_ms => true,
                    Some(reprieve) => reprieve.is_over(view.now.monotonic_ms),
                    None => reprieve::is_beyond(level, *due, view.now.wall_ms),
                },
                LevelState::Empty | LevelState::Asked => false,
            };
            if may {
                self.levels[at] = self.look(level, view, work);
            }
        }
    }

    /// The number of a proposal is its level.
    fn decided(&mut self, level: u16, outcome: &Outcome) {
        self.levels[usize::from(level) - 1] = match outcome {
            Outcome::Stored(_) => LevelState::Look,
            _ => LevelState::Pause,
        };
    }

    fn idle_ms(&self, now: TaskTime) -> Option<u64> {
        let levels = self.levels.iter().zip(&self.reprieves);
        let waits = levels.filter_map(|(step, reprieve)| match step {
            LevelState::Look => Some(0),
            LevelState::Until(due) => {
                let left = reprieve.map(|it| it.left_ms(now.monotonic_ms));
                Some(
                    due.saturating_sub(now.wall_ms)
                        .min(left.unwrap_or(u64::MAX)),
                )
            }
            LevelState::Pause => Some(PAUSE_MS),
            LevelState::Empty | LevelState::Asked => None,
        });
        waits.min()
    }
}

/// Where a level could not be read, and why.
type Unreadable = (Option<u64>, LogError);

enum NextDue {
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
fn find(level: u16, over: u64, view: &TaskView<'_>) -> Result<NextDue, Unreadable> {
    let (Some(topic), queue_id) = (view.state.topic(SCHEDULE_TOPIC), level_queue(level)) else {
        return Ok(NextDue::Nothing);
    };
    let from = view.state.delay_progress(level);
    let mut entries = Vec::with_capacity(BATCH_MESSAGES);
    let begin = from.max(view.queues.range(topic.id, queue_id).0);
    view.queues
        .read(topic.id, queue_id, begin, BATCH_MESSAGES, &mut entries)
        .map_err(|error| (None, error))?;
    let Some(first) = entries.first() else {
        return Ok(NextDue::Nothing);
    };
    let is_due =
        |entry: &QueueEntry, offset: u64| offset < over || due_ms(entry) <= view.now.wall_ms;
    if !is_due(first, begin) {
        return Ok(NextDue::Later {
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
    Ok(NextDue::Due(batch))
}

/// The apply step writes the due time where other queues have the tag.
fn due_ms(entry: &QueueEntry) -> u64 {
    entry.tags_code.cast_unsigned()
}

impl Batch {
    fn add(&mut self, entry: &QueueEntry, view: &TaskView<'_>) -> Result<(), Unreadable> {
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
    fn put_again(&mut self, delayed: &Record<'_>, view: &TaskView<'_>) -> Option<()> {
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
    use crate::leader_tasks::LeaderTasks;
    use crate::testing::LogBench;
    use crate::{RejectReason, StoredRecords};
    use tern_state::DelayProgress;
    use tern_wire::record::iter;

    pub(crate) const REAL: &str = "BenchmarkTest";

    pub(crate) fn put(bench: &mut LogBench, level: u16, real: &str, body: &[u8]) -> u64 {
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

    /// The levels of a leader, and its monotonic clock.
    pub(crate) struct Leader {
        pub tasks: LeaderTasks,
        pub monotonic_ms: u64,
    }

    impl Leader {
        pub fn idle_ms(&self, wall_ms: u64) -> Option<u64> {
            self.tasks.idle_ms(self.now(wall_ms))
        }

        fn now(&self, wall_ms: u64) -> TaskTime {
            TaskTime {
                wall_ms,
                monotonic_ms: self.monotonic_ms,
            }
        }
    }

    pub(crate) fn work(leader: &mut Leader, bench: &LogBench, wall_ms: u64) -> TaskWork {
        let now = leader.now(wall_ms);
        leader.tasks.work(&TaskView {
            state: bench.state(),
            queues: &bench.queues,
            log: &bench.reader,
            now,
            store_host: "127.0.0.1:10911".parse().unwrap(),
        })
    }

    /// The only level that could not be read, and where.
    fn unreadable(work: &TaskWork) -> (u16, Option<u64>) {
        match &work.notices[..] {
            [
                TaskNotice::Unreadable {
                    level,
                    position,
                    error: LogError::Rotted { .. },
                },
            ] => (*level, *position),
            other => panic!("not one level that rotted: {other:?}"),
        }
    }

    /// The only proposal of a look, applied; how many messages it has.
    fn carried_out(leader: &mut Leader, bench: &mut LogBench, now_ms: u64) -> usize {
        let mut work = work(leader, bench, now_ms);
        assert_eq!(work.proposals.len(), 1);
        let proposal = work.proposals.remove(0);
        bench.commit_proposal(&proposal.drafts, &proposal.ops);
        let stored = Outcome::Stored(StoredRecords::default());
        leader.tasks.decided(proposal.ticket, &stored);
        proposal.drafts.iter().map(|draft| draft.sizes.len()).sum()
    }

    pub(crate) fn leading() -> Leader {
        let mut tasks = LeaderTasks::new(vec![Box::new(DelayScheduler::new())]);
        tasks.begin(1);
        Leader {
            tasks,
            monotonic_ms: 0,
        }
    }

    #[test]
    fn a_message_is_put_when_it_is_due_with_its_progress_and_once() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        put(&mut bench, 1, REAL, b"hello");
        // The second frame is stored at 10 ms.
        assert!(work(&mut leader, &bench, 1_009).proposals.is_empty());
        assert_eq!(leader.idle_ms(1_000), Some(10));
        let proposal = work(&mut leader, &bench, 1_010).proposals.remove(0);
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
            work(&mut leader, &bench, 9_999).proposals.is_empty(),
            "under way"
        );
        bench.commit_proposal(&proposal.drafts, &proposal.ops);
        leader
            .tasks
            .decided(proposal.ticket, &Outcome::Stored(StoredRecords::default()));
        assert!(work(&mut leader, &bench, 9_999).proposals.is_empty());
        assert_eq!(bench.state().next_offset(REAL, 3), 1);
        assert_eq!(leader.idle_ms(9_999), None, "nothing waits");
    }

    #[test]
    fn new_messages_wake_a_level_that_was_empty() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        assert!(work(&mut leader, &bench, 0).proposals.is_empty());
        put(&mut bench, 2, REAL, b"m");
        assert_eq!(leader.idle_ms(0), None);
        leader.tasks.wake();
        assert!(work(&mut leader, &bench, 0).proposals.is_empty());
        assert_eq!(leader.idle_ms(5_000), Some(10));
    }

    #[test]
    fn what_was_not_stored_is_proposed_again_after_a_pause() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        put(&mut bench, 1, REAL, b"m");
        for outcome in [
            Outcome::Rejected(RejectReason::Outdated),
            Outcome::Unknown,
            Outcome::NotStored,
        ] {
            let proposal = work(&mut leader, &bench, 2_000).proposals.remove(0);
            leader.tasks.decided(proposal.ticket, &outcome);
            assert_eq!(leader.idle_ms(2_000), Some(PAUSE_MS));
        }
        assert_eq!(carried_out(&mut leader, &mut bench, 2_000), 1);
    }

    #[test]
    fn an_answer_of_another_term_changes_nothing() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        put(&mut bench, 1, REAL, b"m");
        let old = work(&mut leader, &bench, 2_000).proposals.remove(0);
        leader.tasks.begin(3);
        assert_eq!(work(&mut leader, &bench, 2_000).proposals.len(), 1);
        leader.tasks.decided(old.ticket, &Outcome::NotStored);
        assert!(work(&mut leader, &bench, 2_000).proposals.is_empty());
        leader.tasks.end();
        assert_eq!(leader.idle_ms(2_000), None);
        assert!(work(&mut leader, &bench, 2_000).proposals.is_empty());
    }

    #[test]
    fn a_message_whose_topic_is_gone_is_left_out_and_the_rest_is_put() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        put(&mut bench, 1, "gone", b"m0");
        put(&mut bench, 1, REAL, b"m1");
        let proposal = work(&mut leader, &bench, 9_000);
        assert!(
            matches!(&proposal.notices[..], [TaskNotice::Dropped { topic, queue_offset: 0 }] if topic == "gone")
        );
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
        let (mut bench, mut leader) = (LogBench::cold(), leading());
        for number in 0..4 {
            put(&mut bench, 1, REAL, format!("m{number}").as_bytes());
        }
        let rotted = bench.rot(SCHEDULE_TOPIC, level_queue(1), 2);
        assert_eq!(carried_out(&mut leader, &mut bench, 9_000), 2);
        let found = work(&mut leader, &bench, 9_000);
        assert!(found.proposals.is_empty());
        assert_eq!(unreadable(&found), (1, Some(rotted.physical_offset)));
        assert_eq!(leader.idle_ms(9_000), Some(PAUSE_MS));
    }

    /// The body's own checksum is right, so nothing but the frame's says that the real topic is not what it reads.
    #[test]
    fn a_message_whose_properties_rotted_is_not_left_out_as_one_of_a_deleted_topic() {
        let (mut bench, mut leader) = (LogBench::cold(), leading());
        for number in 0..4 {
            put(&mut bench, 1, REAL, format!("m{number}").as_bytes());
        }
        let rotted = bench.rot_properties(SCHEDULE_TOPIC, level_queue(1), 2, REAL);
        assert_eq!(carried_out(&mut leader, &mut bench, 9_000), 2);
        let found = work(&mut leader, &bench, 9_000);
        assert!(found.proposals.is_empty());
        assert_eq!(unreadable(&found), (1, Some(rotted.physical_offset)));
    }

    #[test]
    fn a_batch_has_64_messages_or_256_kib_and_ends_before_what_is_not_due() {
        let (mut bench, mut leader) = (LogBench::new(), leading());
        for _ in 0..70 {
            put(&mut bench, 1, REAL, b"m");
        }
        assert_eq!(carried_out(&mut leader, &mut bench, 5_000), 64);
        // The 68th of them was stored at 680 ms.
        assert_eq!(carried_out(&mut leader, &mut bench, 1_680), 4);
        assert!(work(&mut leader, &bench, 1_680).proposals.is_empty());
        assert_eq!(carried_out(&mut leader, &mut bench, 5_000), 2);
        for size in [300 << 10, 100 << 10, 100 << 10, 100 << 10] {
            put(&mut bench, 3, REAL, &vec![b'x'; size]);
        }
        leader.tasks.wake();
        for count in [1, 2, 1] {
            assert_eq!(carried_out(&mut leader, &mut bench, 50_000), count);
        }
        assert_eq!(bench.state().delay_progress(3), 4);
    }
}
