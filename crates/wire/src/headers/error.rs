//! Why a header is refused.

/// A header field that is missing or cannot be read. The answer is 29, and the
/// connection stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A required field is not there, or empty where a number should be.
    #[error("header field {field} is missing")]
    Missing {
        /// Its name on the wire.
        field: &'static str,
    },
    /// The text of a field is not a number that fits.
    #[error("header field {field} is not {expected}: {text:?}")]
    NotANumber {
        /// Its name on the wire.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
        /// The beginning of what it is.
        text: String,
    },
}
