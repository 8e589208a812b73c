//! A checked view of a stored record.

use std::net::SocketAddr;

use super::error::RecordError;
use super::host;
use super::layout::{MAGIC_V1, MAGIC_V2, MIN_SIZE, field_offset};
use crate::crc::crc32_java;
use crate::sys_flag;

/// One record whose lengths and texts were checked. Nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    bytes: &'a [u8],
    born_host: SocketAddr,
    store_host: SocketAddr,
    /// Where the store timestamp lies; the fixed fields after it follow from it and from the store host.
    store_timestamp_at: usize,
    reconsume_times_at: usize,
    body: &'a [u8],
    topic: &'a str,
    properties: &'a str,
}

impl<'a> Record<'a> {
    /// Checks the record that `bytes` starts with; more may follow. The body's CRC is left to [`Record::check_crc`].
    ///
    /// # Errors
    /// [`RecordError`]; [`RecordError::Truncated`] if the slice ends inside the record.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let truncated = |need| RecordError::Truncated {
            need,
            have: bytes.len(),
        };
        let Some(size) = bytes.first_chunk::<4>() else {
            return Err(truncated(MIN_SIZE));
        };
        let claimed = u32::from_be_bytes(*size);
        let size = i32::try_from(claimed).map_or(0, |size| size as usize);
        if size < MIN_SIZE {
            return Err(RecordError::BadSize {
                size: claimed as usize,
                field: "size",
            });
        }
        let Some(bytes) = bytes.get(..size) else {
            return Err(truncated(size));
        };
        let topic_length_len = match int32(bytes, field_offset::MAGIC) as u32 {
            MAGIC_V1 => 1,
            MAGIC_V2 => 2,
            other => return Err(RecordError::UnknownMagic(other)),
        };
        let flags = int32(bytes, field_offset::SYS_FLAG);
        let mut cursor = Cursor {
            bytes,
            at: field_offset::BORN_HOST,
        };
        let born_host = cursor.host(host::width(flags, sys_flag::BORN_HOST_V6), "born host")?;
        let store_timestamp_at = cursor.at;
        cursor.take(8, "store timestamp")?;
        let store_host = cursor.host(host::width(flags, sys_flag::STORE_HOST_V6), "store host")?;
        let reconsume_times_at = cursor.at;
        cursor.take(4 + 8, "prepared transaction offset")?;
        let body = cursor.counted(4, "body")?;
        let topic = text(cursor.counted(topic_length_len, "topic")?, "topic")?;
        let properties = text(cursor.counted(2, "properties")?, "properties")?;
        if cursor.at != size {
            return Err(RecordError::BadSize { size, field: "end" });
        }
        Ok(Self {
            bytes,
            born_host,
            store_host,
            store_timestamp_at,
            reconsume_times_at,
            body,
            topic,
            properties,
        })
    }

    /// Is the body what its CRC covers?
    ///
    /// # Errors
    /// [`RecordError::BodyCrc`].
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let (expected, found) = (self.body_crc(), crc32_java(self.body));
        if expected == found {
            Ok(())
        } else {
            Err(RecordError::BodyCrc { expected, found })
        }
    }

    /// Bytes of the record.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The record as stored.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Queue.
    pub fn queue_id(&self) -> i32 {
        int32(self.bytes, field_offset::QUEUE_ID)
    }

    /// User flag.
    pub fn flag(&self) -> i32 {
        int32(self.bytes, field_offset::FLAG)
    }

    /// Number of the message in its queue.
    pub fn queue_offset(&self) -> u64 {
        int64(self.bytes, field_offset::QUEUE_OFFSET) as u64
    }

    /// Place of the record in the log.
    pub fn physical_offset(&self) -> u64 {
        int64(self.bytes, field_offset::PHYSICAL_OFFSET) as u64
    }

    /// Bits of [`crate::sys_flag`].
    pub fn sys_flag(&self) -> i32 {
        int32(self.bytes, field_offset::SYS_FLAG)
    }

    /// The producer's clock, ms.
    pub fn born_timestamp_ms(&self) -> i64 {
        int64(self.bytes, field_offset::BORN_TIMESTAMP)
    }

    /// Address of the producer.
    pub fn born_host(&self) -> SocketAddr {
        self.born_host
    }

    /// When the record was stored, ms.
    pub fn store_timestamp_ms(&self) -> i64 {
        int64(self.bytes, self.store_timestamp_at)
    }

    /// Address of the broker that stored it.
    pub fn store_host(&self) -> SocketAddr {
        self.store_host
    }

    /// How often the message was consumed in vain.
    pub fn reconsume_times(&self) -> i32 {
        int32(self.bytes, self.reconsume_times_at)
    }

    /// Physical offset of the half message, of a committed one.
    pub fn prepared_transaction_offset(&self) -> i64 {
        int64(self.bytes, self.reconsume_times_at + 4)
    }

    /// CRC that the record claims for its body.
    pub fn body_crc(&self) -> u32 {
        int32(self.bytes, field_offset::BODY_CRC) as u32
    }

    /// Body as stored.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Property text ([`crate::properties`]).
    pub fn properties(&self) -> &'a str {
        self.properties
    }
}

/// Walks records that lie back to back. After an error nothing more comes: where the next record begins is not known.
pub fn iter(bytes: &[u8]) -> impl Iterator<Item = Result<Record<'_>, RecordError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let parsed = Record::parse(rest);
        rest = parsed.as_ref().map_or(&[], |record| &rest[record.size()..]);
        Some(parsed)
    })
}

/// Reads fields one after the other, inside the size that the record claims.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let taken = self.bytes[self.at..].get(..count);
        self.at += taken.map_or(0, <[u8]>::len);
        taken.ok_or(RecordError::BadSize {
            size: self.bytes.len(),
            field,
        })
    }

    fn host(&mut self, width: usize, field: &'static str) -> Result<SocketAddr, RecordError> {
        host::decode(self.take(width, field)?).ok_or(RecordError::BadField { field })
    }

    /// A length of `width` bytes and as many bytes as it says. Lengths are signed where they have several bytes.
    fn counted(&mut self, width: usize, field: &'static str) -> Result<&'a [u8], RecordError> {
        let length = self
            .take(width, field)?
            .iter()
            .fold(0_u32, |length, byte| length << 8 | u32::from(*byte));
        let limit = if width == 2 {
            i16::MAX as u32
        } else {
            i32::MAX as u32
        };
        if length > limit {
            return Err(RecordError::BadField { field });
        }
        self.take(length as usize, field)
    }
}

fn text<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, RecordError> {
    std::str::from_utf8(bytes).map_err(|_| RecordError::BadField { field })
}

/// The caller knows that the bytes are there: every record has [`MIN_SIZE`].
fn int32(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn int64(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
