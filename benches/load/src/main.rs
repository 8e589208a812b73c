//! Load generator: speaks as a stock client does (310, JSON headers, the properties that it sets), counts only
//! code 0, and reads back everything that was acknowledged.
//!
//! `tern-load BROKER TOPIC --queues Q --connections C --in-flight W --body BYTES --seconds S`
//! prints one JSON object.

mod drain;
mod send;

use std::time::Duration;

/// What to do, from the command line.
#[derive(Debug, Clone)]
struct Plan {
    broker: String,
    topic: String,
    queues: u32,
    connections: usize,
    in_flight: usize,
    body: usize,
    seconds: f64,
}

fn main() {
    let plan = match parse(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(sentence) => {
            eprintln!("{sentence}");
            std::process::exit(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cpu_before = cpu_seconds();
    let sent = runtime.block_on(send::run(&plan));
    let cpu = cpu_seconds() - cpu_before;
    let missing = runtime.block_on(drain::missing(&plan, &sent.acknowledged));
    let count = sent.acknowledged.len();
    let quantile = |q: f64| {
        let at = ((sent.latencies_us.len() as f64 - 1.0) * q).max(0.0) as usize;
        f64::from(sent.latencies_us.get(at).copied().unwrap_or(0)) / 1000.0
    };
    println!(
        "{{\"acknowledged\": {count}, \"not_acknowledged\": {}, \"seconds\": {:.3}, \"per_second\": {:.0}, \
         \"p50_ms\": {:.3}, \"p99_ms\": {:.3}, \"client_cpu_seconds\": {cpu:.3}, \"missing\": {missing}}}",
        sent.failed,
        sent.seconds,
        count as f64 / sent.seconds,
        quantile(0.5),
        quantile(0.99),
    );
    if missing > 0 {
        std::process::exit(1);
    }
}

/// User and system time of this process, seconds.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan {
        broker: words
            .next()
            .ok_or("usage: tern-load BROKER TOPIC [--option VALUE]…")?,
        topic: words.next().ok_or("a topic is missing")?,
        queues: 8,
        connections: 32,
        in_flight: 1,
        body: 128,
        seconds: 3.0,
    };
    while let Some(option) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("{option} has no value"))?;
        let number = value
            .parse::<f64>()
            .map_err(|_| format!("{option} is no number"))?;
        match option.as_str() {
            "--queues" => plan.queues = number as u32,
            "--connections" => plan.connections = number as usize,
            "--in-flight" => plan.in_flight = number as usize,
            "--body" => plan.body = (number as usize).max(8),
            "--seconds" => plan.seconds = number,
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(plan)
}

impl Plan {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}
