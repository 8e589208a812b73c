//! Not attacks: what real clients send, and fields that are refused one by one while the connection stays.

use tern_wire::headers::{QueueRequest, SendRequest};
use tern_wire::{Fields, HeaderError, Language};

use crate::json;

#[test]
fn numbers_booleans_and_null_are_field_values() {
    let command =
        json(r#"{"code":11,"extFields":{"a":3,"b":true,"c":false,"d":null,"e":-1.5e3,"f":""}}"#)
            .unwrap();
    let expected = [
        ("a", "3"),
        ("b", "true"),
        ("c", "false"),
        ("e", "-1.5e3"),
        ("f", ""),
    ];
    assert_eq!(command.fields, Fields::from_iter(expected));
}

#[test]
fn a_language_is_a_name_or_a_number_or_anything() {
    for (text, expected) in [
        ("\"GO\"", Language::GO),
        ("9", Language::GO),
        ("\"COBOL\"", Language::OTHER),
        ("99", Language::OTHER),
        ("-1", Language::OTHER),
        ("1e9", Language::OTHER),
        ("true", Language::OTHER),
        ("null", Language::JAVA),
    ] {
        let command = json(format!("{{\"code\":1,\"language\":{text}}}")).unwrap();
        assert_eq!(command.language, expected, "{text}");
    }
    assert_eq!(json("{\"code\":1}").unwrap().language, Language::JAVA);
}

#[test]
fn unknown_keys_and_white_space_are_ignored() {
    let command = json(
        " {\t\"code\" : 105 ,\r\n \"new\":{\"a\":[1,\"\\\"]\",{}],\"a\":null},\"more\":[ ],\"extFields\" : { \"topic\" : \"T\" } }\n \n",
    );
    let command = command.unwrap();
    assert_eq!(
        (command.code, command.fields.get("topic")),
        (105, Some("T"))
    );
}

#[test]
fn no_version_is_an_error() {
    for (text, expected) in [
        ("2147483648", i32::MAX),
        ("99999999999999999999", i32::MAX),
        ("-99999999999999999999", i32::MIN),
        ("-1", -1),
    ] {
        assert_eq!(
            json(format!("{{\"code\":1,\"version\":{text}}}"))
                .unwrap()
                .version,
            expected
        );
    }
}

#[test]
fn numbers_in_quotes_and_null_members_are_read() {
    let command =
        json(r#"{"code":"105","opaque":"-7","flag":null,"remark":null,"extFields":null}"#).unwrap();
    assert_eq!((command.code, command.opaque, command.flag), (105, -7, 0));
    assert!(command.fields.is_empty() && command.remark.is_none());
}

#[test]
fn escapes_mean_what_json_says() {
    let command = json(
        r#"{"code":1,"remark":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0001","extFields":{"k\u0065y":"\u4e2d"}}"#,
    );
    let command = command.unwrap();
    assert_eq!(
        command.remark.as_deref(),
        Some("\"\\/\u{8}\u{c}\n\r\t\u{e9}\u{1f600}\u{1}")
    );
    assert_eq!(command.fields.get("key"), Some("中"));
}

#[test]
fn half_a_surrogate_pair_becomes_the_replacement_character() {
    for half in [
        "\\ud83d",
        "\\ude00",
        "\\ude00\\ude00",
        "\\ud83d\\u0041",
        "\\ud83d\\n",
    ] {
        let command = json(format!("{{\"code\":1,\"remark\":\"{half}\"}}")).unwrap();
        assert!(command.remark.unwrap().starts_with('\u{fffd}'), "{half}");
    }
}

#[test]
fn a_field_that_does_not_parse_names_itself_and_leaves_the_frame_alone() {
    let queue = |id: &str| {
        let fields = Fields::from_iter([("topic", "T"), ("queueId", id)]);
        QueueRequest::decode(&fields).map(|request| request.queue_id)
    };
    assert_eq!(queue("3"), Ok(3));
    assert_eq!(queue("-1"), Ok(-1));
    for bad in ["abc", "2147483648", "1.5", " 1", "0x1"] {
        let refused = queue(bad).unwrap_err();
        assert!(
            matches!(
                refused,
                HeaderError::NotANumber {
                    field: "queueId",
                    ..
                }
            ),
            "{bad}"
        );
        assert_eq!(
            refused.to_string(),
            format!("header field queueId is not a 32-bit integer: {bad:?}")
        );
    }
    assert_eq!(queue(""), Err(HeaderError::Missing { field: "queueId" }));
    let shown = queue(&"9".repeat(1_000_000)).unwrap_err().to_string();
    assert!(
        shown.len() < 100,
        "an error does not repeat a megabyte: {}",
        shown.len()
    );
}

#[test]
fn a_missing_field_is_named_and_an_empty_optional_number_is_absent() {
    let mut fields = Fields::from_iter([
        ("a", "G"),
        ("b", "T"),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "0"),
        ("f", "0"),
    ]);
    assert_eq!(
        SendRequest::decode_v2(&fields),
        Err(HeaderError::Missing { field: "g" })
    );
    fields.set("g", "1");
    fields.set("h", "0");
    fields.set("j", "");
    fields.set("m", "yes");
    let send = SendRequest::decode(310, &fields).unwrap();
    assert_eq!(
        (send.reconsume_times, send.properties, send.batch),
        (None, None, Some(false))
    );
    assert_eq!(
        SendRequest::decode(10, &fields),
        Err(HeaderError::Missing {
            field: "producerGroup"
        })
    );
    fields.set("bname", "broker-a");
    assert_eq!(
        SendRequest::decode(310, &fields).unwrap().broker_name,
        Some("broker-a")
    );
}
