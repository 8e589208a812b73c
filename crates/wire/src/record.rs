//! The stored form of a message: what a pull answer carries, and what a log keeps.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | size of the whole record |
//! | 4 | magic: V1 or V2 |
//! | 4 | CRC of the body as stored ([`crate::crc32_java`]) |
//! | 4 | queue id |
//! | 4 | user flag |
//! | 8 | queue offset |
//! | 8 | physical offset |
//! | 4 | system flag ([`crate::sys_flag`]) |
//! | 8 | born timestamp, ms |
//! | 8 or 20 | born host: address, 4-byte port |
//! | 8 | store timestamp, ms |
//! | 8 or 20 | store host |
//! | 4 | reconsume times |
//! | 8 | prepared transaction offset |
//! | 4 + n | body |
//! | 1 + n, in V2 2 + n | topic |
//! | 2 + n | property text |
//!
//! All integers are signed and big-endian. V2 is written only for topics that V1 cannot hold, because Go and C++ clients
//! and older Java ones cannot read it.

mod error;
pub(crate) mod host;
mod layout;
mod outline;
mod view;

use std::net::SocketAddr;

pub use error::RecordError;
pub use layout::{MAGIC_V1, MAGIC_V2, MAX_PROPERTIES, MAX_V1_TOPIC, MIN_SIZE};
pub use outline::{Outline, outline};
pub use view::{Record, iter};

use crate::crc::crc32_java;
use crate::sys_flag;
use layout::field_offset;

/// What a record is made of before the log gives it its position.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// Queue.
    pub queue_id: i32,
    /// User flag.
    pub flag: i32,
    /// Bits of [`crate::sys_flag`]; those that say how wide the hosts are follow from the hosts.
    pub sys_flag: i32,
    /// The producer's clock, ms.
    pub born_timestamp_ms: i64,
    /// Address of the producer.
    pub born_host: SocketAddr,
    /// Address of the broker for clients.
    pub store_host: SocketAddr,
    /// How often the message was consumed in vain.
    pub reconsume_times: i32,
    /// Physical offset of the half message, of a committed one.
    pub prepared_transaction_offset: i64,
    /// Body, compressed if the flag says so.
    pub body: &'a [u8],
    /// Topic.
    pub topic: &'a str,
    /// Property text.
    pub properties: &'a [u8],
}

impl NewRecord<'_> {
    /// Bytes that the record will take.
    pub fn encoded_len(&self) -> usize {
        let hosts =
            host::len(self.born_host) - host::V4_LEN + host::len(self.store_host) - host::V4_LEN;
        let topic_length = usize::from(self.topic.len() > MAX_V1_TOPIC);
        MIN_SIZE + topic_length + hosts + self.body.len() + self.topic.len() + self.properties.len()
    }

    fn check(&self) -> Result<usize, RecordError> {
        let within = |field, have: usize, limit: usize| {
            if have > limit {
                Err(RecordError::TooLong { field, have, limit })
            } else {
                Ok(())
            }
        };
        within("topic", self.topic.len(), i16::MAX as usize)?;
        within("properties", self.properties.len(), MAX_PROPERTIES)?;
        let size = self.encoded_len();
        within("record", size, i32::MAX as usize)?;
        Ok(size)
    }
}

/// Appends a record and returns its size. Queue offset, physical offset and store timestamp are left 0, for [`stamp`].
///
/// # Errors
/// [`RecordError::TooLong`], with nothing appended.
pub fn encode(record: &NewRecord<'_>, out: &mut Vec<u8>) -> Result<usize, RecordError> {
    let size = record.check()?;
    let v2 = record.topic.len() > MAX_V1_TOPIC;
    let host_bits = host::bit(record.born_host, sys_flag::BORN_HOST_V6)
        | host::bit(record.store_host, sys_flag::STORE_HOST_V6);
    let other_bits = record.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
    let start = out.len();
    out.reserve(size);
    put32(out, size as u32);
    put32(out, if v2 { MAGIC_V2 } else { MAGIC_V1 });
    put32(out, crc32_java(record.body));
    put32(out, record.queue_id as u32);
    put32(out, record.flag as u32);
    put64(out, 0);
    put64(out, 0);
    put32(out, (other_bits | host_bits) as u32);
    put64(out, record.born_timestamp_ms as u64);
    host::encode(record.born_host, out);
    put64(out, 0);
    host::encode(record.store_host, out);
    put32(out, record.reconsume_times as u32);
    put64(out, record.prepared_transaction_offset as u64);
    put32(out, record.body.len() as u32);
    out.extend_from_slice(record.body);
    if v2 {
        out.extend_from_slice(&(record.topic.len() as u16).to_be_bytes());
    } else {
        out.push(record.topic.len() as u8);
    }
    out.extend_from_slice(record.topic.as_bytes());
    out.extend_from_slice(&(record.properties.len() as u16).to_be_bytes());
    out.extend_from_slice(record.properties);
    debug_assert_eq!(out.len() - start, size);
    Ok(size)
}

/// Gives an encoded record its offsets and its time. The body's CRC does not cover what changes.
///
/// # Panics
/// If `record` is not one that [`encode`] wrote or [`Record::parse`] accepts.
pub fn stamp(record: &mut [u8], queue_offset: u64, physical_offset: u64, store_timestamp_ms: u64) {
    let mut put = |at: usize, value: u64| record[at..at + 8].copy_from_slice(&value.to_be_bytes());
    put(field_offset::QUEUE_OFFSET, queue_offset);
    put(field_offset::PHYSICAL_OFFSET, physical_offset);
    let flags = i32::from_be_bytes(
        record[field_offset::SYS_FLAG..field_offset::SYS_FLAG + 4]
            .try_into()
            .expect("four bytes"),
    );
    let at = field_offset::BORN_HOST + host::width(flags, sys_flag::BORN_HOST_V6);
    record[at..at + 8].copy_from_slice(&store_timestamp_ms.to_be_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}
