//! What to do, from the command line.

use std::path::PathBuf;
use std::time::Duration;

/// The four things it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Send, and read back.
    Send,
    /// Pull a backlog.
    Pull,
    /// Read back what another program sent.
    Read,
    /// Send through kills of the master.
    Gaps,
}

/// Everything an option can set.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub what: What,
    /// Addresses; the first one leads, unless kills change it.
    pub brokers: Vec<String>,
    /// Name of the group, which clients quote.
    pub broker_name: String,
    /// Topic.
    pub topic: String,
    /// Its queues.
    pub queues: u32,
    /// TCP connections.
    pub connections: usize,
    /// Unanswered sends that each connection keeps.
    pub in_flight: usize,
    /// Sends a second of all connections together, which begin when it is their time, whatever was answered; without one
    /// each connection keeps its unanswered sends full.
    pub rate: Option<f64>,
    /// Bytes of a message body.
    pub body: usize,
    /// How long to send.
    pub seconds: f64,
    /// Stop after so many messages, however long it takes.
    pub count: Option<u64>,
    /// Messages that one pull asks for.
    pub max_messages: i32,
    /// Where to write the numbers that were acknowledged, instead of reading them back.
    pub save: Option<PathBuf>,
    /// Which numbers must be found.
    pub expect: Option<PathBuf>,
    /// Whether to keep one bit of each message that was pulled instead of its number.
    pub tally: bool,
    /// Whether to wait for a line before each step.
    pub stepped: bool,
}

const USAGE: &str = "usage: tern-load send|pull|read|gaps BROKER TOPIC [--option VALUE]…";

impl Plan {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// A sentence that names the wrong word.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let what = match words.next().as_deref() {
            Some("send") => What::Send,
            Some("pull") => What::Pull,
            Some("read") => What::Read,
            Some("gaps") => What::Gaps,
            _ => return Err(USAGE.into()),
        };
        let brokers = words.next().ok_or(USAGE)?;
        let mut plan = Self {
            what,
            brokers: brokers.split(',').map(Into::into).collect(),
            broker_name: "group-a".into(),
            topic: words.next().ok_or(USAGE)?,
            queues: 8,
            connections: 32,
            in_flight: 1,
            rate: None,
            body: 128,
            seconds: 3.0,
            count: None,
            max_messages: 32,
            save: None,
            expect: None,
            tally: false,
            stepped: false,
        };
        while let Some(option) = words.next() {
            match option.as_str() {
                "--stepped" => plan.stepped = true,
                "--tally" => plan.tally = true,
                _ => {
                    let value = words
                        .next()
                        .ok_or_else(|| format!("{option} has no value"))?;
                    plan.set(&option, &value)?;
                }
            }
        }
        if plan.queues == 0 || plan.connections == 0 || plan.in_flight == 0 {
            return Err("queues, connections and in-flight are at least 1".into());
        }
        Ok(plan)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        let number = || {
            value
                .parse::<u32>()
                .map_err(|_| format!("{option} {value} is no number"))
        };
        match option {
            "--broker-name" => self.broker_name = value.into(),
            "--queues" => self.queues = number()?,
            "--connections" => self.connections = number()? as usize,
            "--in-flight" => self.in_flight = number()? as usize,
            "--rate" => {
                let rate: f64 = value
                    .parse()
                    .map_err(|_| format!("{option} {value} is no number"))?;
                self.rate = (rate > 0.0).then_some(rate);
            }
            // The body begins with the number of the message.
            "--body" => self.body = (number()? as usize).max(8),
            "--seconds" => {
                self.seconds = value
                    .parse()
                    .map_err(|_| format!("{option} {value} is no number"))?;
            }
            "--count" => self.count = Some(u64::from(number()?)),
            "--max-messages" => self.max_messages = number()?.cast_signed(),
            "--save" => self.save = Some(value.into()),
            "--expect" => self.expect = Some(value.into()),
            other => return Err(format!("unknown option {other}")),
        }
        Ok(())
    }

    /// The broker that leads at the start.
    pub fn leader(&self) -> &str {
        self.brokers.first().map_or("", String::as_str)
    }

    /// How long to send.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
