//! The checksum of message bodies.

/// CRC32 (the zlib polynomial) without its top bit, as Java's stores keep it in a signed 32-bit field.
///
/// Covers exactly `bytes`; 0 for none. Callers pass the body as stored, that is, compressed if it is.
pub fn crc32_java(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_hello_has_the_crc_that_java_stores() {
        assert_eq!(crc32_java(b"hello"), 907_060_870);
    }

    #[test]
    fn an_empty_body_has_crc_zero() {
        assert_eq!(crc32_java(b""), 0);
    }
}
