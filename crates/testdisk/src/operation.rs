//! Kinds of calls.

/// A kind of call, for errors that are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`tern_log::DiskFile::read_at`].
    Read,
    /// [`tern_log::DiskFile::write_at`] and [`tern_log::DiskFile::zero_range`].
    Write,
    /// [`tern_log::DiskFile::sync_data`]; the unsynced content is lost to the platter.
    Sync,
    /// [`tern_log::DiskFile::allocate`]: the disk is full.
    Allocate,
    /// [`tern_log::Disk::sync_dir`].
    SyncDirectory,
    /// [`tern_log::Disk::open`] and [`tern_log::Disk::create`]: the process has no descriptor left.
    Open,
}
