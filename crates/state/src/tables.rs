//! The tables of a state, one file each: rows, the sum of their hashes, what may be done to them.
//!
//! A new table is a file here, its `mod` line, and its row at the end of the list below: the fields
//! of a state, the hash and its audits, and the bytes of a state follow from the row. A row that
//! stands here is never moved or taken out: the order is that of the hash, which replicas of
//! different builds compare, and of the bytes.

mod consumer_offsets;
mod delays;
mod groups;
mod locks;
mod next_offsets;
mod permission;
mod registry;
mod settings;
mod table;
mod topics;

pub use locks::LeaseTime;

registry::tables! {
    /// The founding.
    settings: settings::SettingsTable,
    /// Topics with their ids, and the topic version.
    topics: topics::TopicTable,
    /// Subscription groups, and the group version.
    groups: groups::GroupTable,
    /// Consumer offsets.
    consumer_offsets: consumer_offsets::ConsumerOffsetTable,
    /// Next queue offset of each queue that has a record.
    next_offsets: next_offsets::NextOffsetTable,
    /// How far each delay level has come.
    delays: delays::DelayTable,
    /// Queue locks.
    locks: locks::LockTable,
    /// What clients may do at the group as a whole.
    permission: permission::PermissionTable,
}
