//! End to end: one group's messages are sent, pulled while they are sent, and their offsets committed.
//!
//! The consumer does as a push consumer does: one pull for each queue, held while there is nothing, and each pull commits
//! what came before it. The window ends when everything is pulled and the last offsets are committed; `sending` in
//! its line says how things stood when the last send was answered, with the latencies of the sends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tern_wire::headers::{
    OffsetResponse, QueryConsumerOffsetRequest, QueueRequest, UpdateConsumerOffset,
};
use tern_wire::sys_flag::pull as flags;
use tern_wire::{Command, codes, encode_frame};
use tokio::sync::{oneshot, watch};

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
    let arrived = Arc::new(AtomicU64::new(0));
    let mut asker = LoadConnection::open(&plan.leader().address).await?;
    let (tell_ends, ends) = watch::channel(Vec::new());
    let (tell_begun, begun) = oneshot::channel();
    let consumer = (plan.clone(), Arc::clone(&arrived));
    let consuming = tokio::task::spawn_blocking(move || consume(consumer, begun, ends));
    steps::pause(plan, "{\"event\": \"ready\"}");
    let start = Instant::now();
    let _ = tell_begun.send(());
    let mut sent = send::all(senders).await?;
    let sending = format!(
        "\"consumed\": {}, {}",
        arrived.load(Ordering::Relaxed),
        sent.facts(start.elapsed().as_secs_f64())
    );
    // Nothing is sent any more: what lies before these offsets is all that there will be.
    tell_ends.send_replace(ends_of_queues(&mut asker, plan).await?);
    let done = consuming.await.map_err(io::Error::other)??;
    let seconds = start.elapsed().as_secs_f64();
    sent.latencies_us = done.latencies_us;
    sent.latencies_us.sort_unstable();
    let facts = sent.facts(seconds);
    let line = format!("{{\"event\": \"measured\", {facts}, \"sending\": {{{sending}}}}}");
    steps::pause(plan, &line);
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

/// Consumes on a thread of its own: a consumer is a process beside the producers, and does not wait for their turns.
fn consume(
    (plan, arrived): (Plan, Arc<AtomicU64>),
    begun: oneshot::Receiver<()>,
    ends: watch::Receiver<Vec<i64>>,
) -> io::Result<Consumed> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let consumer = EndConsumer::open(plan, arrived).await?;
        begun.await.map_err(io::Error::other)?;
        consumer.run(ends).await
    })
}

struct EndConsumer {
    plan: Plan,
    connection: LoadConnection,
    consumed: Consumed,
    /// Messages that have arrived.
    arrived: Arc<AtomicU64>,
}

impl EndConsumer {
    async fn open(plan: Plan, arrived: Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self {
            connection: LoadConnection::open(&plan.leader().address).await?,
            consumed: Consumed {
                numbers: Vec::new(),
                latencies_us: Vec::new(),
                offsets: vec![0; plan.queues as usize],
            },
            plan,
            arrived,
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
                let count = self.consumed.numbers.len() as u64;
                self.arrived.store(count, Ordering::Relaxed);
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
