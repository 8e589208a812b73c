//! The sending half: each connection keeps a fixed number of sends in flight.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use tern_wire::headers::SendRequest;
use tern_wire::message_id::UniqueIdMaker;
use tern_wire::{Command, Limits, codes, decode_frame, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Plan;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Sent {
    /// Numbers of the sends that were answered with code 0.
    pub acknowledged: Vec<u64>,
    /// All other answers, and sends without one.
    pub failed: u64,
    /// Wall time.
    pub seconds: f64,
    /// Sorted, microseconds.
    pub latencies_us: Vec<u32>,
}

/// Sends for as long as the plan says.
pub async fn run(plan: &Plan) -> Sent {
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for at in 0..plan.connections {
        let plan = plan.clone();
        senders.spawn(async move { Connection::run(&plan, at as u64).await });
    }
    let mut sent = Sent::default();
    while let Some(done) = senders.join_next().await {
        match done.expect("a sender does not panic") {
            Ok(part) => {
                sent.acknowledged.extend(part.acknowledged);
                sent.latencies_us.extend(part.latencies_us);
                sent.failed += part.failed;
            }
            Err(error) => {
                eprintln!("a connection broke: {error}");
                sent.failed += 1;
            }
        }
    }
    sent.seconds = start.elapsed().as_secs_f64();
    sent.latencies_us.sort_unstable();
    sent
}

/// Numbers of one connection start here, so that no two connections use one number.
const NUMBERS: u64 = 1 << 40;

struct Connection<'a> {
    plan: &'a Plan,
    number: u64,
    queue: u32,
    ids: UniqueIdMaker,
    opaque: i32,
    in_flight: HashMap<i32, (u64, Instant)>,
    out: BytesMut,
}

impl<'a> Connection<'a> {
    async fn run(plan: &'a Plan, at: u64) -> io::Result<Sent> {
        let mut stream = TcpStream::connect(&plan.broker).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            plan,
            number: at * NUMBERS,
            queue: at as u32,
            ids: UniqueIdMaker::new([127, 0, 0, 1].into(), std::process::id(), at as u32),
            opaque: 0,
            in_flight: HashMap::new(),
            out: BytesMut::new(),
        };
        let mut sent = Sent::default();
        let end = Instant::now() + plan.duration();
        let mut buffer = BytesMut::with_capacity(64 << 10);
        loop {
            let sending = Instant::now() < end;
            while sending && connection.in_flight.len() < plan.in_flight {
                connection.add();
            }
            if connection.in_flight.is_empty() {
                return Ok(sent);
            }
            if !connection.out.is_empty() {
                stream.write_all(&connection.out).await?;
                connection.out.clear();
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            while let Some(frame) = next_frame(&mut buffer)? {
                connection.answered(frame, &mut sent)?;
            }
        }
    }

    fn add(&mut self) {
        self.number += 1;
        self.opaque += 1;
        self.queue = (self.queue + 1) % self.plan.queues;
        let mut body = vec![b'x'; self.plan.body];
        body[..8].copy_from_slice(&self.number.to_be_bytes());
        let properties = format!(
            "UNIQ_KEY\u{1}{}\u{2}WAIT\u{1}true\u{2}",
            self.ids.make(now_ms())
        );
        let header = SendRequest {
            producer_group: "load",
            topic: &self.plan.topic,
            default_topic: "TBW102",
            default_topic_queue_nums: 4,
            queue_id: self.queue.cast_signed(),
            sys_flag: 0,
            born_timestamp_ms: now_ms().cast_signed(),
            flag: 0,
            properties: Some(&properties),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(false),
            broker_name: None,
        };
        let mut command = Command::request(codes::request::SEND_MESSAGE_V2, self.opaque);
        header.encode_v2(&mut command.fields);
        let command = command.with_body(body);
        encode_frame(&command, &mut self.out).expect("a small frame");
        self.in_flight
            .insert(self.opaque, (self.number, Instant::now()));
    }

    fn answered(&mut self, frame: Bytes, sent: &mut Sent) -> io::Result<()> {
        let answer = decode_frame(frame, &Limits::default()).map_err(io::Error::other)?;
        let Some((number, since)) = self.in_flight.remove(&answer.opaque) else {
            return Ok(());
        };
        sent.latencies_us.push(since.elapsed().as_micros() as u32);
        if answer.code == codes::response::SUCCESS {
            sent.acknowledged.push(number);
        } else {
            sent.failed += 1;
        }
        Ok(())
    }
}

fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// Takes one whole frame out of what was read.
pub fn next_frame(buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(length) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = tern_wire::frame_length(*length, &Limits::default()).map_err(io::Error::other)?;
    if buffer.len() < 4 + length {
        buffer.reserve(4 + length - buffer.len());
        return Ok(None);
    }
    let mut frame = buffer.split_to(4 + length);
    Ok(Some(frame.split_off(4).freeze()))
}
