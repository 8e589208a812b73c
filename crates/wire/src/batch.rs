//! The body of a batch send: messages that are not stored yet.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | size of the entry |
//! | 4 | magic, written 0, not read |
//! | 4 | body CRC, written 0, not read |
//! | 4 | user flag |
//! | 4 + n | body |
//! | 2 + n | property text |
//!
//! Entries lie back to back. All integers are signed and big-endian; every size is checked against the others.

use std::borrow::Cow;

use crate::record::MAX_PROPERTIES;
use crate::text::readable;

/// Bytes of an entry without body and properties.
const MIN_SIZE: usize = 22;

/// Why a batch is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The sizes of an entry contradict each other or the length of the batch.
    #[error("batch entry at byte {at} with a wrong {field}")]
    BadSize {
        /// Place of the entry in the batch.
        at: usize,
        /// The size that is wrong.
        field: &'static str,
    },
    /// An entry is too long to be encoded.
    #[error("batch entry with {field} of {have} bytes, the limit is {limit}")]
    TooLong {
        /// The part.
        field: &'static str,
        /// Its bytes.
        have: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// User flag.
    pub flag: i32,
    /// Body; never compressed.
    pub body: &'a [u8],
    /// Property text ([`crate::properties`]); what is not UTF-8 in it reads as U+FFFD.
    pub properties: Cow<'a, str>,
}

/// Walks the messages of a batch. After an error nothing more comes.
pub fn iter(batch: &[u8]) -> impl Iterator<Item = Result<Item<'_>, BatchError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == batch.len() {
            return None;
        }
        match split(batch, at) {
            Ok((item, size)) => {
                at += size;
                Some(Ok(item))
            }
            Err(refused) => {
                at = batch.len();
                Some(Err(refused))
            }
        }
    })
}

/// Appends one message to a batch.
///
/// # Errors
/// [`BatchError::TooLong`], with nothing appended.
pub fn encode(item: &Item<'_>, out: &mut Vec<u8>) -> Result<(), BatchError> {
    let within = |field, have: usize, limit: usize| {
        if have > limit {
            Err(BatchError::TooLong { field, have, limit })
        } else {
            Ok(())
        }
    };
    within("properties", item.properties.len(), MAX_PROPERTIES)?;
    let size = MIN_SIZE + item.body.len() + item.properties.len();
    within("body", size, i32::MAX as usize)?;
    out.reserve(size);
    out.extend_from_slice(&(size as u32).to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&item.flag.to_be_bytes());
    out.extend_from_slice(&(item.body.len() as u32).to_be_bytes());
    out.extend_from_slice(item.body);
    out.extend_from_slice(&(item.properties.len() as u16).to_be_bytes());
    out.extend_from_slice(item.properties.as_bytes());
    Ok(())
}

/// The entry at `at` and its size.
fn split(batch: &[u8], at: usize) -> Result<(Item<'_>, usize), BatchError> {
    let wrong = |field| BatchError::BadSize { at, field };
    let rest = &batch[at..];
    let size = length(rest, 0).ok_or(wrong("size"))?;
    let entry = rest
        .get(..size)
        .filter(|entry| entry.len() >= MIN_SIZE)
        .ok_or(wrong("size"))?;
    let flag = i32::from_be_bytes(entry[12..16].try_into().expect("four bytes"));
    let body_len = length(entry, 16).ok_or(wrong("body length"))?;
    let (body, rest) = entry[20..]
        .split_at_checked(body_len)
        .ok_or(wrong("body length"))?;
    let (properties_len, properties) = rest.split_first_chunk::<2>().ok_or(wrong("body length"))?;
    let properties_len = i16::from_be_bytes(*properties_len);
    if usize::try_from(properties_len) != Ok(properties.len()) {
        return Err(wrong("property length"));
    }
    let properties = readable(properties);
    Ok((
        Item {
            flag,
            body,
            properties,
        },
        size,
    ))
}

/// The length at this offset; `None` if it is negative or not there.
fn length(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + 4)?;
    usize::try_from(i32::from_be_bytes(bytes.try_into().ok()?)).ok()
}
