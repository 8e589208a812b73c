//! Types of header fields, and how each is read from and written as text.

use super::error::HeaderError;
use crate::fields::Fields;

/// How much of a bad value an error repeats.
const SHOWN: usize = 32;

/// A type that a header field can have.
pub(crate) trait FieldValue<'a>: Sized {
    /// Does an empty text say as little as no field at all? A binary header cannot tell the two apart in Java.
    const EMPTY_IS_ABSENT: bool = true;

    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError>;

    fn write(&self, field: &str, fields: &mut Fields);
}

impl<'a> FieldValue<'a> for &'a str {
    const EMPTY_IS_ABSENT: bool = false;

    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError> {
        text.ok_or(HeaderError::Missing { field })
    }

    fn write(&self, field: &str, fields: &mut Fields) {
        fields.set(field, self);
    }
}

/// Only `true`, in any letter case, is true: `1` and `yes` are not.
impl<'a> FieldValue<'a> for bool {
    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError> {
        text.map(|text| text.eq_ignore_ascii_case("true"))
            .ok_or(HeaderError::Missing { field })
    }

    fn write(&self, field: &str, fields: &mut Fields) {
        fields.set(field, if *self { "true" } else { "false" });
    }
}

impl<'a> FieldValue<'a> for i32 {
    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError> {
        let text = present(field, text)?;
        text.parse()
            .map_err(|_| not_a_number(field, "a 32-bit integer", text))
    }

    fn write(&self, field: &str, fields: &mut Fields) {
        fields.set_integer(field, i64::from(*self));
    }
}

impl<'a> FieldValue<'a> for i64 {
    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError> {
        let text = present(field, text)?;
        text.parse()
            .map_err(|_| not_a_number(field, "a 64-bit integer", text))
    }

    fn write(&self, field: &str, fields: &mut Fields) {
        fields.set_integer(field, *self);
    }
}

impl<'a, T: FieldValue<'a>> FieldValue<'a> for Option<T> {
    fn read(field: &'static str, text: Option<&'a str>) -> Result<Self, HeaderError> {
        match text {
            None => Ok(None),
            Some("") if T::EMPTY_IS_ABSENT => Ok(None),
            text => T::read(field, text).map(Some),
        }
    }

    fn write(&self, field: &str, fields: &mut Fields) {
        if let Some(value) = self {
            value.write(field, fields);
        }
    }
}

fn present<'a>(field: &'static str, text: Option<&'a str>) -> Result<&'a str, HeaderError> {
    text.filter(|text| !text.is_empty())
        .ok_or(HeaderError::Missing { field })
}

fn not_a_number(field: &'static str, expected: &'static str, text: &str) -> HeaderError {
    HeaderError::NotANumber {
        field,
        expected,
        text: text.chars().take(SHOWN).collect(),
    }
}

/// A field that no header declares, such as one of our own extensions.
///
/// # Errors
/// [`HeaderError::NotANumber`].
pub fn optional_integer(fields: &Fields, name: &'static str) -> Result<Option<i64>, HeaderError> {
    FieldValue::read(name, fields.get(name))
}
