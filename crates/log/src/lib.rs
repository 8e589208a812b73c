//! Bytes on disk: segments, frames, recovery, consume queues, key index, over a [`Disk`] trait.
//!
//! The log of a broker group is a row of segment files that hold *frames*. A frame is one entry of the
//! replicated log: a header, RocketMQ message records, and metadata changes. This crate decides where a frame
//! stands ([`frame_position()`]), writes it ([`Log`]), makes it durable ([`LogSyncer`]), reads it ([`LogReader`]), and
//! finds out at start what is left after a crash ([`Log::open`]). Around it stand the small files of a replica: `raft.state`
//! ([`RaftStateFile`]), `clean.stop` ([`StopRecord`]), the lock and the identity, and the consume queues
//! ([`ConsumeQueues`]) and the key index ([`KeyIndex`]), which are views of the log.
//!
//! Nothing here reads a clock or draws a random number. [`RealDisk`] talks to the kernel; tests bring a disk of their own
//! (the crate `tern-testdisk`), from which the power can be taken.
//!
//! A directory of a replica:
//!
//! ```text
//! lock            held while the process lives
//! identity        names the node that owns the directory
//! raft.state      term, vote, membership, stored commit; two copies
//! flushed.pos     last recorded durable position
//! boot.mark       the kernel's life in which the replica was last started
//! clean.stop      only after a clean stop
//! log/<base>      segments, named by base position, 20 digits
//! views/          consume queues and key index: derived, may be deleted at any time
//! ```

mod clean_stop;
mod cold_reads;
mod consume_queue;
mod descriptor;
mod disk;
mod draft;
mod durability;
mod error;
mod evidence;
mod fault;
mod files;
mod frame;
mod header;
mod identity;
mod index;
mod key_index;
mod log;
mod log_end;
mod placement;
pub mod planted;
mod raft_state;
mod reader;
mod real_disk;
mod records;
mod recovery;
mod reserve;
mod reserving;
mod room_ahead;
mod scan;
mod segment;
mod sound_frames;
mod syncer;
mod truncate;
mod zero_map;
mod zeros_ahead;

pub use clean_stop::{BootMark, StopKind, StopRecord};
pub use consume_queue::{ConsumeQueues, QueueBounds, QueueEntry, QueueLimits};
pub use descriptor::{DESCRIPTOR_SIZE, Descriptor};
pub use disk::{Disk, DiskFile, Space, is_no_space, is_scarce};
pub use draft::{FrameDraft, MAX_AHEAD_MS, fits_frame};
pub use durability::{Syncing, forget_commit};
pub use error::LogError;
pub use fault::Fault;
pub use frame::Frame;
pub use header::{
    FLAG_DURABLE, FLAG_ZERO_MAP, FRAME_HEADER_SIZE, FrameHeader, FrameKind, MAX_FRAME_LENGTH,
};
pub use identity::{DirectoryId, DirectoryLock, claim_directory};
pub use key_index::{KeyHasher, KeyIndex, KeyLimits, NewestKey};
pub use log::{Log, LogOptions, NEAR_BYTES};
pub use log_end::LogEnd;
pub use placement::{align8, frame_position};
pub use raft_state::{RaftState, RaftStateFile};
pub use reader::{LogReader, Source};
pub use real_disk::RealDisk;
pub use records::{QueuedRecord, Unread};
pub use recovery::{Recovery, ScanResult, stored_settings};
pub use reserve::Reserve;
pub use reserving::SegmentRoom;
pub use segment::{
    DEFAULT_SEGMENT_SIZE, MIN_SEGMENT_SIZE, SEGMENT_HEADER_SIZE, SegmentHeader, SegmentNeed,
    prepare_segment,
};
pub use syncer::LogSyncer;
