//! Pulling a backlog as a push consumer does: one pull for each queue, the next one when its answer is there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tern_wire::{Command, codes, encode_frame};
use tokio::task::JoinSet;

use crate::connection::LoadConnection;
use crate::numbers::{self, Compared, Tally};
use crate::plan::Plan;
use crate::{pulls, steps};

/// So many answers in a row without a message are an error, not a queue that is being read.
const MOST_EMPTY: u32 = 1_000;

/// Pulls everything, measured; whether it is what `--expect` says.
///
/// # Errors
/// A connection broke, or an answer was refused.
pub async fn run(plan: &Plan) -> io::Result<bool> {
    steps::pause(plan, "{\"event\": \"ready\"}");
    let start = Instant::now();
    let pulled = pull(plan, plan.connections.min(plan.queues as usize)).await?;
    let seconds = start.elapsed().as_secs_f64();
    let line = format!(
        "{{\"event\": \"measured\", \"count\": {}, \"failed\": 0, \"seconds\": {seconds:.3}, \"pulls\": {}, \"bytes\": {}}}",
        pulled.numbers.count(),
        pulled.pulls,
        pulled.bytes
    );
    steps::pause(plan, &line);
    let read = match pulled.numbers {
        Numbers::Tally(tally) => {
            steps::say(&tally.line());
            return Ok(tally.is_whole());
        }
        Numbers::List(read) => read,
    };
    let Some(path) = &plan.expect else {
        return Ok(true);
    };
    let compared = Compared::new(&read, &numbers::load(path)?);
    steps::say(&compared.line());
    Ok(compared.is_whole())
}

/// The numbers of all messages of the topic, on all the masters that are given.
///
/// # Errors
/// A connection broke, or an answer was refused.
pub async fn everything(plan: &Plan) -> io::Result<Vec<u64>> {
    let mut read = Vec::new();
    for broker in &plan.brokers {
        let one = Plan {
            tally: false,
            ..plan.only(broker)
        };
        if let Numbers::List(numbers) = pull(&one, 1).await?.numbers {
            read.extend(numbers);
        }
    }
    Ok(read)
}

/// What was read.
struct Pulled {
    numbers: Numbers,
    pulls: u64,
    /// Of the records.
    bytes: u64,
}

/// The numbers of its messages.
enum Numbers {
    List(Vec<u64>),
    Tally(Tally),
}

impl Numbers {
    fn add(&mut self, number: u64) {
        match self {
            Self::List(numbers) => numbers.push(number),
            Self::Tally(tally) => tally.add(number),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::List(numbers) => numbers.len() as u64,
            Self::Tally(tally) => tally.records(),
        }
    }
}

async fn pull(plan: &Plan, connections: usize) -> io::Result<Pulled> {
    let pulled = Arc::new(Mutex::new(Pulled {
        numbers: if plan.tally {
            Numbers::Tally(Tally::default())
        } else {
            Numbers::List(Vec::new())
        },
        pulls: 0,
        bytes: 0,
    }));
    let mut running = JoinSet::new();
    for at in 0..connections {
        let (plan, pulled) = (plan.clone(), Arc::clone(&pulled));
        let queues = (0..plan.queues).filter(move |queue| *queue as usize % connections == at);
        running.spawn(async move {
            let one = Puller::open(&plan, queues.collect(), pulled).await?;
            one.run().await
        });
    }
    while let Some(done) = running.join_next().await {
        done.map_err(io::Error::other)??;
    }
    let pulled = Arc::into_inner(pulled).map(Mutex::into_inner);
    match pulled {
        Some(Ok(pulled)) => Ok(pulled),
        _ => Err(io::Error::other("a puller has not ended")),
    }
}

struct Puller<'a> {
    plan: &'a Plan,
    connection: LoadConnection,
    queues: Vec<u32>,
    pulled: Arc<Mutex<Pulled>>,
    /// Answers in a row that only gave another offset.
    empty: u32,
}

impl<'a> Puller<'a> {
    async fn open(
        plan: &'a Plan,
        queues: Vec<u32>,
        pulled: Arc<Mutex<Pulled>>,
    ) -> io::Result<Self> {
        Ok(Self {
            connection: LoadConnection::open(&plan.leader().address).await?,
            plan,
            queues,
            pulled,
            empty: 0,
        })
    }

    async fn run(mut self) -> io::Result<()> {
        for queue in self.queues.clone() {
            self.ask(queue, 0)?;
        }
        let mut open = self.queues.len();
        while open > 0 {
            self.connection.flush().await?;
            let answer = self.connection.answer().await?;
            if let Some(next) = self.answered(&answer)? {
                self.ask(answer.opaque.cast_unsigned(), next)?;
            } else {
                open -= 1;
            }
        }
        Ok(())
    }

    // Nobody panics while holding it.
    fn pulled(&self) -> MutexGuard<'_, Pulled> {
        self.pulled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&mut self, queue: u32, offset: i64) -> io::Result<()> {
        let command = pulls::request(self.plan, "load-drain", queue, offset, 0);
        self.pulled().pulls += 1;
        encode_frame(&command, &mut self.connection.out).map_err(io::Error::other)
    }

    /// Where to go on, unless the queue has no more.
    fn answered(&mut self, answer: &Command) -> io::Result<Option<i64>> {
        match answer.code {
            codes::response::SUCCESS => {
                let mut pulled = self.pulled();
                pulled.bytes += answer.body.len() as u64;
                pulls::arrivals(&answer.body, |arrival| pulled.numbers.add(arrival.number))?;
                drop(pulled);
                self.empty = 0;
            }
            codes::response::PULL_RETRY_IMMEDIATELY | codes::response::PULL_OFFSET_MOVED
                if self.empty < MOST_EMPTY =>
            {
                self.empty += 1;
            }
            codes::response::PULL_NOT_FOUND => return Ok(None),
            _ => return Err(pulls::refused(answer)),
        }
        pulls::next_offset(answer).map(Some)
    }
}
