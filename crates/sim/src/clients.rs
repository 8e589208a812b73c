//! The clients of a simulated group: what they send, commit, change, lock and read, and what they hold against the
//! answers. They know what a client knows: codes, remarks, fields and bodies.

use std::sync::Arc;

use tern_replica::Outcome;
use tern_requests::{
    Append, LockHandler, MaxOffset, PullHandler, QueryConsumerOffsetHandler, QueueQuestionHandler,
    RequestError, Response, SendHandler, UpdateConsumerOffsetHandler, WaitsFor,
};
use tern_state::{BrokerPermission, DeleteTopic, Op, PutPermission, PutTopic, TopicConfig};
use tern_wire::Command;
use tern_wire::codes::{request, response};
use tern_wire::headers::{
    PullRequest, QueryConsumerOffsetRequest, QueueRequest, SendRequest, UpdateConsumerOffset,
};
use tern_wire::message_id::offset_id;
use tern_wire::properties::to_text;
use tern_wire::record;
use tern_wire::sys_flag::pull as flags;

use crate::ledger::{BrokenPromise, Send, SendOutcome};
use crate::network::Micros;
use crate::process::TOPIC;
use crate::requests::{Answer, Reply, Request};
use crate::serving::{HOST, LEASE_MS};
use crate::world::{MILLISECOND, World, WorldEvent};

/// Consumer groups.
const GROUPS: u64 = 2;
/// Queues of the topic that are used.
const QUEUES: u64 = 4;
/// Clients that want queues for themselves.
const CLIENTS: u64 = 2;
/// How long a queue stays with a client that does not renew its lock, microseconds.
const LEASE: Micros = LEASE_MS * MILLISECOND;
/// Topics that come and go.
const TOPICS: [&str; 2] = ["orders", "bills"];

impl World {
    /// A client does something, and the next one a moment later.
    pub(crate) fn client(&mut self) -> Result<(), BrokenPromise> {
        let pause = self.random.between(MILLISECOND, self.swarm.send_pause);
        self.after(pause, WorldEvent::Send);
        let at = match self.leader() {
            Some(leader) if !self.random.chance(self.swarm.elsewhere) => leader,
            _ => self.random.below(self.swarm.machines() as u64) as usize,
        };
        if self.random.chance(self.swarm.more_reads) {
            return if self.random.chance(50) {
                self.read(at)
            } else {
                self.pull(at)
            };
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
        // In the likeness of nothing no topic comes into being.
        let model = if self.random.chance(50) { TOPIC } else { "-" };
        self.ledger.sends(&send, self.now);
        let command = send_command(&send, model, self.wall_ms(at));
        let reply = check_send(send.uid, send.queue_id);
        self.serve::<SendHandler>(at, request(command, WaitsFor::Log), reply)
    }

    fn commit_offset(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (group, queue_id) = (
            self.random.below(GROUPS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let chance = self.random.number();
        let Some(offset) = self.ledger.committable(group, queue_id, chance) else {
            return Ok(());
        };
        let mut command = Command::request(request::UPDATE_CONSUMER_OFFSET, 1);
        UpdateConsumerOffset {
            consumer_group: &group_name(group),
            topic: TOPIC,
            queue_id: queue_id.cast_signed(),
            commit_offset: offset.cast_signed(),
        }
        .encode(&mut command.fields);
        let reply: Reply = Box::new(move |world, at, answer| match answer {
            (Ok(told), Some(stored)) if told.code == response::SUCCESS => {
                world.check_durable(at, stored.index, "acknowledged")?;
                world.ledger.committed_offset(group, queue_id, offset);
                Ok(())
            }
            (Err(_), None) => Ok(()),
            other => Err(unexpected("a commit of an offset", &other)),
        });
        let request = request(command, WaitsFor::Log);
        self.serve::<UpdateConsumerOffsetHandler>(at, request, reply)
    }

    /// An operator's change goes its own way into the log.
    fn change_topic(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let name = TOPICS[self.random.below(2) as usize];
        let changed_at_ms = self.wall_ms(at);
        let op = if self.random.chance(70) {
            Op::PutTopic(PutTopic {
                changed_at_ms,
                config: TopicConfig::new(name, QUEUES as u32, 6),
            })
        } else if self.next_uid.is_multiple_of(3) {
            // No topic here is ordered, so a group that is read-only takes sends all the same.
            Op::PutPermission(PutPermission {
                changed_at_ms,
                permission: BrokerPermission {
                    read_only: self.next_uid.is_multiple_of(2),
                    rejects_sends: false,
                },
            })
        } else {
            Op::DeleteTopic(DeleteTopic {
                changed_at_ms,
                name: name.into(),
            })
        };
        self.propose(
            at,
            Append::op(&op, ()),
            Box::new(|world, at, outcome| match outcome {
                Outcome::Stored(stored) => world.check_durable(at, stored.index, "acknowledged"),
                _ => Ok(()),
            }),
        );
        self.turn(at)
    }

    /// Lock a queue for one of the clients of a group.
    fn lock(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (client, queue_id) = (
            self.random.below(CLIENTS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let body = format!(
            r#"{{"consumerGroup":"{}","clientId":"client-{client}","mqSet":[{{"brokerName":"g","queueId":{queue_id},"topic":"{TOPIC}"}}]}}"#,
            group_name(0)
        );
        let command = Command::request(request::LOCK_BATCH_MQ, 1).with_body(body.into_bytes());
        let asked = self.now;
        let reply: Reply = Box::new(move |world, _, answer| match answer {
            (Ok(told), Some(_)) if told.code == response::SUCCESS => {
                let body = String::from_utf8_lossy(&told.body);
                if body.contains(&format!("\"queueId\":{queue_id}")) {
                    let now = world.now;
                    world.ledger.locked(queue_id, (client, asked), now, LEASE)?;
                }
                Ok(())
            }
            (Err(_), None) => Ok(()),
            other => Err(unexpected("a lock", &other)),
        });
        self.serve::<LockHandler>(at, request(command, WaitsFor::Log), reply)
    }

    /// Ask for an offset of a group, or for the end of a queue, under confirmed leadership.
    fn read(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let (group, queue_id) = (
            self.random.below(GROUPS) as u32,
            self.random.below(QUEUES) as u32,
        );
        let promise = self.ledger.read(group, queue_id);
        let is_of_group = self.random.chance(50);
        let shall = if is_of_group {
            promise.offset
        } else {
            Some(promise.next)
        };
        let reply: Reply = Box::new(move |world, at, answer| {
            let shown = match answer {
                (Ok(told), None) if told.code == response::SUCCESS => Some(offset_of(&told)?),
                (Err(error), None) if error.code == response::QUERY_NOT_FOUND => None,
                (Err(_), None) => return Ok(()),
                other => return Err(unexpected("a read", &other)),
            };
            world.figures.reads += 1;
            // A slave whose master is gone answers by what it has, and promises no more.
            if shown >= shall || world.machines[at].is_slave() {
                return Ok(());
            }
            Err(BrokenPromise(format!(
                "node {at} answered a read of queue {queue_id} with {shown:?}; before it was asked, {shall:?} was acknowledged"
            )))
        });
        if is_of_group {
            let mut command = Command::request(request::QUERY_CONSUMER_OFFSET, 1);
            QueryConsumerOffsetRequest {
                consumer_group: &group_name(group),
                topic: TOPIC,
                queue_id: queue_id.cast_signed(),
                set_zero_if_not_found: Some(false),
            }
            .encode(&mut command.fields);
            let request = request(command, WaitsFor::ReadIndex);
            return self.serve::<QueryConsumerOffsetHandler>(at, request, reply);
        }
        let mut command = Command::request(request::GET_MAX_OFFSET, 1);
        QueueRequest {
            topic: TOPIC,
            queue_id: queue_id.cast_signed(),
            committed: None,
        }
        .encode(&mut command.fields);
        let request = request(command, WaitsFor::ReadIndex);
        self.serve::<QueueQuestionHandler<MaxOffset>>(at, request, reply)
    }

    /// Ask any replica for messages: near the end of a queue, anywhere in it, or a little behind what is known of it.
    fn pull(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let queue_id = self.random.below(QUEUES) as u32;
        let next = self.ledger.read(0, queue_id).next;
        let begin = match self.random.below(10) {
            0..2 => next,
            2 => next + 1 + self.random.below(3),
            3..8 => next.saturating_sub(1 + self.random.below(4)),
            _ => self.random.below(next.max(1)),
        };
        let mut command = Command::request(request::PULL_MESSAGE, 1);
        PullRequest {
            consumer_group: &group_name(self.random.below(GROUPS) as u32),
            topic: TOPIC,
            queue_id: queue_id.cast_signed(),
            queue_offset: begin.cast_signed(),
            max_messages: 1 + self.random.below(8) as i32,
            sys_flag: flags::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            subscription_version: 0,
            expression_type: None,
            max_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        }
        .encode(&mut command.fields);
        let reply: Reply = Box::new(move |world, at, answer| {
            world.check_pull(at, (queue_id, begin, next), answer)
        });
        self.serve::<PullHandler>(at, request(command, WaitsFor::View), reply)
    }

    /// `next` is the end of the queue as far as it was acknowledged before the pull.
    fn check_pull(
        &mut self,
        at: usize,
        (queue_id, begin, next): (u32, u64, u64),
        answer: Answer,
    ) -> Result<(), BrokenPromise> {
        if self.ledger.is_astray(at) {
            return Ok(());
        }
        match answer {
            (Ok(told), None) if told.code == response::SUCCESS => {
                self.check_messages(at, (queue_id, begin), &told)
            }
            (Ok(told), None)
                if [response::PULL_NOT_FOUND, response::PULL_RETRY_IMMEDIATELY]
                    .contains(&told.code) =>
            {
                Ok(())
            }
            (Ok(told), None) if told.code == response::PULL_OFFSET_MOVED && begin > next => Ok(()),
            (Ok(told), None) if told.code == response::PULL_OFFSET_MOVED => {
                Err(BrokenPromise(format!(
                    "node {at} sent a consumer away from offset {begin} of queue {queue_id}, to {:?}; up to {next} was \
                     acknowledged",
                    told.fields.get("nextBeginOffset")
                )))
            }
            (Err(error), None) if error.code == response::SYSTEM_ERROR => {
                let machine = &self.machines[at];
                let has_ended = machine.disk.has_stopped();
                if machine.damage.is_some() || machine.injected || has_ended {
                    return Ok(());
                }
                Err(BrokenPromise(format!(
                    "node {at} cannot read, and nothing is wrong with its disk: {}",
                    error.remark
                )))
            }
            (Err(_), None) => Ok(()),
            other => Err(unexpected("a pull", &other)),
        }
    }

    fn check_messages(
        &mut self,
        at: usize,
        (queue_id, begin): (u32, u64),
        told: &Response,
    ) -> Result<(), BrokenPromise> {
        let damaged = |what: String| {
            BrokenPromise(format!(
                "node {at} showed a reader {what} in queue {queue_id}"
            ))
        };
        let mut expected = begin;
        for found in record::iter(&told.body) {
            let found = found.map_err(|error| damaged(error.to_string()))?;
            found
                .check_crc()
                .map_err(|error| damaged(error.to_string()))?;
            if found.queue_offset() != expected {
                let shown = found.queue_offset();
                return Err(damaged(format!("offset {shown} for {expected}")));
            }
            self.figures.pulled += 1;
            self.ledger.saw((0, queue_id, expected), &found)?;
            expected += 1;
            let Some(running) = self.machines[at].any_running() else {
                return Ok(());
            };
            if let Ok(index) = running.reader.index_at(found.physical_offset()) {
                self.check_durable(at, index, "shown to a reader")?;
            }
        }
        if expected == begin {
            return Err(damaged("success and no message".to_owned()));
        }
        Ok(())
    }
}

fn request(command: Command, waits_for: WaitsFor) -> Request {
    Request { command, waits_for }
}

/// Code 0 is a promise: at this moment a majority has it on disk, and it stands where the answer says. Any other code
/// but 1 says that nothing was appended.
fn check_send(uid: u64, queue_id: u32) -> Reply {
    Box::new(move |world, at, answer| {
        let outcome = match answer {
            (Ok(told), Some(stored)) if told.code == response::SUCCESS => {
                world.figures.acknowledged += 1;
                world.check_acknowledged(at, stored.index)?;
                let is = (
                    told.fields.get("queueId").map(str::to_owned),
                    told.fields.get("queueOffset").map(str::to_owned),
                    told.fields.get("msgId").map(str::to_owned),
                );
                let shall = (
                    Some(queue_id.to_string()),
                    Some(stored.queue_offset.to_string()),
                    Some(offset_id(HOST.into(), stored.physical_offsets[0])),
                );
                if is != shall {
                    return Err(BrokenPromise(format!(
                        "send {uid} is stored at {shall:?}, and its client was told {is:?}"
                    )));
                }
                SendOutcome::Stored(stored)
            }
            (Ok(told), Some(_)) if is_on_master_alone(told.code) => {
                world.figures.on_master_alone += 1;
                SendOutcome::Unknown
            }
            (Err(error), None) if is_never_appended(&error) => {
                world.figures.refused += 1;
                SendOutcome::Refused
            }
            (Err(error), None) if error.code == response::SYSTEM_ERROR => {
                world.figures.unknown += 1;
                SendOutcome::Unknown
            }
            other => return Err(unexpected("a send", &other)),
        };
        world.ledger.answered(uid, outcome)
    })
}

fn send_command(send: &Send, model: &str, wall_ms: u64) -> Command {
    let mut body = send.uid.to_be_bytes().to_vec();
    // Some bodies are zeros over whole sectors, as some of clients are.
    let fill = if send.uid.is_multiple_of(3) {
        0
    } else {
        send.uid as u8
    };
    body.resize(8 + send.length, fill);
    let level = send.level.to_string();
    let delay = [("DELAY", &*level)];
    let properties = to_text(delay.into_iter().filter(|_| send.level > 0)).expect("one pair");
    let mut command = Command::request(request::SEND_MESSAGE_V2, 1).with_body(body);
    SendRequest {
        producer_group: "producers",
        topic: &send.topic,
        default_topic: model,
        default_topic_queue_nums: QUEUES as i32,
        queue_id: send.queue_id.cast_signed(),
        sys_flag: 0,
        born_timestamp_ms: wall_ms.cast_signed(),
        flag: 0,
        properties: Some(&properties),
        reconsume_times: None,
        unit_mode: None,
        max_reconsume_times: None,
        batch: None,
        broker_name: None,
    }
    .encode_v2(&mut command.fields);
    command
}

/// What a client is told was never appended: every refusal but code 1, which may mean anything.
fn is_never_appended(error: &RequestError) -> bool {
    error.code != response::SYSTEM_ERROR
}

fn offset_of(told: &Response) -> Result<u64, BrokenPromise> {
    let text = told.fields.get("offset").unwrap_or_default();
    text.parse()
        .map_err(|_| BrokenPromise(format!("{text:?} is no offset")))
}

fn unexpected(what: &str, answer: &Answer) -> BrokenPromise {
    BrokenPromise(format!("{what} was answered with {answer:?}"))
}

fn group_name(group: u32) -> Arc<str> {
    format!("readers-{group}").into()
}

/// Whether a code says that no slave has confirmed a message.
const fn is_on_master_alone(code: i32) -> bool {
    matches!(
        code,
        response::SLAVE_NOT_AVAILABLE | response::FLUSH_SLAVE_TIMEOUT
    )
}
