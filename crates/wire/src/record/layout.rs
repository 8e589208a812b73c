//! Sizes, marks and fixed fields of a record.

/// Magic of a record with a 1-byte topic length.
pub const MAGIC_V1: u32 = 0xdaa3_20a7;
/// Magic of a record with a 2-byte topic length.
pub const MAGIC_V2: u32 = 0xdaa3_20ab;
/// Bytes of a record with IPv4 hosts and nothing in body, topic and properties.
pub const MIN_SIZE: usize = 91;
/// The longest topic in V1, bytes.
pub const MAX_V1_TOPIC: usize = 127;
/// The longest property text, bytes.
pub const MAX_PROPERTIES: usize = 32_767;

/// Offsets of the fields that come before the first host, the same in every record.
pub(super) mod field_offset {
    pub(crate) const MAGIC: usize = 4;
    pub(crate) const BODY_CRC: usize = 8;
    pub(crate) const QUEUE_ID: usize = 12;
    pub(crate) const FLAG: usize = 16;
    pub(crate) const QUEUE_OFFSET: usize = 20;
    pub(crate) const PHYSICAL_OFFSET: usize = 28;
    pub(crate) const SYS_FLAG: usize = 36;
    pub(crate) const BORN_TIMESTAMP: usize = 40;
    pub(crate) const BORN_HOST: usize = 48;
}
