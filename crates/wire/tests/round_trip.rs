//! What holds for all frames, records, batches and property texts.

use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use tern_wire::record::{self, NewRecord, Record};
use tern_wire::{
    Command, Fields, FrameLimits, HeaderEncoding, Language, batch, decode_frame, encode_frame,
    properties, tags,
};

fn encode(command: &Command) -> Bytes {
    let mut out = BytesMut::new();
    encode_frame(command, &mut out).unwrap();
    out.freeze()
}

fn decode(frame: &Bytes) -> Command {
    decode_frame(frame.slice(4..), &FrameLimits::default()).unwrap()
}

/// Texts with what needs escaping, more often than chance would have it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,12}",
        "[\"\\\\/\u{0}-\u{1f}\u{7f}\u{e9}\u{2028}\u{1f600}a]{0,12}",
        "[0-9]{1,12}",
        "TAGS\u{1}[a-z]{1,5}\u{2}"
    ]
}

fn fields() -> impl Strategy<Value = Fields> {
    btree_map(
        text().prop_filter("a field has a name", |key| !key.is_empty()),
        text(),
        0..20,
    )
    .prop_map(|map| {
        map.iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    })
}

fn command() -> impl Strategy<Value = Command> {
    let code = prop_oneof![Just(310), Just(200_050), any::<i32>(), -2000..4000_i32];
    let version = prop_oneof![Just(513), 0..700_i32, any::<i32>()];
    let remark = proptest::option::of(
        text().prop_filter("an empty remark is none", |remark| !remark.is_empty()),
    );
    let encoding = prop_oneof![Just(HeaderEncoding::Json), Just(HeaderEncoding::Binary)];
    (
        code,
        0..14_u8,
        version,
        any::<i32>(),
        any::<i32>(),
        remark,
        fields(),
        vec(any::<u8>(), 0..64),
        encoding,
    )
        .prop_map(
            |(code, language, version, opaque, flag, remark, fields, body, encoding)| Command {
                code,
                language: Language(language),
                version,
                opaque,
                flag,
                remark,
                fields,
                body: body.into(),
                encoding,
            },
        )
}

/// What a binary frame cannot say: codes and versions beyond 16 bits (it falls back to JSON), and the eight numbers that
/// stand for pop requests.
fn expected_back(command: &Command) -> Command {
    let fits = |value: i32| i16::try_from(value).is_ok();
    let encoding = match command.encoding {
        HeaderEncoding::Binary if fits(command.code) && fits(command.version) => {
            HeaderEncoding::Binary
        }
        _ => HeaderEncoding::Json,
    };
    let code = match command.code {
        cut @ 3442..=3448 if encoding == HeaderEncoding::Binary && !command.is_response() => {
            cut - 3442 + 200_050
        }
        3543 if encoding == HeaderEncoding::Binary && !command.is_response() => 200_151,
        code => code,
    };
    Command {
        code,
        encoding,
        ..command.clone()
    }
}

fn host() -> impl Strategy<Value = SocketAddr> {
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    (address, any::<u16>())
        .prop_map(|(address, port)| SocketAddr::new(address.to_canonical(), port))
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    let written = "[^\u{1}\u{2}]{1,8}";
    vec((written, written), 0..8)
}

fn property_text(pairs: &[(String, String)]) -> String {
    properties::to_text(
        pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
    .unwrap()
}

proptest! {
    #[test]
    fn a_frame_comes_back_in_both_forms(command in command()) {
        prop_assert_eq!(decode(&encode(&command)), expected_back(&command));
    }

    #[test]
    fn a_json_header_means_to_us_what_it_means_to_another_parser(command in command()) {
        let frame = encode(&Command { encoding: HeaderEncoding::Json, ..command.clone() });
        let header_len = frame.len() - 8 - command.body.len();
        let other: serde_json::Value = serde_json::from_slice(&frame[8..8 + header_len]).unwrap();
        prop_assert_eq!(other["code"].as_i64(), Some(i64::from(command.code)));
        prop_assert_eq!(other["remark"].as_str(), command.remark.as_deref());
        let fields: Fields = other["extFields"].as_object().into_iter().flatten()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
            .collect();
        prop_assert_eq!(fields, command.fields);
    }

    #[test]
    fn what_we_take_for_json_is_json_to_another_parser(
        command in command(), at in any::<prop::sample::Index>(), with in vec(any::<u8>(), 0..4), count in 0..4_usize,
    ) {
        let frame = encode(&Command { encoding: HeaderEncoding::Json, body: Bytes::new(), ..command });
        let mut header = frame[8..].to_vec();
        let start = at.index(header.len());
        let end = (start + count).min(header.len());
        header.splice(start..end, with);
        let mut mutated = (header.len() as u32).to_be_bytes().to_vec();
        mutated.extend_from_slice(&header);
        if let Ok(command) = decode_frame(mutated.into(), &FrameLimits::default()) {
            // Text that is not UTF-8 is read as Java reads it.
            let other = serde_json::from_str::<serde_json::Value>(&String::from_utf8_lossy(&header));
            // Two more liberties that we take: control characters in strings, and half surrogate pairs.
            let liberty = header.iter().any(|byte| *byte < b' ') || command.remark.iter().map(String::as_str)
                .chain(command.fields.iter().flat_map(|(key, value)| [key, value]))
                .any(|text| text.contains('\u{fffd}'));
            prop_assert!(other.is_ok() || liberty, "{:?}", String::from_utf8_lossy(&header));
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(form in 0..3_u8, header_len in 0..300_u32, rest in vec(any::<u8>(), 0..300)) {
        let mut frame = (u32::from(form) << 24 | header_len).to_be_bytes().to_vec();
        frame.extend_from_slice(&rest);
        let _ = decode_frame(frame.into(), &FrameLimits::default());
    }

    #[test]
    fn a_damaged_frame_decodes_or_is_refused(command in command(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut frame = encode(&command).to_vec();
        let at = 4 + at.index(frame.len() - 4);
        frame[at] = byte;
        if let Ok(command) = decode_frame(Bytes::from(frame).slice(4..), &FrameLimits::default()) {
            let again = decode(&encode(&command));
            prop_assert_eq!(again, expected_back(&command));
        }
    }

    #[test]
    fn a_record_comes_back(
        numbers in any::<(i32, i32, i32, i64, i32, i64)>(), hosts in (host(), host()), body in vec(any::<u8>(), 0..64),
        topic in "[%|a-zA-Z0-9_-]{1,140}", pairs in pairs(), place in (0..i64::MAX as u64, 0..i64::MAX as u64, 0..i64::MAX as u64),
        after in vec(any::<u8>(), 0..8),
    ) {
        let text = property_text(&pairs);
        let new = NewRecord {
            queue_id: numbers.0, flag: numbers.1, sys_flag: numbers.2, born_timestamp_ms: numbers.3,
            born_host: hosts.0, store_host: hosts.1, reconsume_times: numbers.4,
            prepared_transaction_offset: numbers.5, body: &body, topic: &topic, properties: text.as_bytes(),
        };
        let mut bytes = b"before".to_vec();
        let size = record::encode(&new, &mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), 6 + size);
        prop_assert_eq!(new.encoded_len(), size);
        record::stamp(&mut bytes[6..], place.0, place.1, place.2);
        bytes.extend_from_slice(&after);
        let record = Record::parse(&bytes[6..]).unwrap();
        record.check_crc().unwrap();
        prop_assert_eq!(record.size(), size);
        prop_assert_eq!((record.queue_id(), record.flag()), (numbers.0, numbers.1));
        prop_assert_eq!(record.sys_flag() & !0x30, numbers.2 & !0x30);
        prop_assert_eq!((record.born_timestamp_ms(), record.reconsume_times()), (numbers.3, numbers.4));
        prop_assert_eq!(record.prepared_transaction_offset(), numbers.5);
        prop_assert_eq!((record.born_host(), record.store_host()), hosts);
        prop_assert_eq!((record.queue_offset(), record.physical_offset()), (place.0, place.1));
        prop_assert_eq!(record.store_timestamp_ms() as u64, place.2);
        prop_assert_eq!((record.body(), record.topic(), record.properties()), (&body[..], &topic[..], &text[..]));
        let outline = record::outline(&bytes[6..6 + size]).expect("it is whole");
        prop_assert_eq!((outline.queue_offset, outline.physical_offset), (place.0, place.1));
    }

    /// With any byte changed, a record that passes is one that parsing and its checksum let pass, texts and hosts apart.
    #[test]
    fn an_outline_passes_over_texts_and_hosts_only(
        hosts in (host(), host()), body in vec(any::<u8>(), 0..64), topic in "[a-z]{1,140}",
        at in any::<prop::sample::Index>(), mask in 0..=255_u8, cut in 0..3_usize,
    ) {
        let new = NewRecord {
            queue_id: 1, flag: 2, sys_flag: 0, born_timestamp_ms: 3, born_host: hosts.0, store_host: hosts.1,
            reconsume_times: 4, prepared_transaction_offset: 5, body: &body, topic: &topic, properties: b"KEYS\x01k\x02",
        };
        let mut bytes = Vec::new();
        let size = record::encode(&new, &mut bytes).unwrap();
        record::stamp(&mut bytes, 7, 8, 9);
        let at = at.index(size);
        bytes[at] ^= mask;
        bytes.truncate(size - cut);
        let found = record::outline(&bytes);
        match Record::parse(&bytes).and_then(|record| record.check_crc().map(|()| record)) {
            Ok(record) => prop_assert_eq!(
                found,
                Some(record::Outline { queue_offset: record.queue_offset(), physical_offset: record.physical_offset() })
            ),
            Err(record::RecordError::BadField { .. }) => {}
            Err(_) => prop_assert_eq!(found, None),
        }
    }

    #[test]
    fn a_cut_record_says_how_much_it_needs(topic in "[a-z]{1,140}", cut in any::<prop::sample::Index>()) {
        let host = SocketAddr::from(([127, 0, 0, 1], 1));
        let new = NewRecord {
            queue_id: 0, flag: 0, sys_flag: 0, born_timestamp_ms: 0, born_host: host, store_host: host,
            reconsume_times: 0, prepared_transaction_offset: 0, body: b"body", topic: &topic, properties: b"p",
        };
        let mut bytes = Vec::new();
        let size = record::encode(&new, &mut bytes).unwrap();
        let cut = cut.index(size);
        let need = if cut < 4 { record::MIN_SIZE } else { size };
        prop_assert_eq!(Record::parse(&bytes[..cut]), Err(record::RecordError::Truncated { need, have: cut }));
    }

    #[test]
    fn any_bytes_are_records_or_are_refused(size in 0..200_u32, v2 in any::<bool>(), rest in vec(any::<u8>(), 0..200)) {
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(if v2 { record::MAGIC_V2 } else { record::MAGIC_V1 }).to_be_bytes());
        bytes.extend_from_slice(&rest);
        let _ = record::outline(&bytes);
        for record in record::iter(&bytes).flatten() {
            prop_assert!(record.size() <= bytes.len());
            let _ = (record.check_crc(), record.store_timestamp_ms(), record.prepared_transaction_offset());
        }
    }

    #[test]
    fn a_batch_comes_back(items in vec((any::<i32>(), vec(any::<u8>(), 0..32), pairs()), 0..10)) {
        let items: Vec<_> = items.into_iter().map(|(flag, body, pairs)| (flag, body, property_text(&pairs))).collect();
        let mut bytes = Vec::new();
        for (flag, body, properties) in &items {
            batch::encode(&batch::Item { flag: *flag, body, properties: properties.into() }, &mut bytes).unwrap();
        }
        let back: Vec<_> = batch::iter(&bytes).map(Result::unwrap)
            .map(|item| (item.flag, item.body.to_vec(), item.properties.into_owned()))
            .collect();
        prop_assert_eq!(back, items);
    }

    #[test]
    fn any_bytes_are_a_batch_or_are_refused(size in 0..64_u32, bytes in vec(any::<u8>(), 0..128)) {
        let bytes = [&size.to_be_bytes()[..], &bytes].concat();
        let total: usize = batch::iter(&bytes).flatten().map(|item| item.body.len()).sum();
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn property_pairs_come_back(pairs in pairs()) {
        let text = property_text(&pairs);
        let back: Vec<_> = properties::iter(&text).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(&back, &pairs);
    }

    #[test]
    fn a_value_is_that_of_the_last_pair_of_its_name(text in "[ab\u{1}\u{2}]{0,24}", name in "[ab]{1,2}") {
        let last = properties::iter(&text).filter(|(found, _)| *found == name).last().map(|(_, value)| value);
        prop_assert_eq!(properties::get(&text, &name), last);
    }

    #[test]
    fn a_copy_has_the_pairs_of_its_text_and_nothing_else(text in "[ab\u{1}\u{2}]{0,24}") {
        let mut writer = properties::Writer::new();
        writer.copy(&text, |_| true);
        prop_assert!(properties::iter(writer.as_str()).eq(properties::iter(&text)));
        let length: usize = properties::iter(&text).map(|(name, value)| name.len() + value.len() + 2).sum();
        prop_assert_eq!(writer.len(), length);
    }

    #[test]
    fn a_subscription_passes_its_own_tags(names in vec("[a-zA-Z0-9]{1,8}", 1..6)) {
        let subscription = tags::Subscription::parse(&names.join(" || ")).unwrap();
        for name in &names {
            prop_assert!(subscription.matches(tags::tags_code(name)));
            prop_assert!(subscription.matches_tag(Some(name)));
        }
    }
}
