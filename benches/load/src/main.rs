//! Load generator: speaks as the Java client 5.5.0 does (310, JSON headers, the properties that it sets), counts only
//! code 0, and reads back everything that was acknowledged.
//!
//! ```text
//! tern-load send BROKER,… TOPIC [--connections C] [--in-flight W] [--rate R] [--body BYTES] [--seconds S]
//!                                [--batch N] [--count N] [--save FILE]
//! tern-load pull BROKER TOPIC [--connections C] [--max-messages M] [--expect FILE | --tally]
//! tern-load read BROKER,… TOPIC --expect FILE
//! tern-load gaps BROKER,BROKER,… TOPIC [--connections C] [--body BYTES]
//! tern-load end-to-end BROKER TOPIC [options of send and pull]
//! ```
//!
//! A broker is GROUP=ADDRESS. What `send` is told of connections, unanswered sends and rate holds for each of its brokers,
//! so that one process loads any number of groups. Each command prints JSON lines. With `--stepped` it waits for a line on standard input between its steps, so that whoever
//! runs it can take the servers' counters at the right moments.

mod connection;
mod end_to_end;
mod frames;
mod gaps;
mod numbers;
mod plan;
mod pull;
mod pulls;
mod readback;
mod send;
mod steps;

use plan::{Plan, What};

fn main() {
    let plan = match Plan::parse(std::env::args().skip(1)) {
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
    let outcome = runtime.block_on(async {
        match plan.what {
            What::Send => send::run(&plan).await,
            What::Pull => pull::run(&plan).await,
            What::Read => readback::run(&plan).await,
            What::Gaps => gaps::run(&plan).await,
            What::EndToEnd => end_to_end::run(&plan).await,
        }
    });
    match outcome {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    }
}
