//! Writes a header in the key order and with the types that every reader takes.

use bytes::{BufMut, BytesMut};

use crate::{Command, decimal};

/// Appends the header. Strict, because C++ reads answers with a string-only accessor: field values are strings.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) {
    out.put_slice(b"{\"code\":");
    integer(command.code, out);
    if !command.fields.is_empty() {
        let mut before = &b",\"extFields\":{"[..];
        for (key, value) in command.fields.iter() {
            out.put_slice(before);
            string(key, out);
            out.put_u8(b':');
            string(value, out);
            before = b",";
        }
        out.put_u8(b'}');
    }
    out.put_slice(b",\"flag\":");
    integer(command.flag, out);
    out.put_slice(b",\"language\":\"");
    out.put_slice(command.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    integer(command.opaque, out);
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":");
        string(remark, out);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    integer(command.version, out);
    out.put_u8(b'}');
}

fn integer(value: i32, out: &mut BytesMut) {
    out.put_slice(decimal::text(i64::from(value), &mut [0; decimal::MAX_LEN]).as_bytes());
}

/// Quotes `text`. Runs without special bytes are copied whole; everything beyond ASCII stays UTF-8.
fn string(text: &str, out: &mut BytesMut) {
    out.put_u8(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put_slice(&bytes[copied..at]);
        escape(byte, out);
        copied = at + 1;
    }
    out.put_slice(&bytes[copied..]);
    out.put_u8(b'"');
}

fn escape(byte: u8, out: &mut BytesMut) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.put_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
            return;
        }
    };
    out.put_slice(&[b'\\', short]);
}
