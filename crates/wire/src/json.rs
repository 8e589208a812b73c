//! The JSON form of a header.
//!
//! A reader of its own, because it is the hottest decoder of the product: it makes one buffer for all fields, knows
//! its limits before it starts, and takes what real clients send: numbers and booleans as field values (C++), a
//! language by name or by ordinal, unknown keys, white space at the end.

mod reader;
mod writer;

pub(crate) use reader::decode;
pub(crate) use writer::encode;
