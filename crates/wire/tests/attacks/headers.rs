//! W2: headers that are too deep, too wide, ambiguous, damaged, or none.

use bytes::BytesMut;
use tern_wire::{
    Command, Fields, FrameError, FrameLimits, HeaderEncoding, decode_frame, encode_frame,
};

use crate::{binary, binary_fields, frame, is_json_error, json};

#[test]
fn a_deep_header_is_refused_at_its_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| {
            let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            json(format!("{{\"code\":1,\"x\":{inner}}}"))
        };
        assert!(nested(31).is_ok());
        assert_eq!(nested(32), Err(FrameError::TooDeep { limit: 32 }));
        assert_eq!(nested(100_000), Err(FrameError::TooDeep { limit: 32 }));
    }
    assert_eq!(
        json("[".repeat(100_000)).map_err(|error| error.to_string().contains("object")),
        Err(true)
    );
}

#[test]
fn a_million_fields_are_refused_at_the_257th() {
    let header = |count: usize| {
        let fields: Vec<String> = (0..count).map(|n| format!("\"k{n}\":\"\"")).collect();
        format!("{{\"code\":1,\"extFields\":{{{}}}}}", fields.join(","))
    };
    assert_eq!(json(header(256)).unwrap().fields.len(), 256);
    assert_eq!(
        json(header(257)),
        Err(FrameError::TooManyFields { limit: 256 })
    );
    let wide = FrameLimits {
        max_header_bytes: 64 << 20,
        max_frame_bytes: 64 << 20,
        ..FrameLimits::default()
    };
    let million = header(1_000_000);
    let refused = decode_frame(frame(0, million.len(), million.as_bytes()), &wide);
    assert_eq!(refused, Err(FrameError::TooManyFields { limit: 256 }));
}

#[test]
fn many_binary_fields_are_refused_at_the_257th() {
    let distinct = |count: u16| -> Vec<u8> {
        (0..count)
            .flat_map(|n| [0, 2, (n / 100) as u8 + 1, (n % 100) as u8 + 1, 0, 0, 0, 0])
            .collect()
    };
    let bytes = distinct(256);
    assert_eq!(
        binary_fields(bytes.len() as i32, &bytes)
            .unwrap()
            .fields
            .len(),
        256
    );
    let bytes = distinct(257);
    assert_eq!(
        binary_fields(bytes.len() as i32, &bytes),
        Err(FrameError::TooManyFields { limit: 256 })
    );
}

#[test]
fn a_key_that_occurs_twice_is_refused() {
    for header in [
        r#"{"code":1,"code":1}"#,
        r#"{"code":1,"opaque":1,"opaque":2}"#,
        r#"{"code":1,"extFields":{},"extFields":{}}"#,
        r#"{"code":1,"extFields":{"a":"1","b":"2","a":"3"}}"#,
        r#"{"code":1,"extFields":{"a":"1","\u0061":"1"}}"#,
    ] {
        assert!(
            matches!(json(header), Err(FrameError::DuplicateKey { .. })),
            "{header}"
        );
    }
    let two_meanings = b"\0\x01a\0\0\0\x011\0\x01a\0\0\0\x012";
    assert!(matches!(
        binary_fields(two_meanings.len() as i32, two_meanings),
        Err(FrameError::DuplicateKey { .. })
    ));
}

#[test]
fn a_binary_field_may_be_repeated_with_the_same_value() {
    let repeated = b"\0\x01a\0\0\0\x011\0\x01a\0\0\0\x011";
    let command = binary_fields(repeated.len() as i32, repeated).unwrap();
    assert_eq!(command.fields, Fields::from_iter([("a", "1")]));
}

#[test]
fn what_is_not_json_is_refused() {
    for header in [
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"\"",
        "{}x",
        "{\"code\"}",
        "{\"code\":}",
        "{\"code\":1,}",
        "{code:1}",
        "{'code':1}",
        "{\"code\":NaN}",
        "{\"code\":Infinity}",
        "{\"code\":-}",
        "{\"code\":01}",
        "{\"code\":1.}",
        "{\"code\":1e}",
        "{\"code\":tru}",
        "{\"code\":1}{}",
        "{\"code\":1 \"flag\":0}",
        "{\"code\":1,\"x\":[1,]}",
        "{\"code\":1,\"x\":[1 2]}",
        "{\"code\":1,\"remark\":\"\\x\"}",
        "{\"code\":1,\"remark\":\"\\u12\"}",
        "{\"code\":1,\"remark\":\"\\",
        "{\"code\":1,\"remark\":\"open}",
        "{\"code\":1}\0",
    ] {
        assert!(
            is_json_error(&json(header)),
            "{header:?}: {:?}",
            json(header)
        );
    }
}

#[test]
fn what_is_no_header_is_refused() {
    for header in [
        "{}",
        "{\"opaque\":1}",
        "{\"code\":1.5}",
        "{\"code\":[]}",
        "{\"code\":4294967296}",
        "{\"code\":1,\"opaque\":2147483648}",
        "{\"code\":1,\"flag\":true}",
        "{\"code\":1,\"extFields\":[]}",
        "{\"code\":1,\"extFields\":\"\"}",
        "{\"code\":1,\"extFields\":{\"a\":{}}}",
        "{\"code\":1,\"extFields\":{\"a\":[]}}",
        "{\"code\":1,\"extFields\":{\"\":\"1\"}}",
    ] {
        assert!(is_json_error(&json(header)), "{header}: {:?}", json(header));
    }
}

#[test]
fn text_that_is_not_utf8_is_read_as_java_reads_it_in_both_forms() {
    let gbk =
        json(b"{\"code\":1,\"remark\":\"\xb6\xa9\",\"extFields\":{\"i\":\"K\x01\xb5\"}}").unwrap();
    assert_eq!(gbk.remark.as_deref(), Some("\u{fffd}\u{fffd}"));
    assert_eq!(gbk.fields.get("i"), Some("K\u{1}\u{fffd}"));
    // A replacement is no quote: what follows stays where it is.
    assert!(json(b"{\"code\":1,\"remark\":\"\xe2\"}").is_ok());
    let key = binary_fields(8, b"\0\x01\xff\0\0\0\x01a").unwrap();
    assert_eq!(key.fields.get("\u{fffd}"), Some("a"));
    let value = binary_fields(8, b"\0\x01a\0\0\0\x01\xff").unwrap();
    assert_eq!(value.fields.get("a"), Some("\u{fffd}"));
}

#[test]
fn lying_lengths_in_a_binary_header_are_refused() {
    let refused = |claimed, fields: &[u8]| {
        matches!(
            binary_fields(claimed, fields),
            Err(FrameError::Binary { .. })
        )
    };
    assert!(binary_fields(8, b"\0\x01a\0\0\0\x011").is_ok());
    assert!(
        refused(7, b"\0\x01a\0\0\0\x011"),
        "fields longer than claimed"
    );
    assert!(
        refused(9, b"\0\x01a\0\0\0\x011"),
        "fields shorter than claimed"
    );
    assert!(refused(-1, b""), "a negative length of the fields");
    assert!(refused(i32::MAX, b""), "a length bomb of the fields");
    assert!(refused(8, b"\xff\xffa\0\0\0\x011"), "a negative key length");
    assert!(
        refused(8, b"\x7f\xffa\0\0\0\x011"),
        "a key longer than the header"
    );
    assert!(
        refused(8, b"\0\x01a\xff\xff\xff\xff1"),
        "a negative value length"
    );
    assert!(
        refused(8, b"\0\x01a\x7f\xff\xff\xff1"),
        "a value longer than the header"
    );
    assert!(refused(7, b"\0\0\0\0\0\x011"), "a field without a name");
    let remark = |length: i32| binary(&[&[0; 13][..], &length.to_be_bytes(), &[0; 4]].concat());
    assert!(remark(0).is_ok());
    assert!(matches!(remark(-1), Err(FrameError::Binary { .. })));
    assert!(matches!(remark(i32::MAX), Err(FrameError::Binary { .. })));
}

#[test]
fn a_header_cut_anywhere_is_refused() {
    let mut command = Command::request(310, 7).with_remark("a \"quoted\" remark");
    command.fields = Fields::from_iter([("i", "A\u{1}b\u{2}"), ("b", "TopicTest"), ("j", "0")]);
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        let mut whole = BytesMut::new();
        encode_frame(
            &Command {
                encoding,
                ..command.clone()
            },
            &mut whole,
        )
        .unwrap();
        let header = &whole[8..];
        for cut in 0..header.len() {
            let refused = decode_frame(
                frame(whole[4], cut, &header[..cut]),
                &FrameLimits::default(),
            );
            assert!(refused.is_err(), "{encoding:?} cut at {cut}");
        }
    }
}
