//! Text of clients that do not write UTF-8.

use std::borrow::Cow;

/// The text that Java reads from these bytes: what is not UTF-8 in them becomes U+FFFD.
///
/// C++ clients write keys and properties in whatever their program has, GBK for example. `from_utf8` comes first
/// because it is many times faster than a walk that may replace.
pub(crate) fn readable(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}
