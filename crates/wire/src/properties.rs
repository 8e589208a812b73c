//! Property text: `name U+0001 value U+0002`, repeated.
//!
//! The terminator of the last pair is optional: Java 4.9.1 to 5.1.4 leaves it out. Agents and old clients send odd texts,
//! and Apache's broker takes all of them: it keeps the pairs that have a name and a value ([`iter`]) and drops the rest.
//! So does this one ([`Writer::copy`]). What a broker adds itself, every reader reads alike ([`Writer::push`]).

pub mod names;

use crate::record::MAX_PROPERTIES;

/// Ends a name.
pub const NAME_END: char = '\u{1}';
/// Ends a value.
pub const VALUE_END: char = '\u{2}';

/// Why properties are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// The text is longer than a record can hold.
    #[error("properties of {have} bytes, the limit is {limit}")]
    TooLong {
        /// Its bytes.
        have: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A name or value that cannot be written.
    #[error("property name or value is empty or has a control character U+0001 or U+0002")]
    Unwritable,
}

/// All pairs that have a name and a value, as Java reads them: a value may contain U+0001, odd pairs are dropped.
pub fn iter(text: &str) -> impl Iterator<Item = (&str, &str)> {
    split(text)
        .filter_map(|(_, pair)| pair)
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// The value of `name`; of several the last, as in Java's map.
pub fn get<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let of_name = iter(text).filter(|(found, _)| *found == name);
    of_name.last().map(|(_, value)| value)
}

/// The parts between the terminators, each whole and, where it has a separator, as name and value. What stands behind
/// the last terminator is a part too, empty or not.
///
/// Every record is split at each replica, so it is done with vector instructions.
fn split(text: &str) -> impl Iterator<Item = (&str, Option<(&str, &str)>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let left = rest.take()?;
        let part = match memchr::memchr(VALUE_END as u8, left.as_bytes()) {
            Some(end) => {
                rest = Some(&left[end + 1..]);
                &left[..end]
            }
            None => left,
        };
        let at = memchr::memchr(NAME_END as u8, part.as_bytes());
        Some((part, at.map(|at| (&part[..at], &part[at + 1..]))))
    })
}

/// Builds a property text, each pair with its terminator.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing yet, room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
        }
    }

    /// Adds a pair. A name that was added before should not come again: readers take the last.
    ///
    /// # Errors
    /// [`PropertyError::Unwritable`], with nothing added.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), PropertyError> {
        let writable = |text: &str| {
            let reserved = memchr::memchr2(NAME_END as u8, VALUE_END as u8, text.as_bytes());
            !text.is_empty() && reserved.is_none()
        };
        if !writable(name) || !writable(value) {
            return Err(PropertyError::Unwritable);
        }
        self.text.push_str(name);
        self.text.push(NAME_END);
        self.text.push_str(value);
        self.text.push(VALUE_END);
        Ok(())
    }

    /// Adds the pairs of a text, as [`iter`] sees them, whose names `keep` wants.
    pub fn copy(&mut self, text: &str, keep: impl Fn(&str) -> bool) {
        let wanted = |pair: Option<(&str, &str)>| {
            pair.is_some_and(|(name, value)| !name.is_empty() && !value.is_empty() && keep(name))
        };
        for (part, _) in split(text).filter(|(_, pair)| wanted(*pair)) {
            self.text.push_str(part);
            self.text.push(VALUE_END);
        }
    }

    /// The text so far.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Is there nothing yet?
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// The text of these pairs.
///
/// # Errors
/// [`PropertyError::Unwritable`], [`PropertyError::TooLong`].
pub fn to_text<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<String, PropertyError> {
    let mut writer = Writer::new();
    for (name, value) in pairs {
        writer.push(name, value)?;
    }
    if writer.len() > MAX_PROPERTIES {
        return Err(PropertyError::TooLong {
            have: writer.len(),
            limit: MAX_PROPERTIES,
        });
    }
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_terminator_is_optional() {
        for text in ["a\u{1}1\u{2}b\u{1}2\u{2}", "a\u{1}1\u{2}b\u{1}2"] {
            assert_eq!(iter(text).collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
            assert_eq!(get(text, "b"), Some("2"));
        }
    }

    #[test]
    fn odd_pairs_are_dropped_and_a_value_may_contain_the_separator() {
        let text = "odd\u{2}\u{1}x\u{2}empty\u{1}\u{2}a\u{1}b\u{1}c\u{2}";
        assert_eq!(iter(text).collect::<Vec<_>>(), [("a", "b\u{1}c")]);
        assert_eq!(get(text, "a"), Some("b\u{1}c"));
        assert_eq!(get(text, "empty"), None);
        assert_eq!(get(text, "odd"), None);
        assert_eq!(get(text, ""), None);
    }

    #[test]
    fn of_several_values_the_last_counts() {
        assert_eq!(get("a\u{1}1\u{2}a\u{1}2\u{2}b\u{1}3", "a"), Some("2"));
        assert_eq!(get("a\u{1}1\u{2}a\u{1}\u{2}", "a"), Some("1"));
    }

    #[test]
    fn what_no_reader_would_read_back_is_not_written() {
        let mut writer = Writer::new();
        for (name, value) in [
            ("", "v"),
            ("n", ""),
            ("n\u{1}", "v"),
            ("n", "v\u{1}"),
            ("n\u{2}", "v"),
            ("n", "v\u{2}"),
        ] {
            assert_eq!(writer.push(name, value), Err(PropertyError::Unwritable));
        }
        assert!(writer.is_empty());
        writer.push("n", "v").unwrap();
        assert_eq!(writer.as_str(), "n\u{1}v\u{2}");
    }

    #[test]
    fn copying_leaves_out_what_is_not_wanted_and_ends_every_pair() {
        let mut writer = Writer::with_capacity(32);
        writer.push("CLUSTER", "c").unwrap();
        writer.copy(
            "a\u{1}1\u{2}CLUSTER\u{1}forged\u{2}e\u{1}\u{2}b\u{1}2",
            |name| !names::is_broker_owned(name),
        );
        assert_eq!(
            writer.finish(),
            "CLUSTER\u{1}c\u{2}a\u{1}1\u{2}b\u{1}2\u{2}"
        );
    }

    #[test]
    fn a_text_longer_than_a_record_can_hold_is_not_written() {
        let value = "v".repeat(MAX_PROPERTIES);
        assert_eq!(
            to_text([("n", &value[..])]),
            Err(PropertyError::TooLong {
                have: 32_770,
                limit: 32_767
            })
        );
        assert_eq!(
            to_text([("a", "1"), ("b", "2")]).unwrap(),
            "a\u{1}1\u{2}b\u{1}2\u{2}"
        );
    }
}
