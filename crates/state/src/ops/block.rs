//! The metadata block that carries ops.
//!
//! A metadata block is a run of ops, each:
//!
//! | size | field |
//! |--:|---|
//! | 2 | type |
//! | 2 | version |
//! | 4 | length of the body |
//! | length | body, see the file of each op |
//!
//! All integers are big-endian. The frame's payload CRC covers the block.

use crate::codec::{FieldReader, FieldWriter};
use crate::error::OpError;

use super::body::OpBody;

/// An op of a block, its body not yet read.
pub(super) struct RawOp<'a> {
    pub kind: u16,
    version: u16,
    body: &'a [u8],
}

impl<'a> RawOp<'a> {
    /// The next op of a block; none at its end.
    pub fn next(from: &mut FieldReader<'a>) -> Result<Option<Self>, OpError> {
        if from.left() == 0 {
            return Ok(None);
        }
        let (kind, version, length) = (from.u16()?, from.u16()?, from.u32()?);
        let body = from.bytes(length as usize)?;
        Ok(Some(Self {
            kind,
            version,
            body,
        }))
    }

    /// The body of an op of this type.
    pub fn read<T: OpBody>(&self) -> Result<T, OpError> {
        let (kind, version) = (self.kind, self.version);
        if version != T::VERSION {
            return Err(OpError::UnknownVersion { kind, version });
        }
        let mut from = FieldReader::new(self.body);
        let body = T::read(&mut from)?;
        match from.left() {
            0 => Ok(body),
            left => Err(OpError::Trailing { kind, left }),
        }
    }
}

/// Appends an op to a block.
pub(super) fn write<T: OpBody>(op: &T, block: &mut Vec<u8>) {
    let mut out = FieldWriter::new(block);
    out.u16(T::KIND);
    out.u16(T::VERSION);
    out.sized(|out| op.write(out));
}
