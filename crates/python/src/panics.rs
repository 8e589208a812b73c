//! A panic is told in the log of the process, as all that the engine says; nothing writes to standard error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{PanicHookInfo, set_hook};

use tern_journal::{Level, Logger, journal};

/// Crates whose lines are logged as `ternmq.net`.
const NET_CRATES: [&str; 3] = ["crates/net/", "crates/peers/", "crates/bridge/"];

/// Takes the place of the hook that prints. The extension has a standard library of its own, so this hook is for its
/// panics alone.
pub(crate) fn report_in_the_journal() {
    set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let current = std::thread::current();
    let thread = current.name().unwrap_or("without a name");
    let words = panic.payload();
    let words = words
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| words.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = panic
        .location()
        .map_or_else(String::new, ToString::to_string);
    let of_net = NET_CRATES.iter().any(|path| place.contains(path));
    let logger = if of_net || thread == "ternmq-net" {
        Logger::Net
    } else {
        Logger::Broker
    };
    // Only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let frames = if backtrace.status() == BacktraceStatus::Captured {
        format!("; {}", backtrace.to_string().replace('\n', " |"))
    } else {
        String::new()
    };
    journal().log(
        logger,
        Level::Critical,
        format_args!("thread {thread} panicked at {place}, a mistake in ternmq: {words}{frames}"),
    );
}
