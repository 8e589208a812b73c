//! How it talks with whoever runs it: a JSON line for each step, and a line on standard input that lets it go on.

use std::io::{BufRead, Write};

use tokio::sync::mpsc;

use crate::plan::Plan;

/// Prints a line at once.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever ran this has gone: there is nobody to tell.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Says what was reached, and waits until it is told to go on, if it runs step by step.
pub fn pause(plan: &Plan, line: &str) {
    say(line);
    if plan.stepped {
        let mut told = String::new();
        let _ = std::io::stdin().lock().read_line(&mut told);
    }
}

/// Lines of standard input, while something else goes on. Ends with the input.
pub fn lines() -> mpsc::UnboundedReceiver<String> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}
