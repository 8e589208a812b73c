//! Carries the bootstrap of a group: its messages in and out.

use std::time::Duration;

use tern_log::{LogOptions, RaftState, RaftStateFile};
use tern_replica::{BootstrapDriver, BootstrapProgress, Fatal, data_lost_sentence};
use tern_replication::{Phase, TICK_MS, replica_id};
use tern_state::{FlushDiskType, FoundingMember, GroupFounding};

use super::start_context::StartContext;
use crate::channels::mailbox::{Input, MailboxReceiver};
use crate::clock;
use crate::random::random_id;

const TICK_NS: u64 = TICK_MS as u64 * 1_000_000;

/// Runs until the group has begun; `None` if the process was asked to stop first.
pub(super) fn run(
    start: &StartContext,
    state_file: RaftStateFile,
    state: Option<RaftState>,
    mailbox: &MailboxReceiver,
) -> Result<Option<(RaftState, RaftStateFile)>, Fatal> {
    let state = match state {
        Some(state) if !state.founding => return Ok(Some(open_up(start, state, state_file)?)),
        other => other,
    };
    let options = log_options(start, [0; 16]);
    let plan = start.plan.clone();
    let mut driver = BootstrapDriver::new(
        plan,
        start.disk.clone(),
        options,
        state_file,
        state.as_ref(),
    )?;
    start.member_status.read(driver.bootstrap());
    let group_id = random_id().map_err(Fatal::MayNotServe)?;
    if start.plan.members.len() == 1 {
        return driver.alone(group(start), group_id).map(Some);
    }
    let mut ticked_ns = clock::monotonic_ns();
    loop {
        let now_ns = clock::monotonic_ns();
        let ticks = (now_ns - ticked_ns) / TICK_NS;
        if ticks > 0 {
            ticked_ns = now_ns;
            send_bootstrap_messages(start, &mut driver, u32::try_from(ticks).unwrap_or(u32::MAX));
        }
        match mailbox.next(Duration::from_nanos(TICK_NS)) {
            Some(Input::Stop(_)) => return Ok(None),
            Some(Input::Failed(sentence)) => return Err(Fatal::MayNotServe(sentence)),
            Some(Input::Peer(message, _room)) => {
                let (rest, progress) = driver.receive(&message, || (group(start), group_id))?;
                match progress {
                    BootstrapProgress::NotYet => {}
                    BootstrapProgress::Holds(group_id) => {
                        start.member_status.enter(Phase::Founding, group_id);
                    }
                    BootstrapProgress::Started(started) => return Ok(Some(*started)),
                    BootstrapProgress::DataLost => return Err(Fatal::MayNotServe(wiped(start))),
                    BootstrapProgress::Contradiction(sentence) => {
                        return Err(Fatal::MayNotServe(sentence));
                    }
                }
                driver = rest.expect("it has not started");
            }
            Some(_) | None => {}
        }
    }
}

/// A master that was alone takes slaves from now on: their places are in its state before one of them may come.
fn open_up(
    start: &StartContext,
    mut state: RaftState,
    mut state_file: RaftStateFile,
) -> Result<(RaftState, RaftStateFile), Fatal> {
    if start.options.open && state.learners.is_empty() {
        let numbers = start.plan.learners.iter();
        state.learners = numbers.map(|number| replica_id(*number, 1)).collect();
        state_file.store(&state)?;
    }
    Ok((state, state_file))
}

fn send_bootstrap_messages(start: &StartContext, driver: &mut BootstrapDriver, ticks: u32) {
    let mut messages = Vec::new();
    driver.bootstrap().tick(ticks, &mut messages);
    start
        .member_status
        .await_members(driver.bootstrap().waiting_for());
    if let Some(peers) = &start.peers
        && !messages.is_empty()
    {
        peers.send(messages);
    }
}

fn wiped(start: &StartContext) -> String {
    data_lost_sentence(&start.options.settings.group, &start.options.member)
}

fn group(start: &StartContext) -> GroupFounding {
    let options = &start.options;
    let listed = options.members.iter();
    let listed = listed.filter(|member| !member.address.is_empty());
    let members = listed.map(|member| FoundingMember {
        name: member.id.as_str().into(),
        replica_id: replica_id(member.number, 1),
    });
    GroupFounding {
        cluster: options.settings.cluster.as_str().into(),
        group: options.settings.group.as_str().into(),
        members: members.collect(),
        segment_size: options.segment_size,
        flush: FlushDiskType::Sync,
        feature_level: tern_state::FEATURE_LEVEL,
        auto_create_topic: options.auto_create_topic,
        default_topic_queue_nums: options.default_topic_queues,
        founded_at_ms: clock::wall_ms(),
        directories: Vec::new(),
    }
}

pub(super) fn log_options(start: &StartContext, group_id: [u8; 16]) -> LogOptions {
    LogOptions {
        segment_size: start.options.segment_size,
        ring_bytes: start.options.ring_bytes,
        near_bytes: start.options.near_bytes(),
        stop: start.last_stop,
        ..LogOptions::new(start.options.data.clone(), group_id)
    }
}
