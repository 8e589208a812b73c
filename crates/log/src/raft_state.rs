//! `raft.state`: what a replica must never forget, twice. All integers are big-endian.
//!
//! Two copies of 4096 bytes, at 0 and at 65536:
//!
//! ```text
//!    0     8  magic "TERNRAFT"
//!    8     4  format version, 1
//!   12     4  flags: bit 0 memory_acked, bit 1 founding, bit 2 superseded, bit 3 handed
//!             over; others 0
//!   16     8  generation; the valid copy with the greater one wins
//!   24    16  group id
//!   40     8  own id
//!   48     8  term
//!   56     8  vote, 0 if none
//!   64     8  stored commit index
//!   72     8  membership index
//!   80     8  counts, 2 bytes each: voters, outgoing voters, learners, next learners
//!   88  8 ea  their ids, in this order
//!    …        zero
//! 4092     4  CRC32C of bytes 0..4092
//! ```
//!
//! Both copies are written and synced, the older first, before anything relies on the new content. So a torn
//! write never destroys the last good copy, and one rotten copy is harmless.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, DiskFile};
use crate::error::LogError;
use crate::files::{be32, be64, open_if_there, remove_if_there, sync_directory};

const NAME: &str = "raft.state";
const MAGIC: [u8; 8] = *b"TERNRAFT";
const VERSION: u32 = 1;
const COPY: usize = 4096;
const CRC_AT: usize = COPY - 4;
const IDS_AT: usize = 88;
const MEMBERS: usize = (CRC_AT - IDS_AT) / 8;
const OFFSETS: [u64; 2] = [0, 64 << 10];
const MEMORY_ACKED: u32 = 1;
const FOUNDING: u32 = 2;
const SUPERSEDED: u32 = 4;
const HANDED_OVER: u32 = 8;

/// What `raft.state` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four flags of the file, which do not exclude each other"
)]
pub struct RaftState {
    /// The group's UUID.
    pub group_id: [u8; 16],
    /// This replica's id, incarnation included.
    pub own_id: u64,
    /// Current term.
    pub term: u64,
    /// Whom it voted for in this term, 0 for nobody.
    pub vote: u64,
    /// A commit index that was durable here.
    pub commit: u64,
    /// Index of the entry that made the membership below.
    pub membership_index: u64,
    /// Voters.
    pub voters: Vec<u64>,
    /// Voters of the old configuration while a change is under way.
    pub outgoing: Vec<u64>,
    /// Learners.
    pub learners: Vec<u64>,
    /// Voters that become learners when the change is done.
    pub learners_next: Vec<u64>,
    /// Something was acknowledged from memory: a power cut may have taken it.
    pub memory_acked: bool,
    /// The group is being founded: frame 1 is stored, not all members have confirmed.
    pub founding: bool,
    /// Another master was promoted while this replica was away: what was committed here may have to go.
    pub superseded: bool,
    /// This replica was the master, and has handed over to the one that is the voter now.
    pub handed_over: bool,
}

impl RaftState {
    fn members(&self) -> [&Vec<u64>; 4] {
        [
            &self.voters,
            &self.outgoing,
            &self.learners,
            &self.learners_next,
        ]
    }

    fn encode(&self, generation: u64) -> Result<Vec<u8>, LogError> {
        let count = self.members().iter().map(|ids| ids.len()).sum();
        if count > MEMBERS {
            return Err(LogError::TooManyMembers {
                count,
                limit: MEMBERS,
            });
        }
        let memory_acked = if self.memory_acked { MEMORY_ACKED } else { 0 };
        let founding = if self.founding { FOUNDING } else { 0 };
        let superseded = if self.superseded { SUPERSEDED } else { 0 };
        let handed_over = if self.handed_over { HANDED_OVER } else { 0 };
        let flags = memory_acked | founding | superseded | handed_over;
        let mut bytes = Vec::with_capacity(COPY);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(&self.group_id);
        for number in [
            self.own_id,
            self.term,
            self.vote,
            self.commit,
            self.membership_index,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for ids in self.members() {
            bytes.extend_from_slice(&(ids.len() as u16).to_be_bytes());
        }
        for id in self.members().into_iter().flatten() {
            bytes.extend_from_slice(&id.to_be_bytes());
        }
        bytes.resize(CRC_AT, 0);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        Ok(bytes)
    }

    /// Generation and content of a copy; none if it is damaged.
    fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let bytes = bytes.first_chunk::<COPY>()?;
        let flags = be32(bytes, 12);
        let right = crc32c::crc32c(&bytes[..CRC_AT]) == be32(bytes, CRC_AT)
            && bytes[..8] == MAGIC
            && be32(bytes, 8) == VERSION
            && flags & !(MEMORY_ACKED | FOUNDING | SUPERSEDED | HANDED_OVER) == 0;
        if !right {
            return None;
        }
        let mut at = IDS_AT;
        let mut lists = [const { Vec::new() }; 4];
        for (list, count) in lists.iter_mut().zip(bytes[80..IDS_AT].chunks_exact(2)) {
            let end = at + 8 * usize::from(u16::from_be_bytes([count[0], count[1]]));
            *list = bytes[..CRC_AT]
                .get(at..end)?
                .chunks_exact(8)
                .map(|id| be64(id, 0))
                .collect();
            at = end;
        }
        let [voters, outgoing, learners, learners_next] = lists;
        let state = Self {
            group_id: bytes[24..40].try_into().ok()?,
            own_id: be64(bytes, 40),
            term: be64(bytes, 48),
            vote: be64(bytes, 56),
            commit: be64(bytes, 64),
            membership_index: be64(bytes, 72),
            voters,
            outgoing,
            learners,
            learners_next,
            memory_acked: flags & MEMORY_ACKED != 0,
            founding: flags & FOUNDING != 0,
            superseded: flags & SUPERSEDED != 0,
            handed_over: flags & HANDED_OVER != 0,
        };
        Some((be64(bytes, 16), state))
    }
}

/// The file, opened once and then written by the log thread.
pub struct RaftStateFile {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file: Option<Arc<dyn DiskFile>>,
    /// Generation of each copy; 0 for one that is damaged.
    generations: [u64; 2],
    failed: bool,
}

impl RaftStateFile {
    /// Opens the file and reads what it holds; nothing for a replica that never stored anything.
    ///
    /// Both copies are written again before this returns, the older first: the caller may rely on the content, so it
    /// has to be there twice, and what was read was perhaps only in the page cache.
    ///
    /// # Errors
    /// [`LogError::RaftStateUnreadable`] if both copies are damaged; [`LogError::Io`], [`LogError::Write`],
    /// [`LogError::Sync`].
    pub fn load(
        disk: Arc<dyn Disk>,
        directory: &Path,
    ) -> Result<(Self, Option<RaftState>), LogError> {
        let path = directory.join(NAME);
        let file = open_if_there(&*disk, &path)?;
        let mut this = Self {
            disk,
            directory: directory.to_path_buf(),
            file,
            generations: [0; 2],
            failed: false,
        };
        let Some(file) = this.file.clone() else {
            return Ok((this, None));
        };
        // A process may have died between giving the file its name and making that durable.
        sync_directory(&*this.disk, &this.directory)?;
        let mut newest = None;
        for (at, offset) in OFFSETS.into_iter().enumerate() {
            let mut bytes = vec![0; COPY];
            file.read_at(&mut bytes, offset)
                .map_err(|error| LogError::io("read", &path, error))?;
            if let Some((generation, state)) = RaftState::decode(&bytes) {
                this.generations[at] = generation;
                if newest.as_ref().is_none_or(|(known, _)| *known < generation) {
                    newest = Some((generation, state));
                }
            }
        }
        let (generation, state) = newest.ok_or(LogError::RaftStateUnreadable { path })?;
        let bytes = state.encode(generation)?;
        let older = this.older();
        this.write_copy(older, generation, &bytes)?;
        this.write_copy(1 - older, generation, &bytes)?;
        Ok((this, Some(state)))
    }

    /// Stores new content: when this returns, both copies are durable.
    ///
    /// # Errors
    /// [`LogError::TooManyMembers`], before anything is written. [`LogError::Write`], [`LogError::Sync`],
    /// [`LogError::NoSpace`]: the replica must stop, and [`LogError::Failed`] follows.
    pub fn store(&mut self, state: &RaftState) -> Result<(), LogError> {
        if self.failed {
            return Err(LogError::Failed);
        }
        let generation = self.generations[0].max(self.generations[1]) + 1;
        let bytes = state.encode(generation)?;
        let stored = if self.file.is_some() {
            let older = self.older();
            self.write_copy(older, generation, &bytes)
                .and_then(|()| self.write_copy(1 - older, generation, &bytes))
        } else {
            self.create(generation, &bytes)
        };
        self.failed = stored.is_err();
        stored
    }

    fn older(&self) -> usize {
        usize::from(self.generations[1] < self.generations[0])
    }

    fn write_copy(&mut self, at: usize, generation: u64, bytes: &[u8]) -> Result<(), LogError> {
        let path = self.directory.join(NAME);
        let file = self.file.as_ref().expect("the file is open");
        file.write_at(bytes, OFFSETS[at])
            .map_err(|error| LogError::write(&path, error))?;
        file.sync_data()
            .map_err(|error| LogError::sync(&path, error))?;
        self.generations[at] = generation;
        Ok(())
    }

    /// The first time: the file gets its name when both copies are in it, so that a file without a good copy is
    /// always a damaged one.
    fn create(&mut self, generation: u64, bytes: &[u8]) -> Result<(), LogError> {
        let path = self.directory.join(NAME);
        let fresh = self.directory.join(format!("{NAME}.new"));
        remove_if_there(&*self.disk, &fresh)?;
        let file = self
            .disk
            .create(&fresh)
            .map_err(|error| LogError::allocation(&fresh, error))?;
        file.allocate(OFFSETS[1] + COPY as u64)
            .map_err(|error| LogError::allocation(&fresh, error))?;
        for offset in OFFSETS {
            file.write_at(bytes, offset)
                .map_err(|error| LogError::write(&fresh, error))?;
        }
        file.sync_data()
            .map_err(|error| LogError::sync(&fresh, error))?;
        self.disk
            .rename(&fresh, &path)
            .map_err(|error| LogError::write(&path, error))?;
        sync_directory(&*self.disk, &self.directory)?;
        self.file = Some(file);
        self.generations = [generation; 2];
        Ok(())
    }
}
