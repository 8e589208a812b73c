//! Bodies that hold stored messages, and batches.

use tern_wire::record::{self, NewRecord, Record};
use tern_wire::{batch, properties};

use crate::recording::Recording;

/// Codes whose answers, or whose requests, carry stored messages.
const STORED: [i32; 7] = [11, 12, 33, 39, 309, 361, 200_050];

/// Parses the stored messages of a body and encodes each again. Says how many there were.
pub fn check_records(recording: &Recording) -> usize {
    if !STORED.contains(&recording.request_code) || recording.body.is_empty() {
        return 0;
    }
    let carries = matches!(
        (recording.request_code, recording.kind.as_str()),
        (11 | 12 | 33 | 361 | 200_050, "resp") | (39 | 309, "req" | "oneway")
    );
    if !carries {
        return 0;
    }
    let mut again = Vec::new();
    let mut count = 0;
    for record in record::iter(&recording.body) {
        let record = record.unwrap_or_else(|error| panic!("{recording}: {error}"));
        record
            .check_crc()
            .unwrap_or_else(|error| panic!("{recording}: {error}"));
        encode_again(&record, &mut again);
        count += 1;
    }
    assert_eq!(again, recording.body, "{recording}");
    count
}

fn encode_again(record: &Record<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let new = NewRecord {
        queue_id: record.queue_id(),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp_ms: record.born_timestamp_ms(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: record.prepared_transaction_offset(),
        body: record.body(),
        topic: record.topic(),
        properties: record.properties().as_bytes(),
    };
    let size = record::encode(&new, out).unwrap();
    assert_eq!(size, record.size());
    let stored = u64::try_from(record.store_timestamp_ms()).unwrap();
    record::stamp(
        &mut out[start..],
        record.queue_offset(),
        record.physical_offset(),
        stored,
    );
}

/// Splits a batch and encodes it again.
pub fn check_batch(recording: &Recording) {
    let mut again = Vec::new();
    for item in batch::iter(&recording.body) {
        let item = item.unwrap_or_else(|error| panic!("{recording}: {error}"));
        assert!(
            properties::get(&item.properties, properties::names::UNIQ_KEY).is_some(),
            "{recording}"
        );
        batch::encode(&item, &mut again).unwrap();
    }
    assert_eq!(again, recording.body, "{recording}");
    assert!(!again.is_empty());
}
