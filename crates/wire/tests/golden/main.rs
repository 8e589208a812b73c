//! Frames that Apache's own programs put on the wire (`tests/golden/README.md`): each decodes to what the recorder saw,
//! and encodes again to the same meaning.

mod bodies;
mod recording;
mod typed;

use bytes::BytesMut;
use recording::{Recording, recordings};
use tern_wire::{Command, FrameLimits, HeaderEncoding, decode_frame, encode_frame, frame_length};

/// Decodes a whole frame, as a connection does it.
fn decode(frame: &[u8]) -> Command {
    let limits = FrameLimits::default();
    let length = frame_length(frame[..4].try_into().unwrap(), &limits).unwrap();
    assert_eq!(length, frame.len() - 4);
    decode_frame(frame[4..].to_vec().into(), &limits).unwrap()
}

fn encode(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(command, &mut out).unwrap();
    out
}

/// The recorder kept the beginning of a remark only; the bytes of the header are whole.
fn recorded_part(remark: &str) -> &str {
    remark
        .char_indices()
        .nth(300)
        .map_or(remark, |(end, _)| &remark[..end])
}

/// Java cuts the code of a pop request to 16 bits in a binary header; we understand what was meant.
fn whole_code(recording: &Recording) -> i32 {
    match recording.code {
        3442 if recording.kind == "req" => 200_050,
        code => code,
    }
}

#[test]
fn all_recordings_are_here() {
    let all = recordings();
    assert_eq!(all.len(), 979);
    assert_eq!(
        all.iter().filter(|recording| recording.truncated).count(),
        21
    );
}

#[test]
fn every_frame_decodes_to_what_was_recorded() {
    for recording in recordings() {
        let command = decode(&recording.frame());
        assert_eq!(command.code, whole_code(&recording), "{recording}");
        assert_eq!(command.language, recording.language, "{recording}");
        assert_eq!(command.version, recording.version, "{recording}");
        assert_eq!(command.opaque, recording.opaque, "{recording}");
        assert_eq!(command.flag, recording.flag, "{recording}");
        assert_eq!(
            command.remark.as_deref().map(recorded_part),
            recording.remark.as_deref(),
            "{recording}"
        );
        assert_eq!(command.fields, recording.fields, "{recording}");
        assert_eq!(command.body, recording.body, "{recording}");
        assert_eq!(command.encoding, recording.encoding, "{recording}");
        assert_eq!(
            command.is_response(),
            recording.kind == "resp",
            "{recording}"
        );
        assert_eq!(
            command.is_oneway(),
            recording.kind == "oneway",
            "{recording}"
        );
    }
}

#[test]
fn every_frame_encodes_again_to_the_same_meaning_in_both_forms() {
    for recording in recordings() {
        let command = decode(&recording.frame());
        for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
            let again = Command {
                encoding,
                ..command.clone()
            };
            let back = decode(&encode(&again));
            let expected_form = if command.code > 32_767 {
                HeaderEncoding::Json
            } else {
                encoding
            };
            assert_eq!(back.encoding, expected_form, "{recording}");
            assert_eq!(Command { encoding, ..back }, again, "{recording}");
        }
    }
}

#[test]
fn a_frame_encodes_to_the_very_bytes_that_java_sent() {
    for recording in recordings() {
        let frame = recording.frame();
        let command = decode(&frame);
        // Java also writes what says nothing: an empty map, an empty remark.
        let says_nothing = |words: &[u8]| frame.windows(words.len()).any(|bytes| bytes == words);
        let empty = says_nothing(b"\"extFields\":{},") || says_nothing(b"\"remark\":\"\",");
        if command.code <= 32_767 && !empty {
            assert_eq!(encode(&command), frame, "{recording}");
        }
    }
}

#[test]
fn every_header_of_a_served_code_survives_its_struct_field_by_field() {
    let mut checked = 0;
    for recording in recordings() {
        checked += usize::from(typed::check(&recording));
    }
    assert!(
        checked > 300,
        "only {checked} recordings have a typed header"
    );
}

#[test]
fn every_stored_message_parses_and_encodes_to_the_same_bytes() {
    let messages: usize = recordings()
        .iter()
        .filter(|recording| !recording.truncated)
        .map(bodies::check_records)
        .sum();
    assert!(messages > 100, "only {messages} stored messages");
}

#[test]
fn every_batch_body_splits_and_encodes_to_the_same_bytes() {
    let sends = recordings();
    let batches: Vec<&Recording> = sends
        .iter()
        .filter(|recording| recording.is_request(320))
        .collect();
    assert_eq!(batches.len(), 5);
    for batch in batches {
        bodies::check_batch(batch);
    }
}
