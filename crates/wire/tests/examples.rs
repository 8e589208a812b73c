//! The worked examples of the protocol reference, byte for byte.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tern_wire::record::{self, NewRecord, Record};
use tern_wire::{
    Command, Fields, FrameLimits, HeaderEncoding, Language, batch, codes, decode_frame,
    encode_frame, frame_length,
};

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

fn decode(frame: &[u8]) -> Command {
    let limits = FrameLimits::default();
    assert_eq!(
        frame_length(frame[..4].try_into().unwrap(), &limits).unwrap(),
        frame.len() - 4
    );
    decode_frame(Bytes::copy_from_slice(&frame[4..]), &limits).unwrap()
}

fn encode(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(command, &mut out).unwrap();
    out
}

/// A command as Java 5.3.3 sends it.
fn java(code: i32, opaque: i32, encoding: HeaderEncoding) -> Command {
    Command {
        language: Language::JAVA,
        version: 479,
        encoding,
        ..Command::request(code, opaque)
    }
}

fn route_lookup(encoding: HeaderEncoding) -> Command {
    let mut command = java(codes::request::GET_ROUTEINFO_BY_TOPIC, 1, encoding);
    command.fields.set("topic", "TopicTest");
    command
}

#[test]
fn a_route_lookup_in_json_has_139_bytes() {
    let frame = encode(&route_lookup(HeaderEncoding::Json));
    assert_eq!(frame.len(), 139);
    assert_eq!(frame[..8], unhex("00000087 00000083"));
    let header = br#"{"code":105,"extFields":{"topic":"TopicTest"},"flag":0,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":479}"#;
    assert_eq!(frame[8..], header[..]);
    assert_eq!(decode(&frame), route_lookup(HeaderEncoding::Json));
}

#[test]
fn a_route_lookup_in_binary_has_49_bytes() {
    let bytes = unhex(
        "0000002d 01000029 0069 00 01df 00000001 00000000 00000000 00000014
         0005 746f706963 00000009 546f70696354657374",
    );
    assert_eq!(bytes.len(), 49);
    assert_eq!(encode(&route_lookup(HeaderEncoding::Binary)), bytes);
    assert_eq!(decode(&bytes), route_lookup(HeaderEncoding::Binary));
}

#[test]
fn an_error_answer_in_binary_has_37_bytes() {
    let bytes = unhex(
        "00000021 0100001d 0011 00 01df 00000001 00000001 00000008 4e6f20726f757465 00000000",
    );
    let answer = Command {
        flag: 1,
        ..java(17, 1, HeaderEncoding::Binary)
    }
    .with_remark("No route");
    assert_eq!(encode(&answer), bytes);
    assert_eq!(decode(&bytes), answer);
}

#[test]
fn an_error_answer_in_json_has_124_bytes() {
    let answer = Command {
        flag: 1,
        ..java(17, 1, HeaderEncoding::Json)
    }
    .with_remark("No route");
    let frame = encode(&answer);
    assert_eq!(
        (frame.len(), &frame[..8]),
        (124, &unhex("00000078 00000074")[..])
    );
    let header = br#"{"code":17,"flag":1,"language":"JAVA","opaque":1,"remark":"No route","serializeTypeCurrentRPC":"JSON","version":479}"#;
    assert_eq!(frame[8..], header[..]);
}

#[test]
fn an_empty_value_in_binary_is_a_field_that_is_present() {
    let bytes = unhex(
        "00000028 01000024 0000 00 0000 00000007 00000001 00000000 0000000f
         0001 65 00000001 76   0001 6b 00000000",
    );
    let answer = decode(&bytes);
    assert_eq!((answer.opaque, answer.is_response()), (7, true));
    assert_eq!(answer.fields, Fields::from_iter([("e", "v"), ("k", "")]));
    assert_eq!(encode(&answer), bytes);
}

#[test]
fn a_pop_request_that_java_cut_to_16_bits_is_understood() {
    let bytes = unhex("00000019 01000015 0d72 00 0000 00000002 00000000 00000000 00000000");
    assert_eq!(decode(&bytes).code, codes::request::POP_MESSAGE);
}

#[test]
fn an_answer_with_that_number_stays_what_it_is() {
    let bytes = unhex("00000019 01000015 0d72 00 0000 00000002 00000001 00000000 00000000");
    assert_eq!(decode(&bytes).code, 3442);
}

#[test]
fn a_code_beyond_16_bits_falls_back_to_json() {
    let pop = java(codes::request::POP_MESSAGE, 2, HeaderEncoding::Binary);
    let back = decode(&encode(&pop));
    assert_eq!((back.code, back.encoding), (200_050, HeaderEncoding::Json));
}

#[test]
fn a_send_in_json_has_345_bytes() {
    let mut send = java(310, 2, HeaderEncoding::Json).with_body("hello");
    let properties =
        "UNIQ_KEY\u{1}C0A8000504D2251D3F4E6E5A1B2C0001\u{2}TAGS\u{1}TagA\u{2}WAIT\u{1}true\u{2}";
    let values = [
        "PG",
        "TopicTest",
        "TBW102",
        "4",
        "1",
        "0",
        "1700000000000",
        "0",
        properties,
        "0",
        "false",
        "false",
    ];
    send.fields = "abcdefghijkm"
        .split("")
        .filter(|key| !key.is_empty())
        .zip(values)
        .collect();
    let frame = encode(&send);
    assert_eq!(
        (frame.len(), &frame[..8]),
        (345, &unhex("00000155 0000014c")[..])
    );
    let start = br#"{"code":310,"extFields":{"a":"PG","b":"TopicTest","c":"TBW102","d":"4","e":"1","f":"0","g":"1700000000000","h":"0","i":"UNIQ_KEY\u0001C0A80"#;
    assert_eq!(frame[8..8 + start.len()], start[..]);
    assert_eq!(decode(&frame), send);
}

const RECORD: &str = "
    0000009d daa320a7 3610a686 00000003 00000000 0000000000000005 0000000000001000 00000000
    0000018bcfe56800 c0a80005 0000c822 0000018bcfe5687b c0a8000a 00002a9f 00000000 0000000000000000
    00000005 68656c6c6f 09 546f70696354657374 0034
    54414753 01 54616741 02
    554e49515f4b4559 01 4330413830303035303444323235314433463445364535413142324330303031 02";

#[test]
fn the_record_of_157_bytes_is_read() {
    let bytes = unhex(RECORD);
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.size(), 157);
    assert_eq!(record.body_crc(), 907_060_870);
    record.check_crc().unwrap();
    assert_eq!(
        (record.queue_id(), record.flag(), record.sys_flag()),
        (3, 0, 0)
    );
    assert_eq!((record.queue_offset(), record.physical_offset()), (5, 4096));
    assert_eq!(record.born_timestamp_ms(), 1_700_000_000_000);
    assert_eq!(record.born_host(), "192.168.0.5:51234".parse().unwrap());
    assert_eq!(record.store_timestamp_ms(), 1_700_000_000_123);
    assert_eq!(record.store_host(), "192.168.0.10:10911".parse().unwrap());
    assert_eq!(
        (
            record.reconsume_times(),
            record.prepared_transaction_offset()
        ),
        (0, 0)
    );
    assert_eq!(
        (record.body(), record.topic()),
        (&b"hello"[..], "TopicTest")
    );
    assert_eq!(
        record.properties(),
        "TAGS\u{1}TagA\u{2}UNIQ_KEY\u{1}C0A8000504D2251D3F4E6E5A1B2C0001\u{2}"
    );
}

#[test]
fn the_record_of_157_bytes_is_written() {
    let new = NewRecord {
        queue_id: 3,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 1_700_000_000_000,
        born_host: "192.168.0.5:51234".parse().unwrap(),
        store_host: "192.168.0.10:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"hello",
        topic: "TopicTest",
        properties: "TAGS\u{1}TagA\u{2}UNIQ_KEY\u{1}C0A8000504D2251D3F4E6E5A1B2C0001\u{2}"
            .as_bytes(),
    };
    let mut out = Vec::new();
    assert_eq!(record::encode(&new, &mut out).unwrap(), 157);
    record::stamp(&mut out, 5, 4096, 1_700_000_000_123);
    assert_eq!(out, unhex(RECORD));
}

#[test]
fn a_pull_answer_carries_that_record_in_372_bytes_of_json_and_272_of_binary() {
    let mut answer = Command {
        flag: 1,
        version: 409,
        ..java(0, 7, HeaderEncoding::Json)
    };
    answer.fields = [
        ("suggestWhichBrokerId", "0"),
        ("nextBeginOffset", "6"),
        ("minOffset", "0"),
        ("maxOffset", "6"),
    ]
    .into_iter()
    .collect();
    answer = answer.with_remark("FOUND").with_body(unhex(RECORD));
    let json = encode(&answer);
    assert_eq!(
        (json.len(), &json[..8]),
        (372, &unhex("00000170 000000cf")[..])
    );
    answer.encoding = HeaderEncoding::Binary;
    let binary = encode(&answer);
    let start =
        unhex("0000010c 0100006b 0000 00 0199 00000007 00000001 00000005 464f554e44 00000051");
    assert_eq!((binary.len(), &binary[..start.len()]), (272, &start[..]));
    let body = decode(&binary).body;
    assert_eq!(
        record::iter(&body)
            .map(|record| record.unwrap().size())
            .collect::<Vec<_>>(),
        [157]
    );
}

#[test]
fn a_batch_of_two_has_92_bytes() {
    let bytes = unhex(
        "0000002e 00000000 00000000 00000000 00000002 6d31 0016 554e49515f4b4559 01 4131 02 57414954 01 74727565 02
         0000002e 00000000 00000000 00000000 00000002 6d32 0016 554e49515f4b4559 01 4132 02 57414954 01 74727565 02",
    );
    assert_eq!(bytes.len(), 92);
    let items: Vec<batch::Item<'_>> = batch::iter(&bytes).map(Result::unwrap).collect();
    let first = batch::Item {
        flag: 0,
        body: b"m1",
        properties: "UNIQ_KEY\u{1}A1\u{2}WAIT\u{1}true\u{2}".into(),
    };
    let second = batch::Item {
        flag: 0,
        body: b"m2",
        properties: "UNIQ_KEY\u{1}A2\u{2}WAIT\u{1}true\u{2}".into(),
    };
    assert_eq!(items, [first, second]);
    let mut again = Vec::new();
    for item in &items {
        batch::encode(item, &mut again).unwrap();
    }
    assert_eq!(again, bytes);
}

#[test]
fn ipv6_hosts_are_marked_and_take_twelve_bytes_more_each() {
    let plain = "10.0.0.1:1".parse::<SocketAddr>().unwrap();
    let six = "[2001:db8::a]:10911".parse::<SocketAddr>().unwrap();
    let mapped = "[::ffff:10.0.0.1]:1".parse::<SocketAddr>().unwrap();
    for (born, store, size, flags) in [
        (plain, plain, 94, 1),
        (six, plain, 106, 0x11),
        (plain, six, 106, 0x21),
        (six, six, 118, 0x31),
        (mapped, mapped, 94, 1),
    ] {
        let mut out = Vec::new();
        // The caller's own bits say IPv6 here: what counts is the hosts.
        let new = NewRecord {
            born_host: born,
            store_host: store,
            sys_flag: 0x31,
            ..minimal("T", b"b", b"p")
        };
        assert_eq!(record::encode(&new, &mut out).unwrap(), size);
        record::stamp(&mut out, 1, 2, 3);
        let record = Record::parse(&out).unwrap();
        assert_eq!(record.sys_flag(), flags);
        assert_eq!(
            (
                record.queue_offset(),
                record.physical_offset(),
                record.store_timestamp_ms()
            ),
            (1, 2, 3)
        );
        assert_eq!(record.born_host().ip(), born.ip().to_canonical());
        assert_eq!(record.store_host().ip(), store.ip().to_canonical());
    }
}

#[test]
fn only_a_topic_beyond_127_bytes_is_written_as_v2() {
    for (length, magic, size) in [(127, record::MAGIC_V1, 218), (128, record::MAGIC_V2, 220)] {
        let topic = "t".repeat(length);
        let mut out = Vec::new();
        assert_eq!(
            record::encode(&minimal(&topic, b"", b""), &mut out).unwrap(),
            size
        );
        assert_eq!(out[4..8], magic.to_be_bytes());
        assert_eq!(Record::parse(&out).unwrap().topic(), topic);
    }
}

fn minimal<'a>(topic: &'a str, body: &'a [u8], properties: &'a [u8]) -> NewRecord<'a> {
    let host = SocketAddr::from(([127, 0, 0, 1], 10_911));
    NewRecord {
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic,
        properties,
    }
}
