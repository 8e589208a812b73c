//! From the list of the ops to [`Op`](super::Op) and what is done by its type.

use crate::error::ApplyError;
use crate::tables::StateTables;

use super::body::OpBody;

/// The enumeration of all ops from a list of rows, each the file and the body of an op, under its
/// documentation; and everything that depends on which op it is.
macro_rules! ops {
    ($($(#[$doc:meta])* $file:ident::$body:ident,)+) => {
        $(pub use $file::$body;)+

        /// One change of the state. Times in it were stamped by the leader that proposed it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $body($body),)+
        }

        impl Op {
            /// Type number and name of every op that this code knows.
            pub const KINDS: &[(u16, &str)] =
                &[$((<$body as body::OpBody>::KIND, stringify!($body)),)+];

            /// Appends the op to a metadata block.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$body(op) => block::write(op, out),)+
                }
            }

            /// Reads a whole metadata block.
            ///
            /// # Errors
            /// The bytes are not a block of ops that this version knows. Lengths are checked before
            /// anything is allocated.
            pub fn decode_all(block: &[u8]) -> Result<Vec<Self>, $crate::error::OpError> {
                let mut from = $crate::codec::FieldReader::new(block);
                let mut ops = Vec::new();
                while let Some(raw) = block::RawOp::next(&mut from)? {
                    ops.push(match raw.kind {
                        $(<$body as body::OpBody>::KIND => Self::$body(raw.read()?),)+
                        kind => return Err($crate::error::OpError::UnknownType { kind }),
                    });
                }
                Ok(ops)
            }

            /// What a leader must know of the op when it appends it; none for most.
            pub fn precondition(&self) -> Option<Precondition> {
                match self {
                    $(Self::$body(op) => {
                        <$body as body::OpBody>::PRECONDITION.map(|of| of(op))
                    })+
                }
            }

            pub(crate) fn check(
                &self,
                tables: &$crate::tables::StateTables,
            ) -> Result<(), $crate::error::ApplyError> {
                match self {
                    $(Self::$body(op) => registry::check(op, tables),)+
                }
            }

            pub(crate) fn apply(
                self,
                tables: &mut $crate::tables::StateTables,
                term: u64,
                changes: &mut $crate::changes::Changes,
            ) {
                match self {
                    $(Self::$body(op) => body::OpBody::apply(op, tables, term, changes),)+
                }
            }
        }

        /// [`Op::precondition`] of each op of a metadata block that has one. The others, which are
        /// most, are passed over unread, also those of types that this code does not know.
        ///
        /// # Errors
        /// The bytes are not a block of ops that this version knows.
        pub fn preconditions(block: &[u8]) -> Result<Vec<Precondition>, $crate::error::OpError> {
            let mut from = $crate::codec::FieldReader::new(block);
            let mut found = Vec::new();
            while let Some(raw) = block::RawOp::next(&mut from)? {
                match raw.kind {
                    $(<$body as body::OpBody>::KIND => {
                        if let Some(of) = <$body as body::OpBody>::PRECONDITION {
                            found.push(of(&raw.read()?));
                        }
                    })+
                    _ => {}
                }
            }
            Ok(found)
        }
    };
}

pub(super) use ops;

/// Whether an op could be applied to a state.
pub(super) fn check<T: OpBody>(op: &T, tables: &StateTables) -> Result<(), ApplyError> {
    if T::NEEDS_GROUP && tables.settings.founding().is_none() {
        return Err(ApplyError::NotFounded);
    }
    op.check(tables)
}
