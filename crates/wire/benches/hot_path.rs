//! What a send and its answer cost in this crate: `cargo bench --profile release -p tern-wire`.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use tern_wire::headers::{SendRequest, SendResponse};
use tern_wire::record::{self, NewRecord, Record};
use tern_wire::{Command, FrameLimits, HeaderEncoding, decode_frame, encode_frame, properties};

const BATCHES: u32 = 300;
const CALLS: u32 = 1_000;
const PROPERTIES: &str =
    "UNIQ_KEY\u{1}C0A8000504D2251D3F4E6E5A1B2C0001\u{2}TAGS\u{1}TagA\u{2}WAIT\u{1}true\u{2}";

fn main() {
    let host = SocketAddr::from(([127, 0, 0, 1], 10_911));
    let request = SendRequest {
        producer_group: "PG",
        topic: "TopicTest",
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id: 1,
        sys_flag: 0,
        born_timestamp_ms: 1_700_000_000_000,
        flag: 0,
        properties: Some(PROPERTIES),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: Some("group-a"),
    };
    let answer = SendResponse {
        message_id: "C0A8000A00002A9F0000000000001000",
        queue_id: 1,
        queue_offset: 5,
        transaction_id: Some("C0A8000504D2251D3F4E6E5A1B2C0001"),
        batch_unique_id: None,
        recall_handle: None,
        region: Some("DefaultRegion"),
        trace_on: Some(true),
    };
    let body = [b'x'; 128];
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let mut command = Command {
            encoding,
            ..Command::request(310, 2)
        }
        .with_body(body.to_vec());
        request.encode_v2(&mut command.fields);
        let mut out = BytesMut::new();
        encode_frame(&command, &mut out).expect("a small frame");
        let frame = out.freeze().slice(4..);
        measure(&format!("decode a send, {encoding:?}"), || {
            decode_frame(frame.clone(), &FrameLimits::default())
        });
        measure(&format!("encode its answer, {encoding:?}"), || {
            let mut out = BytesMut::with_capacity(512);
            let mut command = Command::answer_to(&command, 0);
            answer.encode(&mut command.fields);
            encode_frame(&command, &mut out).map(|()| out)
        });
        let command = decode_frame(frame, &FrameLimits::default()).expect("a good frame");
        measure("read the header of a send", || {
            SendRequest::decode_v2(&command.fields).map(|header| header.queue_id)
        });
    }
    let new = NewRecord {
        queue_id: 1,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 1_700_000_000_000,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &body,
        topic: "TopicTest",
        properties: PROPERTIES.as_bytes(),
    };
    let mut out = Vec::with_capacity(1024);
    measure("encode a record of 128 bytes", || {
        out.clear();
        record::encode(&new, &mut out)
    });
    measure("parse a record", || {
        Record::parse(&out).map(|record| record.queue_id())
    });
    measure("copy property text", || {
        let mut writer = properties::Writer::with_capacity(PROPERTIES.len());
        writer.copy(PROPERTIES, |_| true);
        writer.finish()
    });
    measure("find a property", || {
        properties::get(PROPERTIES, "UNIQ_KEY")
    });
}

/// Prints the time of one call in the best of several batches: the others share the machine with somebody.
fn measure<T>(what: &str, mut work: impl FnMut() -> T) {
    let batch = |work: &mut dyn FnMut() -> T| {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(work());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    let best = (0..BATCHES)
        .map(|_| batch(&mut work))
        .fold(f64::INFINITY, f64::min);
    println!("{best:>8.0} ns  {what}");
}
