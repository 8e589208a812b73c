//! The clients of a simulated group: what they send, commit, change and read.

use std::sync::Arc;

use tern_replica::Outcome;
use tern_state::{
    CommitOffsets, DeleteTopic, GroupConfig, LockQueues, OffsetCommit, Op, PutGroup, PutTopic,
    TopicConfig,
};
use tern_wire::record::Record;

use crate::ledger::{ASKED, BrokenPromise, TrackedRequest};
use crate::network::Micros;
use crate::process::{Send, TOPIC};
use crate::world::{MILLISECOND, World, WorldEvent};

/// Consumer groups.
const GROUPS: u64 = 2;
/// Queues of the topic that are used.
const QUEUES: u64 = 4;
/// Clients that want queues for themselves.
const CLIENTS: u64 = 2;
/// How long a queue stays with a client that does not renew its lock, microseconds.
const LEASE: Micros = 2_000_000;
/// Topics that come and go.
const TOPICS: [&str; 2] = ["orders", "bills"];

impl World {
    /// A client does something, and the next one a moment later.
    pub(crate) fn client(&mut self) -> Result<(), BrokenPromise> {
        let pause = self.random.between(MILLISECOND, self.swarm.send_pause);
        self.after(pause, WorldEvent::Send);
        let at = match self.leader() {
            Some(leader) if !self.random.chance(self.swarm.elsewhere) => leader,
            _ => self.random.below(self.swarm.members as u64) as usize,
        };
        if self.random.chance(self.swarm.more_reads) {
            return self.read(at);
        }
        match self.random.below(100) {
            0..64 => self.send(at),
            64..76 => self.commit_offset(at),
            76..86 => self.read(at),
            86..94 => self.pull(at),
            94..98 => self.lock(at),
            _ => self.change_topic(at),
        }
    }

    fn send(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let level = [0, 0, 0, 1, 2][self.random.below(5) as usize];
        let topic: Arc<str> = if level == 0 && self.random.chance(15) {
            TOPICS[self.random.below(2) as usize].into()
        } else {
            TOPIC.into()
        };
        self.next_uid += 1;
        let send = Send {
            uid: self.next_uid,
            topic,
            queue_id: self.random.below(QUEUES) as u32,
            level,
            length: self.random.below(self.swarm.body) as usize,
        };
        self.ledger.sends(&send, self.now);
        let (now_ns, wall_ms) = (self.clock_ns(at), self.wall_ms(at));
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.send(&send, now_ns, wall_ms);
        self.turn(at)
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        ASKED | self.next_ticket
    }

    fn commit_offset(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (group, queue_id) = (
            self.random.below(GROUPS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let chance = self.random.number();
        if !self.ledger.has_group(group) {
            let op = Op::PutGroup(PutGroup {
                changed_at_ms: self.wall_ms(at),
                config: GroupConfig::new(&group_name(group)),
            });
            return self.propose(at, &op, TrackedRequest::Group { group });
        }
        let Some(offset) = self.ledger.committable(group, queue_id, chance) else {
            return Ok(());
        };
        let op = Op::CommitOffsets(CommitOffsets(vec![OffsetCommit {
            group: group_name(group),
            topic: TOPIC.into(),
            queue_id,
            offset,
            explicit: false,
        }]));
        let asked = TrackedRequest::Commit {
            group,
            queue_id,
            offset,
        };
        self.propose(at, &op, asked)
    }

    fn change_topic(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let name = TOPICS[self.random.below(2) as usize];
        let changed_at_ms = self.wall_ms(at);
        let op = if self.random.chance(70) {
            Op::PutTopic(PutTopic {
                changed_at_ms,
                config: TopicConfig::new(name, QUEUES as u32, 6),
            })
        } else {
            Op::DeleteTopic(DeleteTopic {
                changed_at_ms,
                name: name.into(),
            })
        };
        self.propose(at, &op, TrackedRequest::Topic)
    }

    fn propose(&mut self, at: usize, op: &Op, asked: TrackedRequest) -> Result<(), BrokenPromise> {
        let ticket = self.ticket();
        self.ledger.asks(ticket, asked);
        let now_ns = self.clock_ns(at);
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.propose(ticket, op, now_ns);
        self.turn(at)
    }

    /// Lock a queue for one of the clients of a group.
    fn lock(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (client, queue_id) = (
            self.random.below(CLIENTS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let now_ns = self.clock_ns(at);
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let time = running.lease_time(now_ns);
        let op = Op::LockQueues(LockQueues {
            group: group_name(0),
            client: client_name(client),
            at: time,
            ttl_ms: LEASE / 1000,
            queues: vec![(TOPIC.into(), queue_id)],
        });
        let asked = TrackedRequest::Lock {
            client,
            queue_id,
            asked: self.now,
            at: time,
        };
        self.propose(at, &op, asked)
    }

    /// Ask for offsets under confirmed leadership.
    fn read(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (group, queue_id) = (
            self.random.below(GROUPS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let ticket = self.ticket();
        let asked = self.ledger.read(group, queue_id);
        self.ledger.asks(ticket, asked);
        let now_ns = self.clock_ns(at);
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        running.read(ticket, now_ns);
        self.turn(at)
    }

    /// The answer to a request that is no send.
    pub(crate) fn asked(
        &mut self,
        at: usize,
        ticket: u64,
        outcome: &Outcome,
    ) -> Result<(), BrokenPromise> {
        let Some(asked) = self.ledger.take_asked(ticket) else {
            return Err(BrokenPromise(format!(
                "request {ticket:x} was answered twice"
            )));
        };
        match (asked, outcome) {
            (
                TrackedRequest::Commit {
                    group,
                    queue_id,
                    offset,
                },
                Outcome::Stored(stored),
            ) => {
                self.check_durable(at, stored.index, "acknowledged")?;
                self.ledger.committed_offset(group, queue_id, offset);
            }
            (TrackedRequest::Group { group }, Outcome::Stored(stored)) => {
                self.check_durable(at, stored.index, "acknowledged")?;
                self.ledger.made(group);
            }
            (
                TrackedRequest::Lock {
                    client,
                    queue_id,
                    asked,
                    at: time,
                },
                Outcome::Stored(_),
            ) => {
                let now_ns = self.clock_ns(at);
                let Some(running) = self.machines[at].any_running() else {
                    return Ok(());
                };
                let state = running.state();
                let time = time.later(now_ns / 1_000_000);
                let holder = state.lock_holder(&group_name(0), TOPIC, queue_id, time);
                if holder == Some(&*client_name(client)) {
                    let given = (client, asked);
                    self.ledger.locked(queue_id, given, self.now, LEASE)?;
                }
            }
            (TrackedRequest::Topic, Outcome::Stored(stored)) => {
                self.check_durable(at, stored.index, "acknowledged")?;
            }
            (
                TrackedRequest::Read {
                    group,
                    queue_id,
                    offset,
                    next,
                },
                Outcome::Confirmed(_),
            ) => {
                self.figures.reads += 1;
                let Some(running) = self.machines[at].any_running() else {
                    return Ok(());
                };
                let state = running.state();
                let (shown, shown_next) = (
                    state.offset(&group_name(group), TOPIC, queue_id),
                    state.next_offset(TOPIC, queue_id),
                );
                if shown < offset || shown_next < next {
                    return Err(BrokenPromise(format!(
                        "node {at} answered a read of queue {queue_id} with offset {shown:?} and end {shown_next}; before it \
                         was asked, {offset:?} and {next} were acknowledged"
                    )));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Read a record from whichever replica, as consumers do.
    fn pull(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let queue_id = self.random.below(QUEUES) as u32;
        let (near_end, chance) = (self.random.chance(70), self.random.number());
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let Some(topic) = running.state().topic(TOPIC) else {
            return Ok(());
        };
        let (topic_id, next) = (topic.id, running.state().next_offset(TOPIC, queue_id));
        if next == 0 {
            return Ok(());
        }
        let back = if near_end { chance % 4 } else { chance % next };
        let offset = (next - 1).saturating_sub(back);
        let mut entries = Vec::new();
        let read = running
            .queues
            .read(topic_id, queue_id, offset, 1, &mut entries);
        let (Ok(()), Some(entry)) = (read.map(|_| ()), entries.first()) else {
            return Ok(());
        };
        let reader = running.reader.clone();
        let Ok((bytes, _)) = reader.bytes(entry.physical_offset, entry.size as usize) else {
            return Ok(());
        };
        let record = match Record::parse(&bytes) {
            Ok(record) if record.check_crc().is_ok() => record,
            _ if self.machines[at].damage.is_some() => {
                if let Some(running) = self.machines[at].running() {
                    running.inbox.rotted = true;
                }
                return Ok(());
            }
            _ => {
                return Err(BrokenPromise(format!(
                    "node {at} showed a reader damaged bytes"
                )));
            }
        };
        if record.queue_offset() != offset {
            return Err(BrokenPromise(format!(
                "node {at} showed a reader offset {} for {offset}",
                record.queue_offset()
            )));
        }
        self.figures.pulled += 1;
        self.ledger.saw((topic_id, queue_id, offset), &record)?;
        if let Ok(index) = reader.index_at(entry.physical_offset) {
            self.check_durable(at, index, "shown to a reader")?;
        }
        Ok(())
    }
}

fn client_name(client: u32) -> Arc<str> {
    format!("client-{client}").into()
}

fn group_name(group: u32) -> Arc<str> {
    format!("readers-{group}").into()
}
