//! Whether the disk of this replica is fit for a leader, beside the disks of the others (D13, L41).
//!
//! A disk *hangs* while a flush takes longer than a second. It is *slow* where its syncs have taken far longer than those of
//! a majority of the others, for seconds: then the group is quicker without it at its head. What is slow everywhere is
//! slow nowhere. Either way its replica goes on following and voting: what it holds is durable, and only late.

use std::collections::VecDeque;

use bytes::Bytes;
use tern_replication::{Progress, ReplicaId};

use crate::disk_report::DiskReport;

/// A flush that takes longer makes a leader look for a successor, and keeps a follower from standing.
pub(crate) const HANGS_NS: u64 = 1_000_000_000;
/// Syncs that are remembered: one in two of them has to be slow, so that a stall now and then tells nothing.
const SYNCS: usize = 16;
/// Fewer tell nothing, either,
const ENOUGH_SYNCS: usize = 8;
/// and older ones nothing of now.
const SYNCS_NS: u64 = 10_000_000_000;
/// How many times as long as those of the others its syncs take where a disk becomes slow,
const FAR_ABOVE: u64 = 8;
/// and where it stays so.
const STILL_ABOVE: u64 = 4;
/// How long it is so before it counts: a slow disk,
const SLOW_FOR_NS: u64 = 3_000_000_000;
/// one that is slow no more,
const QUICK_FOR_NS: u64 = 10_000_000_000;
/// and one that hangs no more.
const AWAKE_FOR_NS: u64 = 5_000_000_000;
/// How long a peer's word counts.
const KNOWN_FOR_NS: u64 = 15_000_000_000;
/// A word is repeated after so long,
const REPEAT_NS: u64 = 5_000_000_000;
/// and what has changed is told after so long.
const TELL_AFTER_NS: u64 = 500_000_000;
/// A slow leader that nobody has relieved asks again after so long.
const ASK_AGAIN_NS: u64 = 5_000_000_000;

/// How a disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiskCondition {
    /// Fit for a leader.
    #[default]
    Well,
    /// Its syncs take far longer than those of the others.
    Slow,
    /// A flush takes longer than a second, or did so a moment ago.
    Hangs,
}

impl DiskCondition {
    /// Its name, as operators read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Slow => "slow",
            Self::Hangs => "hangs",
        }
    }
}

/// A change that an operator has to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskHealthChange {
    /// How it is now.
    pub now: DiskCondition,
    /// Median time of the newest syncs here, nanoseconds; 0 if there were few.
    pub own_ns: u64,
    /// What a majority of the others does not exceed, nanoseconds; 0 if it is not known.
    pub others_ns: u64,
}

impl DiskHealthChange {
    /// For the log of the process.
    pub fn sentence(&self) -> String {
        let ms = |ns: u64| ns as f64 / 1e6;
        match self.now {
            DiskCondition::Well => "the disk of this replica is well again: it may lead".to_owned(),
            DiskCondition::Slow => format!(
                "the disk of this replica is slow: its syncs take {:.1} ms, those of the others {:.1} ms; it hands \
                 leadership over and does not stand until that is over (slow_disk_ms)",
                ms(self.own_ns),
                ms(self.others_ns)
            ),
            DiskCondition::Hangs => {
                "the disk of this replica hangs: a flush takes longer than a second; it hands leadership over and does not \
                 stand until that is over"
                    .to_owned()
            }
        }
    }
}

/// What is known of a peer's disk.
#[derive(Debug)]
struct OtherDisk {
    peer: ReplicaId,
    report: DiskReport,
    heard_ns: u64,
}

/// What is known of all disks, and what follows for this one.
#[derive(Debug)]
pub(crate) struct DiskHealth {
    /// Syncs that are quicker are never slow, nanoseconds; 0 where none ever is.
    slow_ns: u64,
    syncs: VecDeque<(u64, u64)>,
    others: Vec<OtherDisk>,
    condition: DiskCondition,
    /// Since when it is what it does not count as yet.
    turning_since_ns: Option<u64>,
    told: Option<(DiskReport, u64)>,
    asked_ns: Option<u64>,
}

impl DiskHealth {
    /// `slow_ns`: a sync that is quicker is never slow, nanoseconds; 0 where none is.
    pub const fn new(slow_ns: u64) -> Self {
        Self {
            slow_ns,
            syncs: VecDeque::new(),
            others: Vec::new(),
            condition: DiskCondition::Well,
            turning_since_ns: None,
            told: None,
            asked_ns: None,
        }
    }

    /// How it is, as of the last look.
    pub const fn condition(&self) -> DiskCondition {
        self.condition
    }

    /// A sync of the log is over, and took so long.
    pub fn synced(&mut self, took_ns: u64, now_ns: u64) {
        if self.syncs.len() == SYNCS {
            self.syncs.pop_front();
        }
        self.syncs.push_back((now_ns, took_ns));
    }

    /// A peer says how its disk is; what is no such word is passed over.
    pub fn heard(&mut self, peer: ReplicaId, word: &Bytes, now_ns: u64) {
        let Some(report) = DiskReport::decode(word) else {
            return;
        };
        self.others.retain(|other| other.peer != peer);
        self.others.push(OtherDisk {
            peer,
            report,
            heard_ns: now_ns,
        });
    }

    /// Take stock. `unsynced_ns`: how long the oldest flush has been waited for; `majority`: how many of the others make one.
    pub fn look(
        &mut self,
        unsynced_ns: u64,
        majority: usize,
        now_ns: u64,
    ) -> Option<DiskHealthChange> {
        let others = self.quick_majority(majority, now_ns);
        let own = self.median(now_ns);
        let hangs = unsynced_ns > HANGS_NS;
        let is_above = |times: u64, least: u64| {
            let pair = own.zip(others);
            self.slow_ns > 0
                && pair.is_some_and(|(own, others)| own >= least && own / times >= others)
        };
        // Whether it turns into what it does not count as, how long that has to last, and what it is then.
        let (turns, after_ns, next) = match self.condition {
            DiskCondition::Well => (
                is_above(FAR_ABOVE, self.slow_ns),
                SLOW_FOR_NS,
                DiskCondition::Slow,
            ),
            // Where nobody else is quick, nothing is gained by waiting.
            DiskCondition::Slow => (
                !is_above(STILL_ABOVE, self.slow_ns / 2),
                if others.is_some() { QUICK_FOR_NS } else { 0 },
                DiskCondition::Well,
            ),
            DiskCondition::Hangs => (
                !hangs,
                if self.well_others(now_ns) >= majority {
                    AWAKE_FOR_NS
                } else {
                    0
                },
                DiskCondition::Well,
            ),
        };
        let since_ns = turns.then(|| *self.turning_since_ns.get_or_insert(now_ns));
        self.turning_since_ns = since_ns;
        let has_turned = since_ns.is_some_and(|since| now_ns.saturating_sub(since) >= after_ns);
        let now = match (hangs, has_turned) {
            (true, _) => DiskCondition::Hangs,
            (false, true) => next,
            (false, false) => self.condition,
        };
        if now == self.condition {
            return None;
        }
        self.condition = now;
        self.turning_since_ns = None;
        Some(DiskHealthChange {
            now,
            own_ns: own.unwrap_or(0),
            others_ns: others.unwrap_or(0),
        })
    }

    /// Whether a slow leader should ask for a successor now.
    pub fn asks_to_be_relieved(&mut self, now_ns: u64) -> bool {
        let asks = self.condition == DiskCondition::Slow
            && self
                .asked_ns
                .is_none_or(|asked| now_ns.saturating_sub(asked) >= ASK_AGAIN_NS);
        if asks {
            self.asked_ns = Some(now_ns);
        }
        asks
    }

    /// Who should lead instead: of those that are heard of and whose disks are well, the one that has most.
    pub fn successor(
        &self,
        followers: &[Progress],
        voters: &[ReplicaId],
        now_ns: u64,
    ) -> Option<ReplicaId> {
        let may = |peer: &&Progress| {
            peer.active && voters.contains(&peer.replica) && !self.is_sick(peer.replica, now_ns)
        };
        let best = followers.iter().filter(may);
        best.max_by_key(|peer| (peer.matched, peer.replica))
            .map(|peer| peer.replica)
    }

    /// What the others are to be told, if it is time.
    pub fn word(&mut self, now_ns: u64) -> Option<Bytes> {
        let report = DiskReport {
            is_sick: self.condition != DiskCondition::Well,
            sync_ns: self.median(now_ns).unwrap_or(0),
        };
        let is_due = self.told.is_none_or(|(told, at_ns)| {
            let since_ns = now_ns.saturating_sub(at_ns);
            told.is_sick != report.is_sick
                || since_ns >= REPEAT_NS
                || (since_ns >= TELL_AFTER_NS && told.differs(&report))
        });
        if !is_due {
            return None;
        }
        self.told = Some((report, now_ns));
        Some(report.encode())
    }

    /// Median time of the newest syncs; none if there were few of late.
    fn median(&self, now_ns: u64) -> Option<u64> {
        let recent = |at: u64| now_ns.saturating_sub(at) <= SYNCS_NS;
        let mut took = [0; SYNCS];
        let mut count = 0;
        for (_, took_ns) in self.syncs.iter().filter(|(at, _)| recent(*at)) {
            took[count] = *took_ns;
            count += 1;
        }
        if count < ENOUGH_SYNCS {
            return None;
        }
        let took = &mut took[..count];
        took.sort_unstable();
        Some(took[(count - 1) / 2])
    }

    fn known(&self, now_ns: u64) -> impl Iterator<Item = &OtherDisk> {
        let is_known =
            move |other: &&OtherDisk| now_ns.saturating_sub(other.heard_ns) <= KNOWN_FOR_NS;
        self.others.iter().filter(is_known)
    }

    /// Whether a peer has said so of late.
    fn is_sick(&self, peer: ReplicaId, now_ns: u64) -> bool {
        self.known(now_ns)
            .any(|other| other.peer == peer && other.report.is_sick)
    }

    fn well_others(&self, now_ns: u64) -> usize {
        self.known(now_ns)
            .filter(|other| !other.report.is_sick)
            .count()
    }

    /// What the syncs of a majority of the others do not exceed; none if fewer have said so of late.
    fn quick_majority(&self, majority: usize, now_ns: u64) -> Option<u64> {
        let well = self.known(now_ns).map(|other| other.report);
        let mut times: Vec<u64> = well
            .filter(|report| !report.is_sick && report.sync_ns > 0)
            .map(|report| report.sync_ns)
            .collect();
        times.sort_unstable();
        times.get(majority.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;
    const PEERS: [ReplicaId; 2] = [2, 3];

    /// The disk of one of three, whose clock stands at `now`.
    struct Bench {
        health: DiskHealth,
        now: u64,
        changes: Vec<DiskCondition>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                health: DiskHealth::new(20 * MS),
                now: SECOND,
                changes: Vec::new(),
            }
        }

        /// Seconds in which each sync here takes so long, and the peers say what theirs take.
        fn pass(&mut self, seconds: u64, own: u64, others: [u64; 2]) {
            for _ in 0..seconds * 10 {
                self.now += SECOND / 10;
                self.health.synced(own, self.now);
                self.say(others);
                self.look(own);
            }
        }

        fn say(&mut self, others: [u64; 2]) {
            for (peer, sync_ns) in PEERS.into_iter().zip(others) {
                let report = DiskReport {
                    is_sick: false,
                    sync_ns,
                };
                self.health.heard(peer, &report.encode(), self.now);
            }
        }

        fn look(&mut self, unsynced: u64) {
            let change = self.health.look(unsynced, 2, self.now);
            self.changes.extend(change.map(|change| change.now));
        }
    }

    #[test]
    fn syncs_that_take_far_longer_than_those_of_the_others_for_seconds_make_a_disk_slow() {
        let mut bench = Bench::new();
        bench.pass(5, 2 * MS, [2 * MS, 2 * MS]);
        bench.pass(3, 60 * MS, [2 * MS, 5 * MS]);
        assert_eq!(bench.changes, [], "not for long enough");
        bench.pass(2, 60 * MS, [2 * MS, 5 * MS]);
        assert_eq!(bench.changes, [DiskCondition::Slow]);
        bench.pass(9, 2 * MS, [2 * MS, 5 * MS]);
        assert_eq!(bench.health.condition(), DiskCondition::Slow, "not yet");
        bench.pass(3, 2 * MS, [2 * MS, 5 * MS]);
        assert_eq!(bench.changes, [DiskCondition::Slow, DiskCondition::Well]);
    }

    #[test]
    fn what_is_slow_on_one_other_too_or_is_quicker_than_the_setting_or_comes_now_and_then_is_not_slow()
     {
        for (own, others) in [
            (60 * MS, [2 * MS, 30 * MS]),
            (60 * MS, [60 * MS, 60 * MS]),
            (19 * MS, [MS, MS]),
        ] {
            let mut bench = Bench::new();
            bench.pass(20, own, others);
            assert_eq!(bench.changes, [], "{own} beside {others:?}");
        }
        let mut bench = Bench::new();
        for _ in 0..100 {
            bench.pass(1, 2 * MS, [2 * MS, 2 * MS]);
            bench.health.synced(900 * MS, bench.now);
        }
        assert_eq!(bench.changes, [], "a stall a second");
    }

    #[test]
    fn a_slow_disk_is_well_at_once_where_no_majority_of_the_others_is_quick() {
        let mut bench = Bench::new();
        bench.pass(10, 60 * MS, [2 * MS, 2 * MS]);
        assert_eq!(bench.changes, [DiskCondition::Slow]);
        let sick = DiskReport {
            is_sick: true,
            sync_ns: 90 * MS,
        };
        bench.health.heard(PEERS[1], &sick.encode(), bench.now);
        bench.look(0);
        assert_eq!(bench.changes, [DiskCondition::Slow, DiskCondition::Well]);
        // A word that nobody repeats is forgotten.
        bench.pass(20, 60 * MS, [2 * MS, 2 * MS]);
        assert_eq!(bench.health.condition(), DiskCondition::Slow);
        bench.now += KNOWN_FOR_NS + 1;
        bench.look(0);
        assert_eq!(bench.health.condition(), DiskCondition::Well);
    }

    #[test]
    fn a_disk_that_hung_counts_as_hanging_for_a_while_but_where_the_others_are_no_better() {
        let mut bench = Bench::new();
        bench.say([MS, MS]);
        bench.look(HANGS_NS + 1);
        assert_eq!(bench.changes, [DiskCondition::Hangs]);
        bench.now += 4 * SECOND;
        bench.look(0);
        bench.now += AWAKE_FOR_NS - 1;
        bench.look(0);
        assert_eq!(bench.changes.len(), 1);
        bench.now += 1;
        bench.look(0);
        assert_eq!(bench.changes, [DiskCondition::Hangs, DiskCondition::Well]);

        bench.look(HANGS_NS + 1);
        bench.now += KNOWN_FOR_NS + 1;
        bench.look(0);
        assert_eq!(bench.changes.last(), Some(&DiskCondition::Well));
    }

    #[test]
    fn without_the_setting_no_disk_is_slow() {
        let mut bench = Bench::new();
        bench.health.slow_ns = 0;
        bench.pass(20, 900 * MS, [MS, MS]);
        assert_eq!(bench.changes, []);
    }

    #[test]
    fn who_is_sick_or_is_not_heard_of_or_has_no_vote_is_no_successor() {
        let mut bench = Bench::new();
        let follower = |replica, matched, active| Progress {
            replica,
            matched,
            active,
        };
        let followers = [
            follower(2, 90, true),
            follower(3, 80, true),
            follower(4, 99, true),
        ];
        let successor = |bench: &Bench, followers: &[Progress]| {
            bench.health.successor(followers, &[1, 2, 3], bench.now)
        };
        assert_eq!(successor(&bench, &followers), Some(2));
        let sick = DiskReport {
            is_sick: true,
            sync_ns: 0,
        };
        bench.health.heard(2, &sick.encode(), bench.now);
        assert_eq!(successor(&bench, &followers), Some(3));
        assert_eq!(successor(&bench, &[follower(3, 80, false)]), None);
    }

    #[test]
    fn the_others_are_told_what_has_changed_and_now_and_then_what_has_not() {
        let mut bench = Bench::new();
        let mut told = 0;
        for _ in 0..1_000 {
            bench.now += SECOND / 10;
            bench.health.synced(2 * MS, bench.now);
            told += u32::from(bench.health.word(bench.now).is_some());
        }
        assert!((20..=22).contains(&told), "{told} in 100 s");
        for _ in 0..SYNCS {
            bench.health.synced(20 * MS, bench.now);
        }
        bench.now += TELL_AFTER_NS;
        let word = bench.health.word(bench.now).expect("ten times as long");
        let report = DiskReport::decode(&word).expect("a report");
        assert_eq!((report.is_sick, report.sync_ns), (false, 20 * MS));
        bench.look(HANGS_NS + 1);
        let word = bench.health.word(bench.now).expect("at once");
        assert!(DiskReport::decode(&word).expect("a report").is_sick);
    }
}
