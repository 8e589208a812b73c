//! What every op says of itself.

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::error::ApplyError;
use crate::tables::StateTables;

use super::precondition::Precondition;

/// The body of an op: its bytes, and what applying it does.
///
/// What is written here is in logs for good: a body that changes gets another version, and an op
/// that is not written any more keeps its number.
pub(crate) trait OpBody: Sized {
    /// The type number in the metadata block. Never used for another op.
    const KIND: u16;

    /// The version of the body that is written, and the only one that is read.
    const VERSION: u16 = 1;

    /// Whether it contradicts a state whose group is not founded.
    const NEEDS_GROUP: bool = true;

    /// What a leader must check before it appends the op, and keep in mind once it has; most ops
    /// have nothing of that, and are passed over unread.
    const PRECONDITION: Option<fn(&Self) -> Precondition> = None;

    /// Appends the fields.
    fn write(&self, out: &mut FieldWriter<'_>);

    /// Reads the fields, from a reader that ends with the body.
    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError>;

    /// Whether the op could be applied. Applying is not possible where this is an error.
    fn check(&self, _tables: &StateTables) -> Result<(), ApplyError> {
        Ok(())
    }

    /// Applies the op of a frame of `term`, after [`check`](Self::check). `changes` is what the
    /// frame's ops have changed so far.
    fn apply(self, tables: &mut StateTables, term: u64, changes: &mut Changes);
}
