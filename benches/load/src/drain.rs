//! The reading half: everything that was acknowledged must be there.

use std::collections::HashSet;
use std::io;

use bytes::BytesMut;
use tern_wire::headers::{PullRequest, PullResponse};
use tern_wire::{Command, Limits, codes, decode_frame, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Plan;
use crate::send::next_frame;

/// How many acknowledged sends cannot be read.
pub async fn missing(plan: &Plan, acknowledged: &[u64]) -> usize {
    let mut wanted: HashSet<u64> = acknowledged.iter().copied().collect();
    for queue in 0..plan.queues {
        if let Err(error) = drain(plan, queue, &mut wanted).await {
            eprintln!("queue {queue} cannot be read: {error}");
        }
    }
    wanted.len()
}

async fn drain(plan: &Plan, queue: u32, wanted: &mut HashSet<u64>) -> io::Result<()> {
    let mut stream = TcpStream::connect(&plan.broker).await?;
    stream.set_nodelay(true)?;
    let (mut offset, mut buffer) = (0, BytesMut::new());
    loop {
        let header = PullRequest {
            consumer_group: "load-drain",
            topic: &plan.topic,
            queue_id: queue.cast_signed(),
            queue_offset: offset,
            max_messages: 32,
            sys_flag: 4,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            subscription_version: 0,
            expression_type: Some("TAG"),
            max_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
        };
        let mut command = Command::request(codes::request::PULL_MESSAGE, 1);
        header.encode(&mut command.fields);
        let mut out = BytesMut::new();
        encode_frame(&command, &mut out).expect("a small frame");
        stream.write_all(&out).await?;
        let frame = loop {
            if let Some(frame) = next_frame(&mut buffer)? {
                break frame;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let answer = decode_frame(frame, &Limits::default()).map_err(io::Error::other)?;
        let next = PullResponse::decode(&answer.fields).map_err(io::Error::other)?;
        match answer.code {
            codes::response::SUCCESS => take(&answer.body, wanted)?,
            codes::response::PULL_RETRY_IMMEDIATELY | codes::response::PULL_OFFSET_MOVED => {}
            _ => return Ok(()),
        }
        offset = next.next_begin_offset;
    }
}

fn take(body: &[u8], wanted: &mut HashSet<u64>) -> io::Result<()> {
    for record in tern_wire::record::iter(body) {
        let record = record.map_err(io::Error::other)?;
        if let Some(number) = record.body().first_chunk::<8>() {
            wanted.remove(&u64::from_be_bytes(*number));
        }
    }
    Ok(())
}
