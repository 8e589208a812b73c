//! What can go wrong in the log.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{is_no_space, is_scarce};
use crate::fault::Fault;

/// Every error of this crate. [`is_fatal`](Self::is_fatal) tells those after which the replica must stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Opening, reading or listing failed. Nothing was changed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room for the file. Nothing was appended, and the log stays usable.
    #[error("no space for {}", path.display())]
    NoSpace {
        /// The file that could not be allocated.
        path: PathBuf,
    },
    /// The system lacks something that a new file takes, such as a descriptor. Nothing was appended, and the log stays
    /// usable.
    #[error("cannot make {} now: {source}", path.display())]
    Scarce {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A write failed. What is on disk is unknown: stop, the next start sorts it out.
    #[error("writing {} failed: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A sync failed. It must not be tried again: the kernel may call lost pages clean.
    #[error("syncing {} failed: {source}", path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A write or sync failed before; the log takes nothing more until the next start.
    #[error("a write or sync of this log failed before")]
    Failed,
    /// Bytes from outside are not a frame.
    #[error("bad frame: {fault}")]
    BadFrame {
        /// What is wrong.
        fault: Fault,
    },
    /// A frame does not continue this log: for a matching (index, term) that is divergence.
    #[error("frame {index} does not continue the log at {position}: {fault}")]
    Diverged {
        /// Index in the frame.
        index: u64,
        /// Position in the frame.
        position: u64,
        /// What does not fit.
        fault: Fault,
    },
    /// A draft contradicts itself.
    #[error("bad draft: {reason}")]
    BadDraft {
        /// What is wrong.
        reason: &'static str,
    },
    /// A frame would be longer than the limit.
    #[error("frame of {length} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Length of the frame.
        length: u64,
        /// The limit, from the format or the segment size.
        limit: u64,
    },
    /// The log has no such frame.
    #[error("no frame {index}: the log has {first} to {last}")]
    NotFound {
        /// The index that was asked for.
        index: u64,
        /// First index of the log.
        first: u64,
        /// Last index of the log; below `first` if it is empty.
        last: u64,
    },
    /// The log has no such bytes.
    #[error("no {length} bytes at {position}: the log has {first} to {end}")]
    NotStored {
        /// The position that was asked for.
        position: u64,
        /// How many bytes.
        length: u64,
        /// First position of the log.
        first: u64,
        /// End of the log.
        end: u64,
    },
    /// Stored data was damaged after it had been written. Nothing was cut; it needs repair from another replica.
    #[error(
        "damage at position {position} (frame {index}): {fault}; it was complete once, so nothing was cut"
    )]
    Rotted {
        /// Where the damaged frame starts.
        position: u64,
        /// The index that has to stand there.
        index: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// A queue names a position in the log where its message does not stand, and the log is right.
    #[error(
        "a queue names {position} for another message than stands there; it is derived from the log and has to be rebuilt"
    )]
    WrongEntry {
        /// The position that the queue names.
        position: u64,
    },
    /// The directory holds the log of another group or of other settings.
    #[error("{}: {what} differs from the replica's", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A setting that cannot work.
    #[error("bad setting: {reason}")]
    BadSetting {
        /// What is wrong.
        reason: &'static str,
    },
    /// Both copies of `raft.state` are damaged. It never means term 0.
    #[error("{}: both copies are damaged; term and vote are unknown", path.display())]
    RaftStateUnreadable {
        /// The file.
        path: PathBuf,
    },
    /// More members than `raft.state` has room for.
    #[error("{count} members, at most {limit} fit")]
    TooManyMembers {
        /// Members in all lists.
        count: usize,
        /// How many fit.
        limit: usize,
    },
    /// Another process holds the directory.
    #[error("{} is in use by another process", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory belongs to another node.
    #[error("{} belongs to {found}, not to {expected}", directory.display())]
    OtherNode {
        /// The directory.
        directory: PathBuf,
        /// The node that the identity file names.
        found: String,
        /// This node.
        expected: String,
    },
    /// The identity file is damaged.
    #[error("{} is damaged; it names no node", path.display())]
    IdentityUnreadable {
        /// The file.
        path: PathBuf,
    },
    /// A consume queue was given an entry out of turn. That is a bug of the caller.
    #[error("queue {topic_id}/{queue_id}: entry {given}, expected {expected}")]
    QueueOrder {
        /// The topic's number.
        topic_id: u32,
        /// The queue's number.
        queue_id: u32,
        /// The queue offset that has to come next.
        expected: u64,
        /// The one that came.
        given: u64,
    },
    /// A file of a view cannot be made, written, read or deleted. Views are derived, so this stops nothing: whoever
    /// fills the view waits and tries again.
    #[error("cannot {doing} {}, which is derived from the log: {source}", path.display())]
    View {
        /// What was tried, a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of a view is damaged. Views are derived: what it held can be read from the log again.
    #[error("{} is damaged; it is derived from the log and has to be rebuilt", path.display())]
    DamagedView {
        /// The file.
        path: PathBuf,
    },
}

impl LogError {
    /// Whether the replica must stop: a failed write or sync, a divergence, or damage of the log.
    pub const fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Write { .. }
                | Self::Sync { .. }
                | Self::Failed
                | Self::Diverged { .. }
                | Self::Rotted { .. }
        )
    }

    /// Whether reading has met damage of the log: bytes that were right once, or that the disk does not give back.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Rotted { .. } | Self::Io { doing: "read", .. })
    }

    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    /// For all that is done to files of views.
    pub(crate) fn view(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::View {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn sync(path: &Path, source: io::Error) -> Self {
        Self::Sync {
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether a file of a view is damaged, as opposed to one that cannot be looked at now.
    pub(crate) fn shows_damaged_view(&self) -> bool {
        match self {
            Self::DamagedView { .. } => true,
            Self::View { source, .. } => !is_scarce(source),
            _ => false,
        }
    }

    /// For calls that reserve space: a full disk, or a system without descriptors, is no reason to stop.
    pub(crate) fn allocation(path: &Path, source: io::Error) -> Self {
        if is_no_space(&source) {
            Self::NoSpace {
                path: path.to_path_buf(),
            }
        } else if is_scarce(&source) {
            Self::Scarce {
                path: path.to_path_buf(),
                source,
            }
        } else {
            Self::write(path, source)
        }
    }
}
