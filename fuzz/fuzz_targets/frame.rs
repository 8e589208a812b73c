//! Frames: a valid one is encoded, damaged, and decoded.
//!
//! Oracle: no panic; allocations stay within the allowance; what decodes encodes again to the same meaning; every typed
//! header reads or refuses it.

#![no_main]

use arbitrary::Arbitrary;
use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use tern_fuzz::{Damage, allocated, allowance};
use tern_wire::headers::{
    CreateTopic, PullRequest, RegisterBrokerRequest, SearchOffset, SendRequest, SendResponse,
};
use tern_wire::{
    Command, Fields, HeaderEncoding, Language, FrameLimits, decode_frame, encode_frame, frame_length,
    names, properties,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    binary: bool,
    code: i32,
    language: u8,
    version: i16,
    opaque: i32,
    flag: i32,
    remark: Option<&'a str>,
    fields: Vec<(Key<'a>, &'a str)>,
    body: &'a [u8],
    damage: Vec<Damage>,
}

/// Names that mean something, and names that do not.
#[derive(Arbitrary, Debug)]
enum Key<'a> {
    Short(u8),
    Topic,
    QueueId,
    Group,
    Other(&'a str),
}

impl Key<'_> {
    fn set(&self, value: &str, fields: &mut Fields) {
        let letter = |number: &u8| char::from(b'a' + number % 14);
        match self {
            Key::Short(number) => fields.set(letter(number).encode_utf8(&mut [0; 4]), value),
            Key::Topic => fields.set("topic", value),
            Key::QueueId => fields.set("queueId", value),
            Key::Group => fields.set("consumerGroup", value),
            Key::Other("") => {}
            Key::Other(name) => fields.set(name, value),
        }
    }
}

impl Input<'_> {
    fn command(&self) -> Command {
        let mut fields = Fields::new();
        for (key, value) in &self.fields {
            key.set(value, &mut fields);
        }
        Command {
            code: self.code,
            language: Language(self.language),
            version: i32::from(self.version),
            opaque: self.opaque,
            flag: self.flag,
            remark: self.remark.map(str::to_owned),
            fields,
            body: Bytes::copy_from_slice(self.body),
            encoding: if self.binary {
                HeaderEncoding::Binary
            } else {
                HeaderEncoding::Json
            },
        }
    }
}

fn encode(command: &Command) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(command, &mut out).expect("a fuzzer's input is smaller than a frame may be");
    out
}

/// Reads a frame as a connection would; `None` if it is refused.
fn decode(frame: Vec<u8>) -> Option<Command> {
    let limits = FrameLimits::default();
    let length = frame_length(*frame.first_chunk::<4>()?, &limits).ok()?;
    let frame = Bytes::from(frame).slice(4..);
    if frame.len() < length {
        return None;
    }
    decode_frame(frame.slice(..length), &limits).ok()
}

fn read_headers(command: &Command) {
    let fields = &command.fields;
    let mut again = Fields::new();
    if let Ok(send) = SendRequest::decode(command.code, fields) {
        send.encode_v2(&mut again);
        assert_eq!(SendRequest::decode_v2(&again), Ok(send));
        let _ = (
            names::check_topic(send.topic),
            names::check_group(send.producer_group),
        );
        let _ = send.properties.map(|text| properties::iter(text).count());
    }
    let _ = PullRequest::decode(fields).map(|header| header.encode(&mut again));
    let _ = SendResponse::decode(fields).map(|header| header.encode(&mut again));
    let _ = SearchOffset::decode(fields).map(|header| header.encode(&mut again));
    let _ = CreateTopic::decode(fields).map(|header| header.encode(&mut again));
    let _ = RegisterBrokerRequest::decode(fields).map(|header| header.encode(&mut again));
}

fuzz_target!(|input: Input<'_>| {
    let mut frame = encode(&input.command()).to_vec();
    for damage in &input.damage {
        damage.apply(&mut frame);
    }
    let size = frame.len();
    let (bytes, decoded) = allocated(|| decode(frame));
    assert!(
        bytes <= allowance(size),
        "{bytes} bytes allocated for {size}"
    );
    if let Some(command) = decoded {
        read_headers(&command);
        let again = decode(encode(&command).to_vec()).expect("what was decoded can be encoded");
        // A code or version that binary cannot hold comes back in JSON.
        assert_eq!(
            Command {
                encoding: command.encoding,
                ..again
            },
            command
        );
    } else {
        let honest = input.damage.is_empty() && input.fields.len() <= FrameLimits::default().max_fields;
        assert!(!honest, "an undamaged frame was refused");
    }
});
