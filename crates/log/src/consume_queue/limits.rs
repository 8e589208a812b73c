//! How much memory and how many files consume queues take.

/// Bounds of memory and files.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Entries of one queue that are held in memory.
    pub tail_entries: usize,
    /// Bytes of all such buffers together.
    pub buffered_bytes: usize,
    /// Bytes of them from which on appending has to wait while files cannot be written.
    pub held_bytes: usize,
    /// Files held open.
    pub open_files: usize,
    /// Entries in one file.
    pub entries_per_file: u64,
}

impl Default for QueueLimits {
    /// 4 KiB a queue, 8 MiB together, 64 MiB on a disk that takes nothing, 128 files of 5 MiB.
    fn default() -> Self {
        Self {
            tail_entries: 204,
            buffered_bytes: 8 << 20,
            held_bytes: 64 << 20,
            open_files: 128,
            entries_per_file: 1 << 18,
        }
    }
}
