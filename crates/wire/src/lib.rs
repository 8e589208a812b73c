//! Bytes on the network: frames, headers, message records, batches. No I/O.
//!
//! A frame is split by [`frame_length`] and [`decode_frame`] into a [`Command`]: header fields in one text buffer, the
//! body as a slice of the input. [`encode_frame`] is the way back. What the header fields of a request code mean is
//! said by the structs in [`headers`]. The stored form of a message is [`record`], a batch of unstored ones [`batch`].
//!
//! Source of every format: the remoting protocol of Apache RocketMQ, 4.9 and 5.x (`docs/wire.md`).

mod binary;
mod command;
mod crc;
mod decimal;
mod fields;
mod frame;
mod frame_error;
mod json;
mod language;
mod limits;
mod text;

pub mod batch;
pub mod codes;
pub mod compression;
pub mod headers;
pub mod message_id;
pub mod names;
pub mod permission;
pub mod properties;
pub mod record;
pub mod sys_flag;
pub mod tags;
pub mod version;

pub use command::{Command, HeaderEncoding};
pub use crc::crc32_java;
pub use fields::Fields;
pub use frame::{decode_frame, encode_frame, encode_frame_head, frame_length};
pub use frame_error::FrameError;
pub use headers::HeaderError;
pub use language::Language;
pub use limits::{FrameLimits, MAX_FRAME_BYTES};
