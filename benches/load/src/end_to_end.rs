//! End to end: one group's messages are sent, pulled while they are sent, and their offsets committed.
//!
//! The consumer does as a push consumer does: one pull for each queue, held while there is nothing, and each pull commits
//! what came before it. The window ends when everything is pulled and the last offsets are committed.

use std::io;
use std::time::Instant;

use tern_wire::headers::{
    OffsetResponse, QueryConsumerOffsetRequest, QueueRequest, UpdateConsumerOffset,
};
use tern_wire::sys_flag::pull as flags;
use tern_wire::{Command, codes, encode_frame};
use tokio::sync::watch;

use crate::connection::LoadConnection;
use crate::frames::now_ms;
use crate::numbers::Compared;
use crate::plan::Plan;
use crate::{pulls, send, steps};

const GROUP: &str = "load-end-to-end";

/// Sends and consumes, measured; whether everything acknowledged was consumed, once.
///
/// # Errors
/// A connection broke, a request was refused, or what was committed is not what was consumed.
pub async fn run(plan: &Plan) -> io::Result<bool> {
    let senders = send::open(plan).await?;
    let consumer = EndConsumer::open(plan.clone()).await?;
    let mut asker = LoadConnection::open(&plan.leader().address).await?;
    let (tell_ends, ends) = watch::channel(Vec::new());
    steps::pause(plan, "{\"event\": \"ready\"}");
    let start = Instant::now();
    let consuming = tokio::spawn(consumer.run(ends));
    let mut sent = send::all(senders).await?;
    // Nothing is sent any more: what lies before these offsets is all that there will be.
    tell_ends.send_replace(ends_of_queues(&mut asker, plan).await?);
    let done = consuming.await.map_err(io::Error::other)??;
    let seconds = start.elapsed().as_secs_f64();
    sent.latencies_us = done.latencies_us;
    sent.latencies_us.sort_unstable();
    steps::pause(plan, &sent.line(seconds));
    check_committed(&mut asker, plan, &done.offsets).await?;
    let compared = Compared::new(&done.numbers, &sent.acknowledged);
    steps::say(&compared.line());
    Ok(compared.is_whole())
}

/// What came of consuming.
struct Consumed {
    numbers: Vec<u64>,
    /// From the time at which a message was made, which is in milliseconds, to its arrival.
    latencies_us: Vec<u32>,
    /// Of each queue: where the consumer has stopped.
    offsets: Vec<i64>,
}

struct EndConsumer {
    plan: Plan,
    connection: LoadConnection,
    consumed: Consumed,
}

impl EndConsumer {
    async fn open(plan: Plan) -> io::Result<Self> {
        Ok(Self {
            connection: LoadConnection::open(&plan.leader().address).await?,
            consumed: Consumed {
                numbers: Vec::new(),
                latencies_us: Vec::new(),
                offsets: vec![0; plan.queues as usize],
            },
            plan,
        })
    }

    /// Consumes up to the offsets that it is told one day.
    async fn run(mut self, mut ends: watch::Receiver<Vec<i64>>) -> io::Result<Consumed> {
        for queue in 0..self.plan.queues {
            self.pull(queue)?;
        }
        while *ends.borrow() != self.consumed.offsets {
            self.connection.flush().await?;
            tokio::select! {
                filled = self.connection.fill() => filled?,
                Ok(()) = ends.changed() => {}
            }
            while let Some(answer) = self.connection.whole()? {
                self.pulled(&answer)?;
            }
        }
        self.commit_last().await?;
        Ok(self.consumed)
    }

    fn pull(&mut self, queue: u32) -> io::Result<()> {
        let offset = self.consumed.offsets[queue as usize];
        let commit = if offset > 0 { flags::COMMIT_OFFSET } else { 0 };
        let flags = flags::SUSPEND | commit;
        let command = pulls::request(&self.plan, GROUP, queue, offset, flags);
        encode_frame(&command, &mut self.connection.out).map_err(io::Error::other)
    }

    fn pulled(&mut self, answer: &Command) -> io::Result<()> {
        match answer.code {
            codes::response::SUCCESS => {
                let (now, consumed) = (now_ms(), &mut self.consumed);
                pulls::arrivals(&answer.body, |arrival| {
                    consumed.numbers.push(arrival.number);
                    let taken_us = now.saturating_sub(arrival.born_ms) * 1000;
                    consumed.latencies_us.push(taken_us as u32);
                })?;
            }
            codes::response::PULL_NOT_FOUND
            | codes::response::PULL_RETRY_IMMEDIATELY
            | codes::response::PULL_OFFSET_MOVED => {}
            _ => return Err(pulls::refused(answer)),
        }
        let queue = answer.opaque.cast_unsigned();
        self.consumed.offsets[queue as usize] = pulls::next_offset(answer)?;
        self.pull(queue)
    }

    /// The last pulls are held, and what came before them is committed; this commits by itself what came last.
    async fn commit_last(&mut self) -> io::Result<()> {
        // The answers of held pulls would come between those of the commits.
        let mut connection = LoadConnection::open(&self.plan.leader().address).await?;
        for (queue, offset) in self.consumed.offsets.iter().enumerate() {
            let header = UpdateConsumerOffset {
                consumer_group: GROUP,
                topic: &self.plan.topic,
                queue_id: queue as i32,
                commit_offset: *offset,
            };
            let code = codes::request::UPDATE_CONSUMER_OFFSET;
            let mut command = Command::request(code, queue as i32);
            header.encode(&mut command.fields);
            ask(&mut connection, &self.plan, command).await?;
        }
        Ok(())
    }
}

/// Of each queue: the offset that its next message would have.
async fn ends_of_queues(connection: &mut LoadConnection, plan: &Plan) -> io::Result<Vec<i64>> {
    let mut ends = Vec::new();
    for queue in 0..plan.queues {
        let header = QueueRequest {
            topic: &plan.topic,
            queue_id: queue.cast_signed(),
            committed: None,
        };
        let code = codes::request::GET_MAX_OFFSET;
        let mut command = Command::request(code, queue.cast_signed());
        header.encode(&mut command.fields);
        ends.push(offset_of(&ask(connection, plan, command).await?)?);
    }
    Ok(ends)
}

async fn check_committed(
    connection: &mut LoadConnection,
    plan: &Plan,
    consumed: &[i64],
) -> io::Result<()> {
    for (queue, offset) in consumed.iter().enumerate() {
        let header = QueryConsumerOffsetRequest {
            consumer_group: GROUP,
            topic: &plan.topic,
            queue_id: queue as i32,
            set_zero_if_not_found: None,
        };
        let code = codes::request::QUERY_CONSUMER_OFFSET;
        let mut command = Command::request(code, queue as i32);
        header.encode(&mut command.fields);
        let committed = offset_of(&ask(connection, plan, command).await?)?;
        if committed != *offset {
            return Err(io::Error::other(format!(
                "queue {queue} is consumed up to {offset}, and {committed} is committed"
            )));
        }
    }
    Ok(())
}

async fn ask(
    connection: &mut LoadConnection,
    plan: &Plan,
    mut command: Command,
) -> io::Result<Command> {
    command.fields.set("bname", &plan.leader().group);
    encode_frame(&command, &mut connection.out).map_err(io::Error::other)?;
    connection.flush().await?;
    let answer = connection.answer().await?;
    if answer.code == codes::response::SUCCESS {
        Ok(answer)
    } else {
        Err(pulls::refused(&answer))
    }
}

fn offset_of(answer: &Command) -> io::Result<i64> {
    OffsetResponse::decode(&answer.fields)
        .map(|header| header.offset)
        .map_err(io::Error::other)
}
