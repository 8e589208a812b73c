//! A pull, and the messages of its answer.

use std::io;

use tern_wire::headers::{PullRequest, PullResponse};
use tern_wire::sys_flag::pull as flags;
use tern_wire::{Command, Language, codes};

use crate::plan::Plan;

/// Where a record has the time at which its message was made.
const BORN_AT: usize = 40;
/// Physical offset, flags, timestamps and hosts come before the body (both hosts IPv4): the length of the body is here.
const BODY_LENGTH_AT: usize = 84;

/// What is known of a message that was pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number.
    pub number: u64,
    /// When it was made, Unix time.
    pub born_ms: u64,
}

/// A pull of one queue from the first broker. Its number is the queue: there is never more than one for each.
///
/// Args: `group` consumes; `offset` is where to go on, and with the flag for it what the group has consumed;
/// `more_flags` are bits of [`flags`].
pub fn request(plan: &Plan, group: &str, queue: u32, offset: i64, more_flags: i32) -> Command {
    let mut command = Command::request(codes::request::PULL_MESSAGE, queue.cast_signed());
    command.language = Language::JAVA;
    let header = PullRequest {
        consumer_group: group,
        topic: &plan.topic,
        queue_id: queue.cast_signed(),
        queue_offset: offset,
        max_messages: plan.max_messages,
        sys_flag: flags::SUBSCRIPTION | more_flags,
        commit_offset: if more_flags & flags::COMMIT_OFFSET == 0 {
            0
        } else {
            offset
        },
        suspend_timeout_ms: 20_000,
        subscription: Some("*"),
        subscription_version: 0,
        expression_type: Some("TAG"),
        max_bytes: Some(i32::MAX),
        request_source: Some(0),
        proxy_forward_client_id: None,
    };
    header.encode(&mut command.fields);
    command.fields.set("bname", &plan.leader().group);
    command
}

/// Where to go on after an answer.
///
/// # Errors
/// The answer has no such field.
pub fn next_offset(answer: &Command) -> io::Result<i64> {
    PullResponse::decode(&answer.fields)
        .map(|header| header.next_begin_offset)
        .map_err(io::Error::other)
}

/// The error that an answer is.
pub fn refused(answer: &Command) -> io::Error {
    let remark = answer.remark.as_deref().unwrap_or("");
    io::Error::other(format!(
        "a request was refused with {}: {remark}",
        answer.code
    ))
}

/// Walks the messages of a pull's body.
///
/// # Errors
/// A record is cut off, or has no number.
pub fn arrivals(body: &[u8], mut each: impl FnMut(Arrival)) -> io::Result<()> {
    let mut rest = body;
    while let Some(length) = rest.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let record = rest
            .get(..length)
            .ok_or_else(|| io::Error::other("a record is cut off"))?;
        each(Arrival {
            number: word_at(record, BODY_LENGTH_AT + 4)?,
            born_ms: word_at(record, BORN_AT)?,
        });
        rest = &rest[length..];
    }
    Ok(())
}

fn word_at(record: &[u8], at: usize) -> io::Result<u64> {
    record
        .get(at..)
        .and_then(|rest| rest.first_chunk::<8>())
        .map(|word| u64::from_be_bytes(*word))
        .ok_or_else(|| io::Error::other("a record is too short"))
}
