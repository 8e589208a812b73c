//! The string map of a header (`extFields`): one text buffer and ranges into it.
//!
//! A send has thirteen fields, so a look-up is a walk over a short list; keys and values share one allocation.

use std::fmt;
use std::ops::Range;

use smallvec::SmallVec;

use crate::decimal;

/// Header fields in the order in which they came. A key occurs once.
#[derive(Clone, Default)]
pub struct Fields {
    text: String,
    /// Sixteen stay inside the struct: one more than the widest header of a stock client.
    entries: SmallVec<[FieldSlot; 16]>,
}

#[derive(Clone, Copy)]
struct FieldSlot {
    key: Span,
    value: Span,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    #[inline]
    fn new(range: &Range<usize>) -> Self {
        let in_reach =
            |offset: usize| u32::try_from(offset).expect("a header's text stays below 4 GiB");
        Self {
            start: in_reach(range.start),
            len: in_reach(range.len()),
        }
    }

    #[inline]
    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

impl Fields {
    /// No fields; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields, room for `bytes` of keys and values.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            entries: SmallVec::new(),
        }
    }

    /// The same fields, with room for `bytes` more of keys and values.
    #[must_use]
    pub fn copied_with_room(&self, bytes: usize) -> Self {
        let mut text = String::with_capacity(self.text.len() + bytes);
        text.push_str(&self.text);
        Self {
            text,
            entries: self.entries.clone(),
        }
    }

    /// The value of `key`; letter case counts.
    #[inline]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.position(key)
            .map(|at| &self.text[self.entries[at].value.range()])
    }

    /// Is there a field with this key, be it empty?
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Gives `key` the value `value`, whether it had one or not.
    pub fn set(&mut self, key: &str, value: &str) {
        let key_span = self.append(key);
        let value_span = self.append(value);
        self.put(key, key_span, value_span);
    }

    /// Gives `key` a decimal number as its value.
    pub fn set_integer(&mut self, key: &str, value: i64) {
        self.set(key, decimal::text(value, &mut [0; decimal::MAX_LEN]));
    }

    /// Removes `key`; says whether it was there.
    pub fn remove(&mut self, key: &str) -> bool {
        match self.position(key) {
            Some(at) => {
                self.entries.remove(at);
                true
            }
            None => false,
        }
    }

    /// All keys and values, in the order in which they came.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| {
            (
                &self.text[entry.key.range()],
                &self.text[entry.value.range()],
            )
        })
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that keys and values take, as an estimate for an encoder.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The buffer into which a decoder unescapes the key and the value of the field that it adds next.
    pub(crate) fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }

    /// Adds the field that lies at these ranges of the buffer. If the key is taken: says so and what it holds.
    #[inline]
    pub(crate) fn add(&mut self, key: Range<usize>, value: Range<usize>) -> Result<(), Taken> {
        if let Some(at) = self.position(&self.text[key.clone()]) {
            let same_value = self.text[self.entries[at].value.range()] == self.text[value];
            self.text.truncate(key.start);
            return Err(Taken { same_value });
        }
        self.entries.push(FieldSlot {
            key: Span::new(&key),
            value: Span::new(&value),
        });
        Ok(())
    }

    /// Most keys that are compared have the same length, one letter in a send, and differ in it: calling the
    /// comparison of slices for them took a tenth of a decoder's time.
    #[inline]
    fn position(&self, key: &str) -> Option<usize> {
        let (key, text) = (key.as_bytes(), self.text.as_bytes());
        self.entries.iter().position(|entry| {
            let held = &text[entry.key.range()];
            held.len() == key.len() && held.first() == key.first() && held == key
        })
    }

    fn append(&mut self, text: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(text);
        Span::new(&(start..self.text.len()))
    }

    fn put(&mut self, key: &str, key_span: Span, value: Span) {
        match self.position(key) {
            Some(at) => self.entries[at].value = value,
            None => self.entries.push(FieldSlot {
                key: key_span,
                value,
            }),
        }
    }
}

/// A decoder met a key a second time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) same_value: bool,
}

impl fmt::Debug for Fields {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

/// Equal as maps: the order does not count.
impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Eq for Fields {}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut fields = Self::new();
        for (key, value) in pairs {
            fields.set(key, value);
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_exact_key() {
        let mut fields = Fields::new();
        fields.set("topic", "A");
        fields.set("queueId", "3");
        assert_eq!(fields.get("topic"), Some("A"));
        assert_eq!(fields.get("queueId"), Some("3"));
        assert_eq!(fields.get("queueid"), None);
        assert_eq!(fields.get(""), None);
    }

    #[test]
    fn setting_a_key_again_replaces_its_value() {
        let mut fields = Fields::new();
        fields.set("a", "first");
        fields.set("b", "");
        fields.set("a", "second, and longer");
        fields.set_integer("b", -7);
        assert_eq!(
            fields.iter().collect::<Vec<_>>(),
            [("a", "second, and longer"), ("b", "-7")]
        );
    }

    #[test]
    fn a_removed_key_is_gone_and_the_others_stay() {
        let mut fields = Fields::from_iter([("a", "1"), ("b", "2"), ("c", "3")]);
        assert!(fields.remove("b"));
        assert!(!fields.remove("b"));
        assert_eq!(fields, Fields::from_iter([("c", "3"), ("a", "1")]));
    }

    #[test]
    fn more_fields_than_fit_inside_are_kept() {
        let mut fields = Fields::new();
        for n in 0..100 {
            fields.set_integer(&format!("key{n}"), n);
        }
        assert_eq!(fields.len(), 100);
        assert_eq!(fields.get("key99"), Some("99"));
    }

    #[test]
    fn equality_ignores_order_and_sees_every_difference() {
        let fields = Fields::from_iter([("a", "1"), ("b", "2")]);
        assert_eq!(fields, Fields::from_iter([("b", "2"), ("a", "1")]));
        assert_ne!(fields, Fields::from_iter([("a", "1")]));
        assert_ne!(fields, Fields::from_iter([("a", "1"), ("b", "3")]));
        assert_ne!(fields, Fields::from_iter([("a", "1"), ("c", "2")]));
    }
}
