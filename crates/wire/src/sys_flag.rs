//! Bits of the two system flags: a message's, and a pull request's.

/// The body is compressed.
pub const COMPRESSED: i32 = 0x1;
/// The topic filters on several tags.
pub const MULTI_TAGS: i32 = 0x2;
/// Where the transaction state is.
pub const TRANSACTION_MASK: i32 = 0xc;
/// A half message.
pub const TRANSACTION_PREPARED: i32 = 0x4;
/// A committed transaction's message.
pub const TRANSACTION_COMMIT: i32 = 0x8;
/// A rolled-back transaction's message.
pub const TRANSACTION_ROLLBACK: i32 = 0xc;
/// The born host takes 20 bytes, IPv6.
pub const BORN_HOST_V6: i32 = 0x10;
/// The store host takes 20 bytes, IPv6.
pub const STORE_HOST_V6: i32 = 0x20;
/// An inner batch that readers have to unwrap.
pub const NEED_UNWRAP: i32 = 0x40;
/// An inner batch.
pub const INNER_BATCH: i32 = 0x80;
/// Where the kind of compression is.
pub const COMPRESSION_MASK: i32 = 0x700;
/// LZ4 frame.
pub const COMPRESSION_LZ4: i32 = 0x100;
/// Zstandard.
pub const COMPRESSION_ZSTD: i32 = 0x200;
/// zlib, also meant by 0.
pub const COMPRESSION_ZLIB: i32 = 0x300;

/// Bits of a pull request.
pub mod pull {
    /// The request also commits `commitOffset`.
    pub const COMMIT_OFFSET: i32 = 0x1;
    /// The server may hold the request until a message arrives.
    pub const SUSPEND: i32 = 0x2;
    /// The request carries its filter expression.
    pub const SUBSCRIPTION: i32 = 0x4;
    /// The filter is a class (not served).
    pub const CLASS_FILTER: i32 = 0x8;
    /// A lite pull.
    pub const LITE_PULL: i32 = 0x10;
}
