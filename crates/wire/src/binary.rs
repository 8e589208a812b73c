//! The binary form of a header, called ROCKETMQ in Java's configuration.
//!
//! | bytes | content |
//! |---|---|
//! | 2 | code |
//! | 1 | language |
//! | 2 | version |
//! | 4 | opaque |
//! | 4 | flag |
//! | 4 + n | remark, 0 for none |
//! | 4 | length of the fields |
//! | n | fields: 2 + n key, 4 + n value |
//!
//! All integers are signed and big-endian; lengths count bytes.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};

use crate::text::readable;
use crate::{Command, FrameError, FrameLimits, HeaderEncoding, Language, codes};

/// Decodes a binary header. The body of the result is empty.
pub(crate) fn decode(header: &[u8], limits: &FrameLimits) -> Result<Command, FrameError> {
    let mut reader = BinaryReader {
        bytes: header,
        at: 0,
    };
    let mut command = Command::blank(HeaderEncoding::Binary);
    command.code = i32::from(reader.int16("code")?);
    command.language = Language::from_ordinal(i64::from(reader.take(1, "language")?[0]));
    command.version = i32::from(reader.int16("version")?);
    command.opaque = reader.int32("opaque")?;
    command.flag = reader.int32("flag")?;
    if !command.is_response() {
        command.code = codes::request::widen(command.code);
    }
    let remark_len = reader.length("remark length")?;
    let remark = reader.text(remark_len, "remark")?;
    command.remark = (!remark.is_empty()).then(|| remark.into_owned());
    let fields_len = reader.length("length of the fields")?;
    if fields_len != header.len() - reader.at {
        return Err(reader.problem("fields do not end where the header ends"));
    }
    read_fields(&mut reader, &mut command, limits)?;
    Ok(command)
}

fn read_fields(
    reader: &mut BinaryReader<'_>,
    command: &mut Command,
    limits: &FrameLimits,
) -> Result<(), FrameError> {
    if reader.at == reader.bytes.len() {
        return Ok(());
    }
    let buffer = command.fields.text_mut();
    buffer.reserve(reader.bytes.len() - reader.at);
    let mut count = 0;
    while reader.at < reader.bytes.len() {
        count += 1;
        if count > limits.max_fields {
            return Err(FrameError::TooManyFields {
                limit: limits.max_fields,
            });
        }
        let at = reader.at;
        let key_len = usize::try_from(reader.int16("key length")?)
            .map_err(|_| reader.problem("key length"))?;
        let key = reader.text(key_len, "key")?;
        if key.is_empty() {
            return Err(FrameError::Binary {
                at,
                problem: "a field without a name",
            });
        }
        let value_len = reader.length("value length")?;
        let value = reader.text(value_len, "value")?;
        let buffer = command.fields.text_mut();
        let start = buffer.len();
        buffer.push_str(&key);
        buffer.push_str(&value);
        let key_end = start + key.len();
        let end = key_end + value.len();
        // Java writes the fields of a header struct and its free-form map one after the other without comparing them,
        // so that the same entry may honestly come twice. Two meanings may not.
        if command
            .fields
            .add(start..key_end, key_end..end)
            .is_err_and(|taken| !taken.same_value)
        {
            return Err(FrameError::DuplicateKey { at });
        }
    }
    Ok(())
}

/// Can the binary form hold this command? Codes and versions have 16 bits there, and so have the lengths of keys.
pub(crate) fn can_express(command: &Command) -> bool {
    let fits = |value: i32| i16::try_from(value).is_ok();
    fits(command.code)
        && fits(command.version)
        && command
            .fields
            .iter()
            .all(|(key, _)| i16::try_from(key.len()).is_ok())
}

/// Appends the header of a command that [`can_express`] accepts.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) {
    out.put_i16(command.code as i16);
    out.put_u8(command.language.0);
    out.put_i16(command.version as i16);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark.as_deref().unwrap_or_default();
    out.put_u32(remark.len() as u32);
    out.put_slice(remark.as_bytes());
    let length_at = out.len();
    out.put_u32(0);
    for (key, value) in command.fields.iter() {
        out.put_u16(key.len() as u16);
        out.put_slice(key.as_bytes());
        out.put_u32(value.len() as u32);
        out.put_slice(value.as_bytes());
    }
    let length = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

struct BinaryReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BinaryReader<'a> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], FrameError> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..count).ok_or(FrameError::Binary {
            at: self.at,
            problem: what,
        })?;
        self.at += count;
        Ok(taken)
    }

    fn int16(&mut self, what: &'static str) -> Result<i16, FrameError> {
        let bytes = self.take(2, what)?;
        Ok(i16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn int32(&mut self, what: &'static str) -> Result<i32, FrameError> {
        let bytes = self.take(4, what)?;
        Ok(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self, what: &'static str) -> Result<usize, FrameError> {
        usize::try_from(self.int32(what)?).map_err(|_| self.problem(what))
    }

    fn text(&mut self, len: usize, what: &'static str) -> Result<Cow<'a, str>, FrameError> {
        self.take(len, what).map(readable)
    }

    fn problem(&self, problem: &'static str) -> FrameError {
        FrameError::Binary {
            at: self.at,
            problem,
        }
    }
}
