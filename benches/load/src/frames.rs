//! A send as the Java client 5.5.0 writes it, from a template: only what differs from one message to the next is
//! written anew, so that the generator takes little of the cores that it shares with the servers.

use bytes::{BufMut, BytesMut};
use tern_wire::batch::{self, Item};
use tern_wire::codes;
use tern_wire::message_id::UniqueIdMaker;

use crate::plan::Plan;

/// Pieces of a send's frame.
#[derive(Debug)]
pub struct SendFrames {
    to_queue: String,
    to_born: &'static str,
    to_id: &'static str,
    to_opaque: String,
    rest: &'static str,
    /// Of one message.
    body: Vec<u8>,
    /// Messages of a send.
    messages: u64,
    /// They, if there are several.
    entries: Vec<u8>,
    ids: UniqueIdMaker,
}

/// What one message has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Queue that it goes to.
    pub queue: u32,
    /// When it was made, Unix time.
    pub born_ms: u64,
    /// Unique id.
    pub id: &'a str,
    /// Number of the request.
    pub opaque: i32,
}

impl SendFrames {
    /// A template for the messages of a plan to one group. Senders with different salts make different ids.
    pub fn new(plan: &Plan, group: &str, salt: u32) -> Self {
        let is_batch = plan.batch > 1;
        let code = if is_batch {
            codes::request::SEND_BATCH_MESSAGE
        } else {
            codes::request::SEND_MESSAGE_V2
        };
        Self {
            to_queue: format!(
                r#"{{"code":{code},"extFields":{{"a":"load","b":"{}","c":"TBW102","d":"4","e":""#,
                plan.topic
            ),
            to_born: r#"","f":"0","g":""#,
            to_id: r#"","h":"0","i":"UNIQ_KEY\u0001"#,
            to_opaque: format!(
                concat!(
                    r#"\u0002WAIT\u0001true\u0002","j":"0","k":"false","m":"{}","n":"{}"}},"#,
                    r#""flag":0,"language":"JAVA","opaque":"#
                ),
                is_batch, group
            ),
            rest: r#","serializeTypeCurrentRPC":"JSON","version":513}"#,
            body: vec![b'x'; plan.body],
            messages: plan.batch,
            entries: Vec::new(),
            ids: UniqueIdMaker::new([127, 0, 0, 1].into(), std::process::id(), salt),
        }
    }

    /// Appends the frame of a send, whose messages are numbered from `first` on.
    pub fn add(&mut self, first: u64, queue: u32, opaque: i32, out: &mut BytesMut) {
        let born_ms = now_ms();
        if self.messages == 1 {
            self.set_number(first);
        } else {
            self.fill_entries(first, born_ms);
        }
        let id = self.ids.make(born_ms);
        let own = Own {
            queue,
            born_ms,
            id: &id,
            opaque,
        };
        self.write(own, out);
    }

    fn set_number(&mut self, number: u64) {
        if let Some(first) = self.body.first_chunk_mut::<8>() {
            *first = number.to_be_bytes();
        }
    }

    fn fill_entries(&mut self, first: u64, born_ms: u64) {
        self.entries.clear();
        for number in first..first + self.messages {
            self.set_number(number);
            let id = self.ids.make(born_ms);
            let item = Item {
                flag: 0,
                body: &self.body,
                properties: format!("UNIQ_KEY\u{1}{id}\u{2}WAIT\u{1}true\u{2}").into(),
            };
            batch::encode(&item, &mut self.entries).expect("bodies and properties are short");
        }
    }

    fn write(&self, own: Own<'_>, out: &mut BytesMut) {
        let start = out.len();
        out.put_u64(0);
        out.put_slice(self.to_queue.as_bytes());
        put_decimal(u64::from(own.queue), out);
        out.put_slice(self.to_born.as_bytes());
        put_decimal(own.born_ms, out);
        out.put_slice(self.to_id.as_bytes());
        out.put_slice(own.id.as_bytes());
        out.put_slice(self.to_opaque.as_bytes());
        put_decimal(u64::from(own.opaque.unsigned_abs()), out);
        out.put_slice(self.rest.as_bytes());
        let header = out.len() - start - 8;
        let body = if self.messages == 1 {
            &self.body
        } else {
            &self.entries
        };
        out.put_slice(body);
        let words = ((4 + header + body.len()) as u64) << 32 | header as u64;
        out[start..start + 8].copy_from_slice(&words.to_be_bytes());
    }
}

fn put_decimal(mut value: u64, out: &mut BytesMut) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// Unix time.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../../../tests/golden/client-5.5.0-json.jsonl");

    /// The first request with a code in the recording.
    fn recorded(code: i32) -> serde_json::Value {
        GOLDEN
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|frame| frame["code"] == code && frame["kind"] == "req")
            .expect("the recording holds one")
    }

    fn text<'a>(frame: &'a serde_json::Value, field: &str) -> &'a str {
        frame["ext"][field].as_str().expect("a text")
    }

    fn unhex(digits: &str) -> Vec<u8> {
        let (pairs, _) = digits.as_bytes().as_chunks::<2>();
        let nibble = |digit: u8| char::from(digit).to_digit(16).expect("hex") as u8;
        pairs
            .iter()
            .map(|[high, low]| nibble(*high) << 4 | nibble(*low))
            .collect()
    }

    fn plan(topic: &str, body: usize, batch: u64) -> Plan {
        let words = ["send", "group-a=127.0.0.1:1", topic].map(Into::into);
        let plan = Plan::parse(words.into_iter()).expect("a plan");
        Plan {
            body,
            batch,
            ..plan
        }
    }

    /// The frame that is written where the Java client wrote a recorded one, and the head of that.
    fn like(golden: &serde_json::Value, plan: &Plan) -> (BytesMut, Vec<u8>) {
        let head = unhex(golden["head"].as_str().expect("hex"));
        let id = text(golden, "i")
            .split(['\u{1}', '\u{2}'])
            .nth(1)
            .expect("an id");
        let number = |field| text(golden, field).parse::<u64>().expect("a number");
        let mut frames = SendFrames::new(plan, text(golden, "n"), 0);
        frames.to_queue = frames
            .to_queue
            .replace(r#""a":"load""#, &format!(r#""a":"{}""#, text(golden, "a")));
        let own = Own {
            queue: number("e") as u32,
            born_ms: number("g"),
            id,
            opaque: golden["opaque"].as_i64().expect("a number") as i32,
        };
        let mut out = BytesMut::new();
        frames.write(own, &mut out);
        (out, head)
    }

    #[test]
    fn a_send_has_the_bytes_that_the_java_client_sends() {
        let golden = recorded(310);
        let (written, head) = like(&golden, &plan(text(&golden, "b"), 1, 1));
        let mut expected = ((4 + head.len() + 1) as u32).to_be_bytes().to_vec();
        expected.extend((head.len() as u32).to_be_bytes());
        expected.extend(&head);
        expected.push(b'x');
        assert_eq!(written.as_ref(), expected.as_slice());
    }

    #[test]
    fn a_batch_has_the_head_that_the_java_client_sends() {
        let golden = recorded(320);
        let (written, head) = like(&golden, &plan(text(&golden, "b"), 1, 2));
        assert_eq!(&written[8..], head.as_slice());
    }

    #[test]
    fn the_messages_of_a_batch_are_numbered_one_after_the_other() {
        let mut frames = SendFrames::new(&plan("topic", 16, 3), "group-a", 0);
        let mut out = BytesMut::new();
        frames.add(7, 0, 1, &mut out);
        let body = &out[8 + u32::from_be_bytes([out[4], out[5], out[6], out[7]]) as usize..];
        let numbers: Vec<u64> = batch::iter(body)
            .map(|item| *item.expect("an entry").body.first_chunk().expect("8 bytes"))
            .map(u64::from_be_bytes)
            .collect();
        assert_eq!(numbers, [7, 8, 9]);
    }
}
