//! Compressed bodies. Brokers pass them on as they are; clients and tools open them.

use std::io::{self, Read, Write};

use crate::sys_flag;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompressionType {
    /// zlib with its header: the only kind that Go and C++ clients and old Java ones know.
    Zlib,
    /// LZ4 frame.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// Why a body cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// The system flag names a kind that does not exist.
    #[error("unknown kind of compression in system flag {0:#x}")]
    UnknownKind(i32),
    /// The body is larger than the caller wants.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The compressed bytes are damaged.
    #[error("the compressed body cannot be read")]
    Damaged(#[source] io::Error),
}

impl CompressionType {
    /// The kind that a system flag names; 0 means zlib.
    ///
    /// # Errors
    /// [`CompressionError::UnknownKind`].
    pub fn of(flag: i32) -> Result<Self, CompressionError> {
        match flag & sys_flag::COMPRESSION_MASK {
            0 | sys_flag::COMPRESSION_ZLIB => Ok(Self::Zlib),
            sys_flag::COMPRESSION_LZ4 => Ok(Self::Lz4),
            sys_flag::COMPRESSION_ZSTD => Ok(Self::Zstd),
            _ => Err(CompressionError::UnknownKind(flag)),
        }
    }

    /// The bits of a system flag that say so.
    pub fn sys_flag(self) -> i32 {
        sys_flag::COMPRESSED
            | match self {
                Self::Zlib => sys_flag::COMPRESSION_ZLIB,
                Self::Lz4 => sys_flag::COMPRESSION_LZ4,
                Self::Zstd => sys_flag::COMPRESSION_ZSTD,
            }
    }
}

/// The body in the clear: opened if the system flag says that it is compressed, else copied. It grows with what comes
/// out, never beyond `limit`.
///
/// # Errors
/// [`CompressionError`].
pub fn inflate(flag: i32, body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    if flag & sys_flag::COMPRESSED == 0 {
        return read(body, limit);
    }
    match CompressionType::of(flag)? {
        CompressionType::Zlib => read(flate2::read::ZlibDecoder::new(body), limit),
        CompressionType::Lz4 => read(lz4_flex::frame::FrameDecoder::new(body), limit),
        CompressionType::Zstd => read(
            zstd_decoder(body, limit).map_err(CompressionError::Damaged)?,
            limit,
        ),
    }
}

/// Compresses a body. `level` is that of zlib (0 to 9) or Zstandard (1 to 22); LZ4 has none.
pub fn deflate(kind: CompressionType, level: u32, body: &[u8]) -> Vec<u8> {
    let out = Vec::with_capacity(body.len() / 2 + 64);
    let compressed = match kind {
        CompressionType::Zlib => zlib(level, body, out),
        CompressionType::Lz4 => lz4(body, out),
        CompressionType::Zstd => zstd::stream::encode_all(body, level.min(22) as i32),
    };
    compressed.expect("writing into memory does not fail")
}

fn zlib(level: u32, body: &[u8], out: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(out, flate2::Compression::new(level.min(9)));
    encoder.write_all(body)?;
    encoder.finish()
}

fn lz4(body: &[u8], out: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
    encoder.write_all(body)?;
    encoder.finish().map_err(io::Error::other)
}

/// A decoder whose window is no larger than the body may be, but at least that of the level that clients use.
fn zstd_decoder(body: &[u8], limit: usize) -> io::Result<impl Read + '_> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(limit.max(1).ilog2().saturating_add(1).clamp(23, 27))?;
    Ok(decoder)
}

fn read(source: impl Read, limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut body = Vec::new();
    source
        .take(limit as u64 + 1)
        .read_to_end(&mut body)
        .map_err(CompressionError::Damaged)?;
    if body.len() > limit {
        Err(CompressionError::TooLarge { limit })
    } else {
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [CompressionType; 3] = [
        CompressionType::Zlib,
        CompressionType::Lz4,
        CompressionType::Zstd,
    ];

    #[test]
    fn a_body_comes_back_from_every_kind() {
        for body in [&b""[..], b"hello", &b"abcdefgh".repeat(10_000)] {
            for kind in KINDS {
                let packed = deflate(kind, 5, body);
                assert_eq!(
                    inflate(kind.sys_flag(), &packed, body.len()).unwrap(),
                    body,
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn a_body_that_is_not_compressed_is_copied() {
        assert_eq!(
            inflate(sys_flag::COMPRESSION_LZ4, b"plain", 5).unwrap(),
            b"plain"
        );
        assert!(matches!(
            inflate(0, b"plain", 4),
            Err(CompressionError::TooLarge { limit: 4 })
        ));
    }

    #[test]
    fn no_kind_means_zlib() {
        let packed = deflate(CompressionType::Zlib, 9, b"hello");
        assert_eq!(packed[0], 0x78);
        assert_eq!(
            inflate(sys_flag::COMPRESSED, &packed, 100).unwrap(),
            b"hello"
        );
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        for kind in 4..8 {
            let flag = sys_flag::COMPRESSED | kind << 8;
            assert!(matches!(
                inflate(flag, b"x", 100),
                Err(CompressionError::UnknownKind(_))
            ));
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = vec![0; 64 << 20];
        for kind in KINDS {
            let packed = deflate(kind, 9, &bomb);
            assert!(packed.len() < 1 << 20);
            let refused = inflate(kind.sys_flag(), &packed, 1 << 20);
            assert!(
                matches!(
                    refused,
                    Err(CompressionError::TooLarge { limit: 1_048_576 })
                ),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn damaged_and_cut_bodies_are_refused() {
        for kind in KINDS {
            let packed = deflate(kind, 5, &b"abcdefgh".repeat(100));
            assert!(
                matches!(
                    inflate(kind.sys_flag(), b"garbage", 1000),
                    Err(CompressionError::Damaged(_))
                ),
                "{kind:?}"
            );
            let cut = inflate(kind.sys_flag(), &packed[..packed.len() / 2], 1000);
            assert!(
                matches!(cut, Err(CompressionError::Damaged(_))),
                "{kind:?}: {cut:?}"
            );
        }
    }
}
