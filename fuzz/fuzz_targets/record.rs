//! Stored messages, batches and property texts: valid ones are encoded, damaged, and read.
//!
//! Oracle: no panic; no allocation while a record is walked; what a record says is what it is made of; a copy of
//! properties has the same pairs.

#![no_main]

use std::net::{IpAddr, SocketAddr};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tern_fuzz::{Damage, allocated};
use tern_wire::record::{self, NewRecord, Record};
use tern_wire::{batch, message_id, properties, tags};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    messages: Vec<Message<'a>>,
    damage: Vec<Damage>,
    expression: &'a str,
}

#[derive(Arbitrary, Debug)]
struct Message<'a> {
    queue_id: i32,
    flag: i32,
    sys_flag: i32,
    times: (i64, u64),
    place: (u64, u64),
    born: (IpAddr, u16),
    store: (IpAddr, u16),
    body: &'a [u8],
    topic: &'a str,
    properties: &'a str,
}

impl Message<'_> {
    fn record(&self) -> NewRecord<'_> {
        NewRecord {
            queue_id: self.queue_id,
            flag: self.flag,
            sys_flag: self.sys_flag,
            born_timestamp_ms: self.times.0,
            born_host: SocketAddr::new(self.born.0, self.born.1),
            store_host: SocketAddr::new(self.store.0, self.store.1),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: self.body,
            topic: self.topic,
            properties: self.properties.as_bytes(),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let size = record::encode(&self.record(), out).expect("a fuzzer's input is small");
        record::stamp(&mut out[start..], self.place.0, self.place.1, self.times.1);
        let record = Record::parse(&out[start..]).expect("what was encoded parses");
        assert_eq!(
            (record.size(), record.body(), record.topic()),
            (size, self.body, self.topic)
        );
        assert_eq!(
            (record.queue_offset(), record.physical_offset()),
            self.place
        );
        assert_eq!(record.check_crc(), Ok(()));
    }
}

fn read_records(bytes: &[u8]) {
    let (allocated, ()) = allocated(|| {
        let mut rest = bytes.len();
        for record in record::iter(bytes).flatten() {
            assert!(record.size() <= rest);
            rest -= record.size();
            let _ = (
                record.check_crc(),
                record.store_timestamp_ms(),
                record.prepared_transaction_offset(),
            );
            let _ =
                properties::get(record.properties(), properties::names::TAGS).map(tags::tags_code);
        }
    });
    assert_eq!(allocated, 0);
    for record in record::iter(bytes).flatten() {
        let id = message_id::offset_id(record.store_host(), record.physical_offset());
        let host = SocketAddr::new(
            record.store_host().ip().to_canonical(),
            record.store_host().port(),
        );
        assert_eq!(message_id::parse(&id), Ok((host, record.physical_offset())));
        read_properties(record.properties());
    }
}

fn read_properties(text: &str) {
    for (name, value) in properties::iter(text) {
        assert!(!name.is_empty() && !value.is_empty());
        assert!(properties::get(text, name).is_some());
    }
    let mut writer = properties::Writer::new();
    writer.copy(text, |_| true);
    assert!(properties::iter(writer.as_str()).eq(properties::iter(text)));
}

fuzz_target!(|input: Input<'_>| {
    let (mut records, mut batch) = (Vec::new(), Vec::new());
    for message in &input.messages {
        message.encode(&mut records);
        let item = batch::Item {
            flag: message.flag,
            body: message.body,
            properties: message.properties.into(),
        };
        batch::encode(&item, &mut batch).expect("a fuzzer's input is small");
        read_properties(message.properties);
    }
    assert_eq!(
        record::iter(&records).filter(Result::is_ok).count(),
        input.messages.len()
    );
    assert_eq!(
        batch::iter(&batch).filter(Result::is_ok).count(),
        input.messages.len()
    );
    for damage in &input.damage {
        damage.apply(&mut records);
        damage.apply(&mut batch);
    }
    read_records(&records);
    let (allocated, total) = allocated(|| {
        batch::iter(&batch)
            .flatten()
            .map(|item| item.body.len())
            .sum::<usize>()
    });
    // Only text that is not UTF-8 is copied, three bytes at most for one.
    assert!(allocated <= 8 * batch.len() && total <= batch.len());
    let _ = message_id::parse(input.expression);
    if let Ok(subscription) = tags::Subscription::parse(input.expression) {
        let _ = subscription.matches(tags::tags_code(input.expression));
    }
});
