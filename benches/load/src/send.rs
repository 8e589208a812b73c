//! Sending: each connection keeps a fixed number of sends unanswered (closed loop), or begins them at their time (open loop).
//!
//! In an open loop a send that has to wait, as too many are unanswered, is late from its own time on: what the servers
//! make others wait is in the latencies.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tern_wire::{Command, codes};
use tokio::task::JoinSet;

use crate::connection::LoadConnection;
use crate::frames::SendFrames;
use crate::numbers::{self, PER_CONNECTION};
use crate::plan::{LoadTarget, Plan};
use crate::{readback, steps};

/// What came of a run.
#[derive(Debug, Default)]
pub struct Sent {
    /// Numbers of the messages whose sends were answered with code 0.
    pub acknowledged: Vec<u64>,
    /// Messages with any other answer.
    failed: u64,
    /// Of each send that was answered with code 0; sorted when all have ended.
    pub latencies_us: Vec<u32>,
    /// Of each other send; sorted when all have ended.
    refused_us: Vec<u32>,
    /// Sends with each other answer.
    refusals: BTreeMap<i32, u64>,
}

/// Sends, and reads back; whether everything acknowledged is there.
///
/// # Errors
/// A connection broke, or a file cannot be written.
pub async fn run(plan: &Plan) -> io::Result<bool> {
    let senders = open(plan).await?;
    steps::pause(plan, "{\"event\": \"ready\"}");
    let start = Instant::now();
    let sent = all(senders).await?;
    let seconds = start.elapsed().as_secs_f64();
    steps::pause(plan, &sent.line(seconds));
    if let Some(path) = &plan.save {
        numbers::save(path, &sent.acknowledged)?;
        return Ok(sent.failed == 0);
    }
    readback::check(plan, &sent.acknowledged).await
}

/// The senders of every broker, connected.
///
/// # Errors
/// A broker cannot be reached.
pub async fn open(plan: &Plan) -> io::Result<Vec<Sender>> {
    let mut senders = Vec::new();
    let left = Arc::new(AtomicU64::new(plan.count.unwrap_or(u64::MAX)));
    for (nth, broker) in plan.brokers.iter().enumerate() {
        for at in 0..plan.connections {
            let at = nth * plan.connections + at;
            senders.push(Sender::open(plan.only(broker), at as u64, Arc::clone(&left)).await?);
        }
    }
    Ok(senders)
}

/// Lets all senders run to their end.
///
/// # Errors
/// A connection broke.
pub async fn all(senders: Vec<Sender>) -> io::Result<Sent> {
    let mut running = JoinSet::new();
    for sender in senders {
        running.spawn(sender.run());
    }
    let mut sent = Sent::default();
    while let Some(done) = running.join_next().await {
        let part = done.map_err(io::Error::other)??;
        sent.acknowledged.extend(part.acknowledged);
        sent.latencies_us.extend(part.latencies_us);
        sent.refused_us.extend(part.refused_us);
        for (code, sends) in part.refusals {
            *sent.refusals.entry(code).or_default() += sends;
        }
        sent.failed += part.failed;
    }
    sent.latencies_us.sort_unstable();
    sent.refused_us.sort_unstable();
    Ok(sent)
}

impl Sent {
    /// As a JSON line.
    pub fn line(&self, seconds: f64) -> String {
        format!("{{\"event\": \"measured\", {}}}", self.facts(seconds))
    }

    /// What the line says, without its braces. Latencies are those of `latencies_us`.
    pub fn facts(&self, seconds: f64) -> String {
        let refusals = self.refusals.iter();
        let refusals: Vec<_> = refusals
            .map(|(code, sends)| format!("\"{code}\": {sends}"))
            .collect();
        format!(
            "\"count\": {}, \"failed\": {}, \"seconds\": {seconds:.3}, \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \
             \"refusals\": {{{}}}, \"refused_p99_ms\": {:.3}",
            self.acknowledged.len(),
            self.failed,
            quantile_ms(&self.latencies_us, 0.5),
            quantile_ms(&self.latencies_us, 0.99),
            refusals.join(", "),
            quantile_ms(&self.refused_us, 0.99),
        )
    }
}

fn quantile_ms(sorted_us: &[u32], quantile: f64) -> f64 {
    let at = ((sorted_us.len() as f64 - 1.0) * quantile).max(0.0) as usize;
    f64::from(sorted_us.get(at).copied().unwrap_or(0)) / 1000.0
}

/// One connection that sends.
pub struct Sender {
    plan: Plan,
    connection: LoadConnection,
    frames: SendFrames,
    number: u64,
    queue: u32,
    opaque: i32,
    left: Arc<AtomicU64>,
    /// Of each request that is not answered: the number of its first message, and its time.
    in_flight: HashMap<i32, (u64, Instant)>,
    sent: Sent,
}

impl Sender {
    async fn open(plan: Plan, at: u64, left: Arc<AtomicU64>) -> io::Result<Self> {
        let LoadTarget { group, address } = plan.leader();
        Ok(Self {
            connection: LoadConnection::open(address).await?,
            frames: SendFrames::new(&plan, group, at as u32),
            number: at * PER_CONNECTION,
            queue: at as u32,
            opaque: 0,
            left,
            in_flight: HashMap::with_capacity(plan.in_flight),
            sent: Sent::default(),
            plan,
        })
    }

    async fn run(self) -> io::Result<Sent> {
        let connections = self.plan.connections as f64;
        match self.plan.rate {
            None => self.keep_full().await,
            Some(rate) => self.keep_time(rate / connections).await,
        }
    }

    /// Open loop: `rate` sends a second begin at their time.
    async fn keep_time(mut self, rate: f64) -> io::Result<Sent> {
        let start = Instant::now();
        let end = start + self.plan.duration();
        let mut begun = 0_u64;
        let time_of = |number: u64| start + Duration::from_secs_f64(number as f64 / rate);
        loop {
            let now = Instant::now();
            while self.in_flight.len() < self.plan.in_flight
                && time_of(begun) <= now
                && self.may_send(time_of(begun), end)
            {
                self.add(time_of(begun));
                begun += 1;
            }
            let is_over = !self.may_still_send(time_of(begun), end);
            if is_over && self.in_flight.is_empty() {
                return Ok(self.sent);
            }
            self.connection.flush().await?;
            let is_full = self.in_flight.len() >= self.plan.in_flight;
            if is_over || is_full {
                self.connection.fill().await?;
            } else {
                tokio::select! {
                    filled = self.connection.fill() => filled?,
                    () = tokio::time::sleep_until(time_of(begun).into()) => {}
                }
            }
            let now = Instant::now();
            while let Some(answer) = self.connection.whole()? {
                self.answered(&answer, now);
            }
        }
    }

    fn may_still_send(&self, at: Instant, end: Instant) -> bool {
        match self.plan.count {
            None => at < end,
            Some(_) => self.left.load(Ordering::Relaxed) >= self.plan.batch,
        }
    }

    /// Closed loop: as many sends as it may are unanswered.
    async fn keep_full(mut self) -> io::Result<Sent> {
        let end = Instant::now() + self.plan.duration();
        loop {
            let now = Instant::now();
            while self.in_flight.len() < self.plan.in_flight && self.may_send(now, end) {
                self.add(now);
            }
            if self.in_flight.is_empty() {
                return Ok(self.sent);
            }
            self.connection.flush().await?;
            self.connection.fill().await?;
            let now = Instant::now();
            while let Some(answer) = self.connection.whole()? {
                self.answered(&answer, now);
            }
        }
    }

    fn may_send(&self, now: Instant, end: Instant) -> bool {
        if self.plan.count.is_none() {
            return now < end;
        }
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(self.plan.batch)
            })
            .is_ok()
    }

    fn add(&mut self, now: Instant) {
        let first = self.number + 1;
        self.number += self.plan.batch;
        self.opaque += 1;
        self.queue = (self.queue + 1) % self.plan.queues;
        let out = &mut self.connection.out;
        self.frames.add(first, self.queue, self.opaque, out);
        self.in_flight.insert(self.opaque, (first, now));
    }

    fn answered(&mut self, answer: &Command, now: Instant) {
        let Some((first, since)) = self.in_flight.remove(&answer.opaque) else {
            return;
        };
        let taken = now.duration_since(since).as_micros() as u32;
        if answer.code == codes::response::SUCCESS {
            self.sent.latencies_us.push(taken);
            let numbers = first..first + self.plan.batch;
            self.sent.acknowledged.extend(numbers);
        } else {
            self.sent.refused_us.push(taken);
            *self.sent.refusals.entry(answer.code).or_default() += 1;
            self.sent.failed += self.plan.batch;
        }
    }
}
