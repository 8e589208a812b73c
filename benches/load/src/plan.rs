//! What to do, from the command line.

use std::path::PathBuf;
use std::time::Duration;

/// The five things it can do.
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
    /// Send, and consume meanwhile.
    EndToEnd,
}

/// A broker to speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadTarget {
    /// Name of its group, which clients quote.
    pub group: String,
    /// Where it listens.
    pub address: String,
}

impl LoadTarget {
    fn parse(word: &str) -> Result<Self, String> {
        let (group, address) = word
            .split_once('=')
            .ok_or_else(|| format!("{word} is no GROUP=ADDRESS"))?;
        Ok(Self {
            group: group.into(),
            address: address.into(),
        })
    }
}

/// Everything an option can set.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub what: What,
    /// Masters, one of each group; in `gaps` the members of one group, of which the first one leads until it is killed.
    pub brokers: Vec<LoadTarget>,
    /// Topic.
    pub topic: String,
    /// Its queues.
    pub queues: u32,
    /// TCP connections to each broker.
    pub connections: usize,
    /// Unanswered sends that each connection keeps.
    pub in_flight: usize,
    /// Sends a second to each broker, of all its connections together, which begin when it is their time, whatever was
    /// answered; without one each connection keeps its unanswered sends full.
    pub rate: Option<f64>,
    /// Bytes of a message body.
    pub body: usize,
    /// Messages of a send; several go as a batch.
    pub batch: u64,
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

const USAGE: &str =
    "usage: tern-load send|pull|read|gaps|end-to-end GROUP=ADDRESS,… TOPIC [--option VALUE]…";

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
            Some("end-to-end") => What::EndToEnd,
            _ => return Err(USAGE.into()),
        };
        let brokers = words.next().ok_or(USAGE)?;
        let mut plan = Self {
            what,
            brokers: brokers
                .split(',')
                .map(LoadTarget::parse)
                .collect::<Result<_, _>>()?,
            topic: words.next().ok_or(USAGE)?,
            queues: 8,
            connections: 32,
            in_flight: 1,
            rate: None,
            body: 128,
            batch: 1,
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
        if plan.queues == 0 || plan.connections == 0 || plan.in_flight == 0 || plan.batch == 0 {
            return Err("queues, connections, in-flight and batch are at least 1".into());
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
            "--batch" => self.batch = u64::from(number()?),
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

    /// The same with one broker.
    pub fn only(&self, broker: &LoadTarget) -> Self {
        Self {
            brokers: vec![broker.clone()],
            ..self.clone()
        }
    }

    /// The first broker: the only one, or the one that leads at the start.
    pub fn leader(&self) -> &LoadTarget {
        // A list of words is never empty.
        &self.brokers[0]
    }

    /// How long to send.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan, String> {
        Plan::parse(line.split(' ').map(Into::into))
    }

    #[test]
    fn each_broker_is_known_by_its_group_and_its_address() {
        let plan = parse("send group-a=127.0.0.1:1,group-b=127.0.0.1:2 topic").expect("a plan");
        let groups: Vec<_> = plan.brokers.iter().map(|one| one.group.as_str()).collect();
        assert_eq!(groups, ["group-a", "group-b"]);
        assert_eq!(plan.leader().address, "127.0.0.1:1");
        assert_eq!(plan.only(&plan.brokers[1]).leader().address, "127.0.0.1:2");
    }

    #[test]
    fn an_address_without_its_group_is_refused() {
        let refused = parse("send group-a=127.0.0.1:1,127.0.0.1:2 topic").err();
        assert_eq!(refused.as_deref(), Some("127.0.0.1:2 is no GROUP=ADDRESS"));
    }
}
