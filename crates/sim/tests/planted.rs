//! Planted bugs, each seen by the simulator or by a test that is named for it (`docs/simulation.md`).

use std::path::Path;

use tern_log::planted::Bug;
use tern_log::{
    Disk, Fault, Frame, FrameDraft, Log, LogEnd, LogError, LogOptions, MIN_SEGMENT_SIZE, RaftState,
    RaftStateFile, StopKind,
};
use tern_replica::{
    Fatal, FlushRequest, Flusher, Inbox, Outbox, Replica, ReplicaOpening, Strategy, TurnOptions,
};
use tern_replication::{MessageKind, PeerMessage, Timing, replica_id};
use tern_sim::{
    FaultKind, HistoryPlan, OuterBug, PlantedBug, Random, Swarm, SwarmMode, World, plant,
    process_disk, run, run_in, run_mode,
};
use tern_testdisk::MemoryDisk;

const SECOND: u64 = 1_000_000;
const DIRECTORY: &str = "/replica";
const GROUP: [u8; 16] = [9; 16];

/// Some seed of the usual histories shows a bug.
fn is_seen(bug: impl Into<PlantedBug>) {
    seen(bug.into(), 400, |seed| {
        run(HistoryPlan { seed, seconds: 20 }).err()
    });
}

/// Some seed of histories with these faults alone shows a bug, and none does without it.
fn is_seen_with(bug: impl Into<PlantedBug>, seeds: u64, shape: impl Fn(u64) -> Swarm) {
    let plan = |seed| HistoryPlan { seed, seconds: 20 };
    let caught = seen(bug.into(), seeds, |seed| {
        run_in(plan(seed), Some(shape(seed))).err()
    });
    let without = run_in(plan(caught), Some(shape(caught)));
    assert_eq!(without.err(), None, "the seed is clean without the bug");
}

fn seen<V: std::fmt::Debug>(
    bug: PlantedBug,
    seeds: u64,
    history: impl Fn(u64) -> Option<V>,
) -> u64 {
    plant(Some(bug));
    let caught = (0..seeds).find_map(|seed| Some((seed, history(seed)?)));
    plant(None);
    let (seed, violation) = caught.unwrap_or_else(|| panic!("no seed shows {bug:?}"));
    println!("{} seed {seed}: {violation:?}", bug.label());
    seed
}

fn with(kinds: &[FaultKind], seed: u64) -> Swarm {
    Swarm::with(kinds, &mut Random::new(seed))
}

macro_rules! simulator_sees {
    ($($name:ident: $list:ident::$bug:ident,)*) => {
        $(#[test]
        fn $name() {
            is_seen($list::$bug);
        })*
    };
}

simulator_sees! {
    an_ack_before_the_sync_is_seen: Bug::AckBeforeSync,
    an_ack_from_the_leader_alone_is_seen: Bug::AckFromLeaderAlone,
    a_vote_that_was_not_synced_is_seen: Bug::VoteNotSynced,
    a_cut_at_rot_is_seen: OuterBug::CutAtRot,
    queue_offsets_that_are_used_again_are_seen: Bug::OffsetsReused,
    views_built_before_the_commit_are_seen: Bug::ViewsBeforeCommit,
    code_2_after_an_append_is_seen: Bug::BusyAfterAppend,
    a_sync_that_is_tried_again_is_seen: OuterBug::SyncRetried,
    votes_that_leave_early_are_seen: Bug::VotesEarly,
    answers_out_of_the_order_of_flushes_are_seen: Bug::AnswersOutOfOrder,
    a_tail_that_is_not_written_again_is_seen: OuterBug::TailNotRewritten,
    a_position_that_is_not_lowered_before_a_cut_is_seen: OuterBug::PositionNotLowered,
    a_cut_range_that_is_not_zeroed_is_seen: OuterBug::CutNotZeroed,
    numbers_counted_from_the_commit_are_seen: Bug::FoldFromCommit,
    delay_progress_apart_from_its_messages_is_seen: OuterBug::DelayProgressApart,
    a_notice_before_the_sync_is_seen: OuterBug::DurableBeforeSync,
    a_swallowed_error_of_a_sync_is_seen: OuterBug::SyncErrorSwallowed,
    a_segment_that_is_not_synced_is_seen: OuterBug::OnlyNewestSynced,
    a_position_taken_when_the_sync_ends_is_seen: OuterBug::PositionAtSyncEnd,
    a_heartbeat_with_the_leaders_commit_is_seen: OuterBug::HeartbeatCommit,
    append_answers_that_leave_early_are_seen: Bug::AnswersEarly,
}

#[test]
fn a_stale_answer_of_a_deposed_leader_is_seen() {
    is_seen_with(Bug::StaleAnswer, 300, |seed| Swarm {
        elsewhere: 70,
        more_reads: 60,
        send_pause: 4_000,
        members: 3,
        ..with(&[FaultKind::Cut, FaultKind::Pause], seed)
    });
}

#[test]
fn a_view_that_is_taken_for_confirmed_is_seen() {
    is_seen_with(OuterBug::ViewNotConfirmed, 300, |seed| Swarm {
        more_reads: 60,
        send_pause: 4_000,
        members: 3,
        fault_pause: (20_000, 300_000),
        ..with(&[FaultKind::Kill], seed)
    });
}

#[test]
fn a_vote_forgotten_at_a_restart_is_seen() {
    is_seen_with(OuterBug::VoteForgotten, 600, |seed| Swarm {
        fault_pause: (20_000, 300_000),
        first_fault: 300_000,
        ..with(&[FaultKind::Kill, FaultKind::Power, FaultKind::Cut], seed)
    });
}

#[test]
fn an_ignored_error_of_a_vote_is_seen() {
    is_seen_with(Bug::VoteErrorIgnored, 600, |seed| Swarm {
        fault_pause: (20_000, 300_000),
        first_fault: 300_000,
        ..with(
            &[FaultKind::Kill, FaultKind::DiskError, FaultKind::Cut],
            seed,
        )
    });
}

/// A member is stopped in the middle of a founding, when the others have heard that it holds frame 1 and begin without it.
/// One of those loses its disk and meets the first one alone. Whether it then takes part.
fn an_emptied_member_takes_part() -> bool {
    (0..10).any(|seed| {
        let mut world = World::new(seed, Some(Swarm::fair()));
        let founding = world.run_while(SECOND, |world| !world.is_founding(2));
        assert!(founding.expect("nothing is wrong yet"));
        world.cut(0, 2);
        world.cut(1, 2);
        let begun = world.run_while(5 * SECOND, |world| world.leader().is_none());
        assert!(begun.expect("nothing is wrong yet") && world.is_founding(2));
        world.kill(2);
        world
            .run_until(world.now() + 2 * SECOND)
            .expect("two of three serve");
        assert!(world.figures().acknowledged > 20);
        world.kill(0);
        world.kill(1);
        world.wipe(1);
        world.mend();
        world.start(2).expect("it goes on with its founding");
        world.start(1).expect("it is empty");
        world.run_until(world.now() + SECOND).expect("they meet");
        world.start(0).expect("it has lost nothing");
        if world.run_until(world.now() + 2 * SECOND).is_err() || world.takes_part(1) {
            return true;
        }
        world.heal().expect("two of three have everything");
        assert!(!world.takes_part(1), "it stays away for good");
        false
    })
}

#[test]
fn frame_1_for_an_emptied_disk_is_seen_by_stopping_a_member_while_its_group_is_founded() {
    plant(Some(Bug::FrameOneToAnyone.into()));
    let planted = an_emptied_member_takes_part();
    plant(None);
    assert!(planted, "the bug lets it in");
    assert!(!an_emptied_member_takes_part());
}

fn state(term: u64, vote: u64) -> RaftState {
    RaftState {
        group_id: GROUP,
        own_id: replica_id(1, 1),
        term,
        vote,
        commit: 1,
        membership_index: 1,
        voters: vec![replica_id(1, 1), replica_id(2, 1), replica_id(3, 1)],
        ..RaftState::default()
    }
}

fn load(disk: &MemoryDisk) -> (RaftStateFile, Option<RaftState>) {
    RaftStateFile::load(process_disk(disk), Path::new(DIRECTORY)).expect("one copy is whole")
}

fn stored(terms: &[u64]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    disk.sync_dir(Path::new("/")).expect("a healthy disk");
    let (mut file, _) = load(&disk);
    for term in terms {
        file.store(&state(*term, 0)).expect("a healthy disk");
    }
    disk
}

/// Whether a term that was stored is there after one rotten copy, whichever it is.
fn survives_one_rotten_copy() -> bool {
    [0, 64 << 10].into_iter().all(|copy| {
        let disk = stored(&[5, 6]);
        let path = Path::new(DIRECTORY).join("raft.state");
        disk.damage(&path, copy + 100, 1).expect("the file");
        load(&disk).1.is_some_and(|state| state.term == 6)
    })
}

#[test]
fn a_vote_written_once_is_seen_when_that_copy_rots() {
    plant(Some(OuterBug::OneCopy.into()));
    let planted = survives_one_rotten_copy();
    plant(None);
    assert!(!planted && survives_one_rotten_copy());
}

/// One copy is a store ahead of the other, as after a store that did not end; the next store ends in its first write.
/// Whether the term that was read in between is forgotten then.
fn loses_the_newer_copy() -> bool {
    (0..64).any(|seed| {
        let disk = stored(&[5, 6]);
        let path = Path::new(DIRECTORY).join("raft.state");
        // The second copy of term 6 was never written: it shows term 5 still.
        let older = stored(&[5]).content(&path).expect("the file");
        let copy = 64 << 10;
        disk.overwrite(&path, copy as u64, &older[copy..copy + 4096])
            .expect("the file");
        let (mut file, known) = load(&disk);
        assert_eq!(known.map(|state| state.term), Some(6));
        disk.stop_after(1);
        let _ = file.store(&state(7, 0));
        disk.crash(seed);
        load(&disk).1.is_none_or(|state| state.term < 6)
    })
}

#[test]
fn overwriting_the_newer_copy_of_a_vote_first_is_seen_by_cutting_the_power_in_a_store() {
    plant(Some(OuterBug::CopiesLeftUnequal.into()));
    let planted = loses_the_newer_copy();
    plant(None);
    assert!(planted, "the bug loses it");
    assert!(!loses_the_newer_copy());
}

fn options(stop: StopKind) -> LogOptions {
    LogOptions {
        stop,
        ..LogOptions::new(DIRECTORY, GROUP)
    }
}

fn open(disk: &MemoryDisk, stop: StopKind) -> Result<Log, LogError> {
    Log::open(process_disk(disk), options(stop)).map(|(log, _)| log)
}

/// A frame with one record whose body is zeros over whole sectors.
fn frame(end: &LogEnd, term: u64, body: usize) -> Frame {
    let host = ([127, 0, 0, 1], 10911).into();
    let record = tern_wire::record::NewRecord {
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &vec![0; body],
        topic: "TBW102",
        properties: b"",
    };
    let mut draft = FrameDraft::default();
    let size = tern_wire::record::encode(&record, &mut draft.records).expect("a small record");
    draft.record_sizes.push(size as u32);
    draft.queue_offsets.push(0);
    draft
        .seal(end, term, 1_000, MIN_SEGMENT_SIZE)
        .expect("a small frame")
}

/// A log of frames that are on the platter.
fn log_of(disk: &MemoryDisk, frames: usize) -> Log {
    disk.create_dir(Path::new(DIRECTORY)).expect("a directory");
    let mut log = open(disk, StopKind::PowerCutPossible).expect("an empty directory");
    for _ in 0..frames {
        let next = frame(&log.end(), 1, 4_000);
        log.append(&[next]).expect("room");
    }
    log
}

#[test]
fn a_zero_map_that_is_ignored_is_seen_by_rot_in_a_body_of_zeros() {
    let rotten = || {
        let disk = MemoryDisk::new();
        let log = log_of(&disk, 2);
        let position = log.end().position;
        disk.kill();
        // A process that died before its flush; then a bit of the last body rots. Every share of it was written.
        let path = Path::new(DIRECTORY).join("log").join(format!("{:020}", 0));
        disk.damage(&path, position - 200, 1).expect("the segment");
        open(&disk, StopKind::ProcessDied)
    };
    plant(Some(Bug::ZeroMapIgnored.into()));
    let planted = rotten().is_ok();
    plant(None);
    assert!(planted, "the bug cuts the frame");
    assert!(matches!(rotten(), Err(LogError::Rotted { .. })));
}

#[test]
fn a_placement_that_is_not_checked_is_seen_by_a_frame_from_elsewhere() {
    let elsewhere = || {
        let disk = MemoryDisk::new();
        let mut log = log_of(&disk, 2);
        let mut end = log.end();
        end.position += 8;
        let foreign = frame(&end, 1, 100);
        log.append(&[foreign])
    };
    plant(Some(Bug::PlacementUnchecked.into()));
    let planted = elsewhere().is_ok();
    plant(None);
    assert!(planted, "the bug takes it");
    assert!(matches!(
        elsewhere(),
        Err(LogError::Diverged {
            fault: Fault::Placement,
            ..
        })
    ));
}

/// A follower of three with frames in its log, opened as a process opens it.
fn follower(disk: &MemoryDisk) -> (Replica<u64>, Flusher) {
    let opening = ReplicaOpening {
        disk: process_disk(disk),
        log: options(StopKind::ProcessDied),
        strategy: Strategy::Raft(Timing {
            heartbeat_ticks: 10,
            election_min_ticks: 30,
            election_max_ticks: 60,
        }),
        seed: 1,
        turn: TurnOptions {
            segment_size: MIN_SEGMENT_SIZE,
            ..TurnOptions::default()
        },
    };
    let (mut file, known) = load(disk);
    let state = known.unwrap_or_else(|| {
        file.store(&state(1, 0)).expect("a healthy disk");
        state(1, 0)
    });
    let opened = opening.open(state, file).expect("a whole log");
    (opened.replica, opened.flusher)
}

fn append(before: &LogEnd, frames: Vec<Frame>, term: u64, commit: u64) -> PeerMessage {
    let mut message = PeerMessage::raft(MessageKind::Append, replica_id(2, 1), replica_id(1, 1));
    (message.term, message.index, message.log_term) = (term, before.index, before.term);
    message.commit = commit;
    message.entries = frames
        .iter()
        .map(|frame| tern_replication::ThinEntry {
            index: frame.header.index,
            term: frame.header.term,
            kind: frame.header.kind,
            descriptor: Some(tern_log::Descriptor::from(&frame.header)),
        })
        .collect();
    message.frames = frames;
    message
}

fn step(replica: &mut Replica<u64>, message: PeerMessage) -> Result<Outbox<u64>, Fatal> {
    let mut inbox = Inbox::default();
    inbox.peers.push(message);
    let mut out = Outbox::default();
    replica.step(&mut inbox, &mut out)?;
    Ok(out)
}

#[test]
fn a_difference_that_is_passed_over_is_seen_by_another_frame_of_the_same_index_and_term() {
    let other_frame = || {
        let disk = MemoryDisk::new();
        drop(log_of(&disk, 2));
        disk.kill();
        let (mut replica, _) = follower(&disk);
        let before = LogEnd {
            index: 0,
            ..LogEnd::default()
        };
        // The same indexes and terms as in the log, other content.
        let first = frame(&before, 1, 4_100);
        step(&mut replica, append(&before, vec![first], 1, 0)).map(|_| ())
    };
    plant(Some(Bug::DivergencePassedOver.into()));
    let planted = other_frame().is_ok();
    plant(None);
    assert!(planted, "the bug goes on");
    assert!(matches!(
        other_frame(),
        Err(Fatal::Log(LogError::Diverged { index: 1, .. }))
    ));
}

#[test]
fn a_kind_taken_from_the_proposal_is_seen_by_an_entry_that_is_something_else() {
    let other_kind = || {
        let disk = MemoryDisk::new();
        drop(log_of(&disk, 1));
        disk.kill();
        let (mut replica, _) = follower(&disk);
        let before = replica.log().end();
        let mut message = append(&before, vec![frame(&before, 1, 100)], 1, 0);
        // The engine is told of a no-op; the frame that came for it is a batch.
        message.entries[0].kind = tern_log::FrameKind::NoOp;
        message.entries[0].descriptor = None;
        step(&mut replica, message).map(|_| ())
    };
    plant(Some(Bug::KindOfProposal.into()));
    let planted = other_kind().is_ok();
    plant(None);
    assert!(planted, "the bug takes it");
    assert!(matches!(other_kind(), Err(Fatal::Consensus(_))));
}

#[test]
fn a_commit_that_is_forgotten_is_seen_by_a_leader_that_replaces_what_was_committed() {
    let replaced = || {
        let disk = MemoryDisk::new();
        drop(log_of(&disk, 1));
        disk.kill();
        let (mut replica, mut flusher) = follower(&disk);
        // It follows, stores three frames, makes them durable, and learns that they are committed.
        let mut end = replica.log().end();
        let before = end;
        let frames: Vec<Frame> = (0..3)
            .map(|_| {
                let next = frame(&end, 1, 200);
                end = next.end();
                next
            })
            .collect();
        let out = step(&mut replica, append(&before, frames, 1, 4)).expect("they fit");
        let flush: FlushRequest = out.flush.expect("something was written");
        let under_way = flusher.begin(flush, 0).expect("a healthy disk");
        flusher.end(under_way, || 0).expect("a healthy disk");
        flusher.keep_position(200_000_000).expect("a healthy disk");
        drop((replica, flusher));
        disk.kill();
        // Started again, it meets a leader of a later term that has something else there.
        let (mut replica, _) = follower(&disk);
        let other = frame(&before, 2, 300);
        let met = step(&mut replica, append(&before, vec![other], 2, 0));
        met.map(|_| replica.log().end().index)
    };
    plant(Some(OuterBug::CommitForgotten.into()));
    let planted = replaced();
    plant(None);
    assert!(planted.is_ok_and(|index| index == 2), "the bug cuts them");
    let refused = replaced().expect_err("it stops");
    assert!(
        refused.to_string().contains("is committed here"),
        "{refused}"
    );
}

#[test]
fn double_write_that_does_not_wait_for_the_slave_is_seen() {
    seen(Bug::SlaveNotAwaited.into(), 100, |seed| {
        let plan = HistoryPlan { seed, seconds: 20 };
        let violation = run_mode(plan, SwarmMode::SyncDoubleWrite).err()?;
        assert!(violation.0.contains("acknowledged"), "{}", violation.0);
        Some(violation)
    });
}

#[test]
fn every_planted_bug_has_a_check() {
    // Seen by the simulator, or by a test above: this list and the labels of `PlantedBug::all` are one.
    let source = [
        include_str!("planted.rs"),
        include_str!("membership_traps.rs"),
    ]
    .concat();
    let unseen: Vec<&str> = PlantedBug::all()
        .filter(|bug| {
            let named = match bug {
                PlantedBug::Outer(bug) => format!("OuterBug::{bug:?}"),
                PlantedBug::Inner(bug) => format!("Bug::{bug:?}"),
            };
            !source.contains(&named)
        })
        .map(PlantedBug::label)
        .collect();
    assert_eq!(unseen, Vec::<&str>::new());
}
