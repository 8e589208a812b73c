//! Runs histories: `tern-sim [--mode MODE] [first] [end] [seconds]`, seeds from `first` up to and without `end`.
//! `tern-sim [--mode MODE] tell SEED [BUG]` prints what happens in one, with a bug planted in it.
//! `tern-sim [--mode MODE] bugs [seeds] [BUG]` plants each bug in turn, or one by its label, and says which seed shows it.
//! MODE is `raft`, `async-slave` or `sync-double-write`; or `changing`, a group in mode raft whose members change.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use tern_sim::{Figures, HistoryPlan, PlantedBug, SwarmMode, plant, run_mode, tell};

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = match take_mode(&mut arguments) {
        Ok(mode) => mode,
        Err(sentence) => {
            eprintln!("{sentence}");
            return ExitCode::FAILURE;
        }
    };
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let label = arguments.get(2).map(String::as_str);
    match arguments.first().map(String::as_str) {
        Some("bugs") => hunt(mode, number(1).unwrap_or(500), label),
        Some("tell") => tell_one(mode, number(1).unwrap_or(0), label),
        _ => run_all(mode, &arguments),
    }
}

/// Takes `--mode MODE` out of the arguments.
fn take_mode(arguments: &mut Vec<String>) -> Result<SwarmMode, String> {
    let Some(at) = arguments.iter().position(|argument| argument == "--mode") else {
        return Ok(SwarmMode::Raft);
    };
    let named: Vec<String> = arguments.drain(at..arguments.len().min(at + 2)).collect();
    match named.get(1).map(String::as_str) {
        Some("raft") => Ok(SwarmMode::Raft),
        Some("changing") => Ok(SwarmMode::Changing),
        Some("async-slave") => Ok(SwarmMode::AsyncSlave),
        Some("sync-double-write") => Ok(SwarmMode::SyncDoubleWrite),
        _ => Err("--mode is raft, changing, async-slave or sync-double-write".to_owned()),
    }
}

fn tell_one(mode: SwarmMode, seed: u64, label: Option<&str>) -> ExitCode {
    plant(PlantedBug::all().find(|bug| Some(bug.label()) == label));
    match tell(HistoryPlan { seed, seconds: 20 }, mode) {
        Ok(_) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("{}", violation.0);
            ExitCode::FAILURE
        }
    }
}

fn run_all(mode: SwarmMode, arguments: &[String]) -> ExitCode {
    let numbers: Vec<u64> = arguments
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    let first = numbers.first().copied().unwrap_or(0);
    let end = numbers.get(1).copied().unwrap_or(first + 200);
    let seconds = numbers.get(2).copied().unwrap_or(20);
    let began = Instant::now();
    let mut sum = Sum::default();
    let mut failed = 0;
    for seed in first..end {
        match run_mode(HistoryPlan { seed, seconds }, mode) {
            Ok(figures) => sum.add(&figures),
            Err(violation) => {
                failed += 1;
                println!("seed {seed}: {}", violation.0);
            }
        }
    }
    sum.print(end - first, began.elapsed().as_secs_f64());
    println!("{} passed, {failed} failed", end - first - failed);
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn hunt(mode: SwarmMode, seeds: u64, label: Option<&str>) -> ExitCode {
    let (mut missed, mut all) = (0, 0);
    for bug in PlantedBug::all().filter(|bug| label.is_none_or(|label| bug.label() == label)) {
        all += 1;
        plant(Some(bug));
        let began = Instant::now();
        let caught = (0..seeds).find_map(|seed| {
            let broken = run_mode(HistoryPlan { seed, seconds: 20 }, mode).err()?;
            Some((seed, broken))
        });
        plant(None);
        let elapsed = began.elapsed().as_secs_f64();
        let label = bug.label();
        if let Some((seed, violation)) = caught {
            println!("{label:4} seed {seed}, {elapsed:.1} s: {}", violation.0);
        } else {
            missed += 1;
            println!("{label:4} not seen in {seeds} seeds, {elapsed:.1} s");
        }
    }
    println!("{} of {all} seen", all - missed);
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Sum {
    hours: f64,
    acknowledged: u64,
    on_master_alone: u64,
    reads: u64,
    pulled: u64,
    elections: u64,
    halted: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn add(&mut self, figures: &Figures) {
        self.hours += figures.time as f64 / 3.6e9;
        self.acknowledged += figures.acknowledged;
        self.on_master_alone += figures.on_master_alone;
        self.reads += figures.reads;
        self.pulled += figures.pulled;
        self.elections += figures.elections;
        self.halted += figures.halted;
        for (fault, count) in &figures.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }

    fn print(&self, seeds: u64, elapsed: f64) {
        let speed = self.hours * 3600.0 / elapsed.max(0.001);
        println!(
            "{seeds} seeds, {:.2} virtual hours in {elapsed:.0} s ({speed:.0} times real time)",
            self.hours
        );
        println!(
            "{} acknowledged, {} fresh reads, {} pulled, {} elections, {} halted as they had to",
            self.acknowledged, self.reads, self.pulled, self.elections, self.halted
        );
        if self.on_master_alone > 0 {
            println!("{:>8} answered 11 or 12", self.on_master_alone);
        }
        for (fault, count) in &self.faults {
            println!("{count:>8} {fault}");
        }
    }
}
