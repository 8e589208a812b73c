//! Frames: where one ends, what its header says, and the way back.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of what follows |
//! | 1 | form of the header: 0 JSON, 1 binary |
//! | 3 | length of the header |
//! | header | [`crate::Command`] without its body |
//! | rest | body |
//!
//! All integers are big-endian. Lengths are compared as unsigned and before anything is allocated for them.

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::{Command, HeaderEncoding};
use crate::frame_error::FrameError;
use crate::limits::{FrameLimits, MAX_FRAME_BYTES};
use crate::{binary, json};

/// Bytes of the word that holds the form and the length of the header.
const HEADER_WORD: usize = 4;
/// Bytes of the length field.
const LENGTH_FIELD: usize = 4;
/// The header length has 24 bits.
const MAX_HEADER: usize = 0x00ff_ffff;

/// How many bytes follow the length field of a frame.
///
/// # Errors
/// [`FrameError::TooLong`] and [`FrameError::TooShort`]; a negative length is a very long one.
/// [`FrameError::OtherProtocol`] where a length beyond the limit is the beginning of something else.
pub fn frame_length(first_four: [u8; 4], limits: &FrameLimits) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(first_four);
    match check_length(u64::from(length), limits) {
        Ok(()) => Ok(length as usize),
        Err(FrameError::TooLong { announced, limit }) => {
            let (first, protocol) = (
                first_four.escape_ascii().to_string(),
                other_protocol(first_four),
            );
            Err(
                protocol.map_or(FrameError::TooLong { announced, limit }, |protocol| {
                    FrameError::OtherProtocol { first, protocol }
                }),
            )
        }
        Err(error) => Err(error),
    }
}

/// Which protocol begins with these bytes, if it is one that people point at a wrong port.
fn other_protocol(first_four: [u8; 4]) -> Option<&'static str> {
    match &first_four {
        b"HTTP" | b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN" => {
            Some("HTTP")
        }
        b"PRI " => Some("HTTP/2, as gRPC uses it"),
        b"SSH-" => Some("SSH"),
        [0x16, 3, ..] => Some("TLS"),
        letters if letters.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
            Some("another protocol")
        }
        _ => None,
    }
}

/// Decodes a frame from which the length field was taken off. The body is a slice of the input.
///
/// # Errors
/// Every [`FrameError`] but none about fields of a request: those are found by the structs in [`crate::headers`], and
/// can be answered.
pub fn decode_frame(after_length: Bytes, limits: &FrameLimits) -> Result<Command, FrameError> {
    check_length(after_length.len() as u64, limits)?;
    let (form, header_len) = header_word(&after_length);
    if header_len as u64 > u64::from(limits.max_header_bytes) {
        return Err(FrameError::HeaderTooLong {
            announced: header_len as u64,
            limit: u64::from(limits.max_header_bytes),
        });
    }
    let room = after_length.len() - HEADER_WORD;
    if header_len > room {
        return Err(FrameError::HeaderBeyondFrame {
            announced: header_len,
            room,
        });
    }
    let mut body = after_length;
    let head = body.split_to(HEADER_WORD + header_len);
    let mut command = match form {
        0 => json::decode(&head[HEADER_WORD..], limits)?,
        1 => binary::decode(&head[HEADER_WORD..], limits)?,
        other => return Err(FrameError::UnknownForm(other)),
    };
    command.body = body;
    Ok(command)
}

/// Appends the whole frame, from its length field to its body.
///
/// A command that the binary form cannot express (codes above 32767) is written with a JSON header.
///
/// # Errors
/// [`FrameError::TooLong`] and [`FrameError::HeaderTooLong`], with nothing appended, for what no peer would take.
pub fn encode_frame(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    out.reserve(command.body.len());
    encode_frame_head(command, command.body.len(), out)?;
    out.put_slice(&command.body);
    Ok(())
}

/// Appends a frame up to its body, whose length is `body_len`: for bodies that are sent from where they lie.
/// `command.body` is not looked at.
///
/// # Errors
/// As [`encode_frame`].
pub fn encode_frame_head(
    command: &Command,
    body_len: usize,
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    let start = out.len();
    out.reserve(LENGTH_FIELD + HEADER_WORD + command.fields.text_len() + 192);
    out.put_u64(0);
    let form = if command.encoding == HeaderEncoding::Binary && binary::can_express(command) {
        binary::encode(command, out);
        1
    } else {
        json::encode(command, out);
        0
    };
    let header_len = out.len() - start - LENGTH_FIELD - HEADER_WORD;
    if let Err(refused) = check_encoded(header_len, body_len) {
        out.truncate(start);
        return Err(refused);
    }
    let total = (HEADER_WORD + header_len + body_len) as u32;
    out[start..start + 4].copy_from_slice(&total.to_be_bytes());
    out[start + 4..start + 8].copy_from_slice(&(form << 24 | header_len as u32).to_be_bytes());
    Ok(())
}

fn check_length(after_length: u64, limits: &FrameLimits) -> Result<(), FrameError> {
    let announced = after_length + LENGTH_FIELD as u64;
    let limit = u64::from(limits.max_frame_bytes);
    if announced > limit {
        return Err(FrameError::TooLong { announced, limit });
    }
    if after_length < HEADER_WORD as u64 {
        return Err(FrameError::TooShort {
            announced: after_length,
        });
    }
    Ok(())
}

fn check_encoded(header_len: usize, body_len: usize) -> Result<(), FrameError> {
    if header_len > MAX_HEADER {
        return Err(FrameError::HeaderTooLong {
            announced: header_len as u64,
            limit: MAX_HEADER as u64,
        });
    }
    let frame = (LENGTH_FIELD + HEADER_WORD + header_len) as u64 + body_len as u64;
    if frame > u64::from(MAX_FRAME_BYTES) {
        return Err(FrameError::TooLong {
            announced: frame,
            limit: u64::from(MAX_FRAME_BYTES),
        });
    }
    Ok(())
}

/// Form and length of the header. The input has at least four bytes.
fn header_word(after_length: &[u8]) -> (u8, usize) {
    let word = u32::from_be_bytes([0, after_length[1], after_length[2], after_length[3]]);
    (after_length[0], word as usize)
}
