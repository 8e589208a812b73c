//! What a hostile peer sends to a decoder (W1, W2, W8 and W9 of `docs/wire.md`): refused with a reason, before
//! anything is allocated for it. And what looks like an attack but is an honest client.

mod bodies;
mod headers;
mod honest;
mod lengths;
mod names;

use bytes::Bytes;
use tern_wire::{Command, FrameError, FrameLimits, decode_frame};

/// A frame without its length field.
fn frame(form: u8, header_len: usize, header: &[u8]) -> Bytes {
    let mut frame = (u32::from(form) << 24 | header_len as u32)
        .to_be_bytes()
        .to_vec();
    frame.extend_from_slice(header);
    frame.into()
}

fn json(header: impl AsRef<[u8]>) -> Result<Command, FrameError> {
    let header = header.as_ref();
    decode_frame(frame(0, header.len(), header), &FrameLimits::default())
}

fn binary(header: &[u8]) -> Result<Command, FrameError> {
    decode_frame(frame(1, header.len(), header), &FrameLimits::default())
}

/// A binary header without remark, whose fields are these bytes, of which the header claims this many.
fn binary_fields(claimed: i32, fields: &[u8]) -> Result<Command, FrameError> {
    let mut header = vec![0, 10, 0, 1, 223, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend_from_slice(&claimed.to_be_bytes());
    header.extend_from_slice(fields);
    binary(&header)
}

fn is_json_error(result: &Result<Command, FrameError>) -> bool {
    matches!(result, Err(FrameError::Json { .. }))
}
