//! From the list of the tables to what is said of each of them.

use crate::codec::{FieldReader, FieldWriter};
use crate::error::{RowError, StateError};

use super::table::Table;
use super::topics::TopicTable;

/// The state's tables from a list of rows, each a field with its table, under the field's
/// documentation.
macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $file:ident::$table:ident,)+) => {
        /// All tables of a state. A clone shares the rows with its origin.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(crate) struct StateTables {
            $($(#[$doc])* pub(crate) $field: $file::$table,)+
        }

        /// Sums of the hashes of the rows, one a table. They wrap.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct TableSums {
            $($(#[$doc])* pub $field: u64,)+
        }

        const _: () = assert!(
            $crate::hash::are_distinct(&[$(<$file::$table as table::Table>::ENTRY_KINDS),+]),
            "two kinds of entries have one number",
        );

        impl TableSums {
            /// All tables in one number.
            pub fn combined(&self) -> u64 {
                $crate::hash::combined(&[$(self.$field),+])
            }
        }

        impl StateTables {
            /// The sums that the tables keep.
            pub(crate) fn sums(&self) -> TableSums {
                TableSums { $($field: table::Table::sum(&self.$field),)+ }
            }

            /// Appends all tables that are not empty, each behind its number and length.
            pub(crate) fn write(&self, out: &mut $crate::codec::FieldWriter<'_>) {
                $(registry::write(&self.$field, out);)+
            }

            /// Reads tables to the end of the bytes. A table that is not there is empty.
            pub(crate) fn read(
                from: &mut $crate::codec::FieldReader<'_>,
            ) -> Result<Self, $crate::error::StateError> {
                let mut tables = Self::default();
                let mut last = 0;
                while let Some((id, mut rows)) = registry::next(from, &mut last)? {
                    match id {
                        $(<$file::$table as table::Table>::ID => {
                            tables.$field = registry::read(stringify!($field), &mut rows)?;
                        })+
                        _ => return Err($crate::error::StateError::UnknownTable { id }),
                    }
                }
                $(registry::check_topics(stringify!($field), &tables.$field, &tables.topics)?;)+
                Ok(tables)
            }

            /// The sums, counted anew.
            pub(crate) fn recomputed_sums(&self) -> TableSums {
                TableSums { $($field: table::Table::recomputed_sum(&self.$field),)+ }
            }
        }
    };
}

pub(super) use tables;

/// Appends a table: number `u16`, length `u64`, rows. Nothing of an empty one, so that a table that
/// comes later leaves no trace until it is used.
pub(super) fn write<T: Table>(table: &T, out: &mut FieldWriter<'_>) {
    if *table != T::default() {
        out.u16(T::ID);
        out.sized_long(|out| table.write(out));
    }
}

/// The next table's number, which must be greater than the last one's, and its rows; none at the end.
pub(super) fn next<'a>(
    from: &mut FieldReader<'a>,
    last: &mut u16,
) -> Result<Option<(u16, FieldReader<'a>)>, StateError> {
    if from.left() == 0 {
        return Ok(None);
    }
    let (id, length) = (from.u16()?, from.u64()?);
    if id <= *last {
        return Err(StateError::TableOrder { id });
    }
    *last = id;
    // A length that does not fit is longer than the bytes.
    let rows = from.bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
    Ok(Some((id, FieldReader::new(rows))))
}

/// Reads the rows of a table, all of them.
pub(super) fn read<T: Table>(
    name: &'static str,
    from: &mut FieldReader<'_>,
) -> Result<T, StateError> {
    let read = T::read(from).and_then(|table| match from.left() {
        0 if table == T::default() => Err(RowError::Empty),
        0 => Ok(table),
        left => Err(RowError::Trailing { left }),
    });
    read.map_err(|source| StateError::Table {
        table: name,
        source,
    })
}

/// Refuses rows that name a topic which does not exist.
pub(super) fn check_topics(
    name: &'static str,
    table: &impl Table,
    topics: &TopicTable,
) -> Result<(), StateError> {
    let unknown = table
        .topic_ids()
        .find(|topic_id| topics.by_id(*topic_id).is_none());
    match unknown {
        None => Ok(()),
        Some(topic_id) => Err(StateError::Table {
            table: name,
            source: RowError::UnknownTopic { topic_id },
        }),
    }
}
