//! Reads the recordings.

use std::fmt;
use std::path::Path;

use serde_json::Value;
use tern_wire::{Fields, HeaderEncoding, Language};

const FILES: [&str; 5] = [
    "client-4.9.8-binary.jsonl",
    "client-4.9.8-json.jsonl",
    "client-5.5.0-binary.jsonl",
    "client-5.5.0-json.jsonl",
    "mqadmin-5.5.0-json.jsonl",
];

/// One recorded frame and what the recorder read in it.
pub struct Recording {
    place: String,
    pub kind: String,
    pub code: i32,
    pub request_code: i32,
    pub language: Language,
    pub version: i32,
    pub opaque: i32,
    pub flag: i32,
    pub remark: Option<String>,
    pub fields: Fields,
    pub encoding: HeaderEncoding,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
    pub truncated: bool,
}

impl Recording {
    /// The frame; of a truncated body as much as was kept.
    pub fn frame(&self) -> Vec<u8> {
        let form = u32::from(self.encoding == HeaderEncoding::Binary);
        let mut frame = Vec::new();
        frame.extend_from_slice(&((4 + self.head.len() + self.body.len()) as u32).to_be_bytes());
        frame.extend_from_slice(&(form << 24 | self.head.len() as u32).to_be_bytes());
        frame.extend_from_slice(&self.head);
        frame.extend_from_slice(&self.body);
        frame
    }

    pub fn is_request(&self, code: i32) -> bool {
        self.kind != "resp" && self.request_code == code
    }
}

impl fmt::Display for Recording {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} ({} of {}, code {})",
            self.place, self.kind, self.request_code, self.code
        )
    }
}

/// All recordings of all files.
pub fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let mut all = Vec::new();
    for file in FILES {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        for (line, row) in text.lines().enumerate() {
            let row = serde_json::from_str(row).unwrap();
            all.push(recording(format!("{file}:{}", line + 1), &row));
        }
    }
    all
}

fn recording(place: String, row: &Value) -> Recording {
    let int = |key: &str| i32::try_from(row[key].as_i64().unwrap()).unwrap();
    let text = |key: &str| row[key].as_str().map(str::to_owned);
    let empty = serde_json::Map::new();
    let fields = row["ext"].as_object().unwrap_or(&empty);
    Recording {
        place,
        kind: text("kind").unwrap(),
        code: int("code"),
        request_code: int("req_code"),
        language: match &row["lang"] {
            Value::String(name) => Language::from_name(name),
            ordinal => Language::from_ordinal(ordinal.as_i64().unwrap()),
        },
        version: int("version"),
        opaque: int("opaque"),
        flag: int("flag"),
        remark: text("remark"),
        fields: fields
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str().unwrap()))
            .collect(),
        encoding: if row["ser"] == "JSON" {
            HeaderEncoding::Json
        } else {
            HeaderEncoding::Binary
        },
        head: unhex(row["head"].as_str().unwrap()),
        body: unhex(row["body"].as_str().unwrap()),
        truncated: row["truncated"].as_bool().unwrap(),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
