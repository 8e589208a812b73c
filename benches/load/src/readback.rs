//! Reading back: everything that was acknowledged must be there, once.

use std::io;

use crate::numbers::{self, Compared};
use crate::plan::Plan;
use crate::{pull, steps};

/// Compares a topic with a file of numbers.
///
/// # Errors
/// The topic or the file cannot be read.
pub async fn run(plan: &Plan) -> io::Result<bool> {
    let Some(path) = &plan.expect else {
        return Err(io::Error::other("read needs --expect FILE"));
    };
    check(plan, &numbers::load(path)?).await
}

/// Reads the whole topic and compares; whether it is whole.
///
/// # Errors
/// The topic cannot be read.
pub async fn check(plan: &Plan, acknowledged: &[u64]) -> io::Result<bool> {
    let read = pull::everything(plan).await?;
    let compared = Compared::new(&read, acknowledged);
    steps::say(&compared.line());
    Ok(compared.is_whole())
}
