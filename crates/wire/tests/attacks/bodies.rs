//! W8: batches, property texts and stored messages whose sizes lie.

use std::net::SocketAddr;

use tern_wire::batch;
use tern_wire::properties;
use tern_wire::record::{self, NewRecord, Record, RecordError};

fn entry(size: i32, body_len: i32, body: &[u8], properties_len: i16, properties: &[u8]) -> Vec<u8> {
    let mut entry = size.to_be_bytes().to_vec();
    entry.extend_from_slice(&[0; 12]);
    entry.extend_from_slice(&body_len.to_be_bytes());
    entry.extend_from_slice(body);
    entry.extend_from_slice(&properties_len.to_be_bytes());
    entry.extend_from_slice(properties);
    entry
}

#[test]
fn a_batch_with_lying_sizes_is_refused() {
    let split = |bytes: &[u8]| {
        batch::iter(bytes)
            .map(|item| item.map(|item| item.body.len()))
            .collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(split(&entry(26, 2, b"ab", 2, b"pp")), Ok(vec![2]));
    assert_eq!(split(b""), Ok(vec![]));
    for (size, body_len, properties_len) in [
        (25, 2, 2),
        (27, 2, 2),
        (0, 2, 2),
        (-26, 2, 2),
        (i32::MAX, 2, 2),
        (26, 1, 2),
        (26, 3, 2),
        (26, -1, 2),
        (26, i32::MAX, 2),
        (26, 2, 1),
        (26, 2, 3),
        (26, 2, -1),
        (26, 2, i16::MAX),
        (26, 4, 0),
    ] {
        let lying = entry(size, body_len, b"ab", properties_len, b"pp");
        assert!(
            split(&lying).is_err(),
            "{size} {body_len} {properties_len}: {:?}",
            split(&lying)
        );
    }
    let whole = entry(26, 2, b"ab", 2, b"pp");
    for cut in 1..whole.len() {
        assert!(split(&whole[..cut]).is_err(), "cut at {cut}");
        assert!(
            split(&[&whole[..], &whole[..cut]].concat()).is_err(),
            "second cut at {cut}"
        );
    }
}

#[test]
fn properties_of_a_batch_entry_that_are_not_utf8_are_read_as_java_reads_them() {
    let bytes = entry(26, 2, b"ab", 2, b"\xffp");
    let item = batch::iter(&bytes).next().unwrap().unwrap();
    assert_eq!(item.properties, "\u{fffd}p");
}

#[test]
fn nothing_comes_after_a_bad_batch_entry() {
    let bytes = [entry(26, 9, b"ab", 2, b"pp"), entry(26, 2, b"ab", 2, b"pp")].concat();
    assert_eq!(batch::iter(&bytes).count(), 1);
}

#[test]
fn keys_that_only_a_broker_may_set_are_known() {
    for forged in [
        "REAL_TOPIC",
        "REAL_QID",
        "CLUSTER",
        "POP_CK",
        "__transactionId__",
        "__RMQ.TRANSIENT.x",
    ] {
        assert!(properties::names::is_broker_owned(forged), "{forged}");
    }
    for own in [
        "UNIQ_KEY",
        "DELAY",
        "TRAN_MSG",
        "KEYS",
        "TAGS",
        "RECONSUME_TIME",
        "ORIGIN_MESSAGE_ID",
        "mine",
    ] {
        assert!(!properties::names::is_broker_owned(own), "{own}");
    }
}

fn small_record() -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(&new_record(b"pp"), &mut bytes).unwrap();
    bytes
}

fn new_record(properties: &[u8]) -> NewRecord<'_> {
    let host = SocketAddr::from(([127, 0, 0, 1], 1));
    NewRecord {
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"body",
        topic: "T",
        properties,
    }
}

#[test]
fn a_record_whose_sizes_contradict_each_other_is_refused() {
    let mut honest = small_record();
    let size = honest.len();
    honest.extend_from_slice(&[0; 64]);
    // Places of the sizes: record, body, topic, properties.
    for (at, width, values) in [
        (0, 4, &[0, -1, 90, size as i32 - 1, size as i32 + 1][..]),
        (84, 4, &[3, 5, -1, i32::MAX]),
        (92, 1, &[0, 2, 255]),
        (94, 2, &[1, 3, -1, 0x8000, 0x7fff]),
    ] {
        for value in values {
            let mut lying = honest.clone();
            lying[at..at + width].copy_from_slice(&value.to_be_bytes()[4 - width..]);
            let refused = Record::parse(&lying);
            assert!(
                matches!(
                    refused,
                    Err(RecordError::BadSize { .. } | RecordError::BadField { .. })
                ),
                "{value} at {at}: {refused:?}"
            );
        }
    }
    assert!(Record::parse(&honest).is_ok());
    assert_eq!(
        record::iter(&honest)
            .map(|record| record.is_ok())
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn a_record_holds_32767_bytes_of_properties_and_no_more() {
    let mut bytes = Vec::new();
    let size = record::encode(&new_record(&vec![b'p'; 32_767]), &mut bytes).unwrap();
    assert_eq!(Record::parse(&bytes).unwrap().properties().len(), 32_767);
    let refused = record::encode(&new_record(&vec![b'p'; 32_768]), &mut bytes);
    let expected = RecordError::TooLong {
        field: "properties",
        have: 32_768,
        limit: 32_767,
    };
    assert_eq!((refused, bytes.len()), (Err(expected), size));
    // A length that is negative where the format says so, in a record that has the bytes.
    bytes.push(b'p');
    bytes[..4].copy_from_slice(&(size as u32 + 1).to_be_bytes());
    bytes[94..96].copy_from_slice(&[0x80, 0x00]);
    assert_eq!(
        Record::parse(&bytes),
        Err(RecordError::BadField {
            field: "properties"
        })
    );
}

#[test]
fn a_record_with_a_damaged_body_parses_and_fails_its_crc() {
    let mut bytes = small_record();
    assert_eq!(Record::parse(&bytes).unwrap().check_crc(), Ok(()));
    bytes[88] ^= 1;
    assert!(matches!(
        Record::parse(&bytes).unwrap().check_crc(),
        Err(RecordError::BodyCrc { .. })
    ));
    bytes[4] = 0;
    assert!(matches!(
        Record::parse(&bytes),
        Err(RecordError::UnknownMagic(0x00a3_20a7))
    ));
}
