//! From the list of the tables to what is said of each of them.

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

            /// The sums, counted anew.
            pub(crate) fn recomputed_sums(&self) -> TableSums {
                TableSums { $($field: table::Table::recomputed_sum(&self.$field),)+ }
            }
        }
    };
}

pub(super) use tables;
