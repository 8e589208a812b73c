//! The field types of op bodies and of the rows of tables.
//!
//! | type | bytes |
//! |---|---|
//! | integer | fixed width, big-endian |
//! | flag | 1: 0 or 1 |
//! | string | length `u32`, then UTF-8 |
//! | list | count `u32`, then the items |
//!
//! Every value has exactly one form: what decodes re-encodes to the same bytes.

/// Bytes that are not the fields that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// A field, a body or a list reaches past the end of the bytes.
    #[error("a field needs {need} bytes, {have} are left")]
    Truncated {
        /// Bytes that the field needs.
        need: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    NotUtf8,
    /// A flag or an enumeration holds a value that it has no meaning for.
    #[error("field {field} cannot be {value}")]
    BadValue {
        /// Which field.
        field: &'static str,
        /// The value that was read.
        value: u64,
    },
}

/// Reads fields from the front of a slice. Nothing is allocated on the word of a length that the
/// slice does not back.
pub(crate) struct FieldReader<'a> {
    rest: &'a [u8],
}

impl<'a> FieldReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8], FieldError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(FieldError::Truncated {
                need: length,
                have: self.rest.len(),
            })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FieldError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FieldError::Truncated {
            need: N,
            have: self.rest.len(),
        })?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FieldError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FieldError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FieldError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, FieldError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FieldError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, FieldError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(FieldError::BadValue {
                field,
                value: u64::from(value),
            }),
        }
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, FieldError> {
        let length = self.u32()?;
        std::str::from_utf8(self.bytes(length as usize)?).map_err(|_| FieldError::NotUtf8)
    }

    /// The number of items of a list; `least` is the size of its smallest item, which bounds the
    /// count before anything is allocated.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, FieldError> {
        let count = self.u32()? as usize;
        let need = count.saturating_mul(least);
        if need > self.left() {
            return Err(FieldError::Truncated {
                need,
                have: self.left(),
            });
        }
        Ok(count)
    }

    /// A list; `least` as for [`count`](Self::count).
    pub(crate) fn list<T>(
        &mut self,
        least: usize,
        item: impl Fn(&mut Self) -> Result<T, FieldError>,
    ) -> Result<Vec<T>, FieldError> {
        let count = self.count(least)?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}

/// Appends fields to a buffer.
pub(crate) struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> FieldWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value);
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.length(value.len());
        self.out.extend_from_slice(value.as_bytes());
    }

    pub(crate) fn list<T>(&mut self, items: &[T], item: impl Fn(&mut Self, &T)) {
        self.rows(items.iter(), item);
    }

    /// A list of what an iterator gives.
    pub(crate) fn rows<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        item: impl Fn(&mut Self, T),
    ) {
        self.length(items.len());
        for each in items {
            item(self, each);
        }
    }

    /// A length field, then what `body` writes: the length is filled in afterwards.
    pub(crate) fn sized(&mut self, body: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.u32(0);
        body(self);
        let length = u32::try_from(self.out.len() - at - 4)
            .expect("an op is far below 4 GiB: a frame holds 8 MiB");
        self.out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// As [`sized`](Self::sized), for what may be longer: the length is a `u64`.
    pub(crate) fn sized_long(&mut self, body: impl FnOnce(&mut Self)) {
        let at = self.out.len();
        self.u64(0);
        body(self);
        let length = (self.out.len() - at - 8) as u64;
        self.out[at..at + 8].copy_from_slice(&length.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).expect(
            "a field is far below 4 GiB: a frame holds 8 MiB; and so many rows have no memory",
        ));
    }
}
