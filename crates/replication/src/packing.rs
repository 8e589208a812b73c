//! How a message becomes bytes of a stream, and bytes of a stream a message again.
//!
//! The streams of `tern-net` and the network of the simulator both call this, so that what one of them decides about an
//! append is what the other one tries out.

use bytes::Bytes;
use tern_log::{Frame, LogError, LogReader};

use crate::entry::ThinEntry;
use crate::member::ReplicaId;
use crate::peer::{HEAD_BYTES, PeerCodecError, PeerHead, PeerKind, PeerMessage, PeerStream};

/// Where the frames of appends come from.
pub trait FrameSource: Send + Sync + 'static {
    /// The frames of a prefix of `entries`, at least one, about `max_bytes` at most; `None` if the log no longer
    /// holds the first of them, and then the message is dropped.
    ///
    /// # Errors
    /// The log's, if it holds the first of them and cannot read it: that is damage, and must not pass for "no longer
    /// there", or a follower waits for ever for a frame that nobody can give it.
    fn frames(
        &self,
        entries: &[ThinEntry],
        max_bytes: usize,
    ) -> Result<Option<Vec<Frame>>, LogError>;

    /// The frames of all of `entries`, if they are in memory and no longer than `max_bytes` together. Reads no file.
    fn held_frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>>;

    /// Whether reading the first of them takes a disk.
    fn is_cold(&self, entries: &[ThinEntry]) -> bool;
}

impl FrameSource for LogReader {
    fn frames(
        &self,
        entries: &[ThinEntry],
        max_bytes: usize,
    ) -> Result<Option<Vec<Frame>>, LogError> {
        let Some(first) = entries.first() else {
            return Ok(None);
        };
        // Read again before it counts as damage: between a look at the index and one at the file the frame may have been
        // cut off and another one written there. What is damaged is so twice.
        let read = Self::frames(self, first.index, max_bytes)
            .or_else(|_| Self::frames(self, first.index, max_bytes));
        match read {
            Ok(frames) => Ok(fitting(frames, entries)),
            Err(LogError::NotFound { .. } | LogError::NotStored { .. }) => Ok(None),
            Err(_) if self.term(first.index) != Some(first.term) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn held_frames(&self, entries: &[ThinEntry], max_bytes: usize) -> Option<Vec<Frame>> {
        let first = entries.first()?;
        let frames = fitting(Self::held_frames(self, first.index, max_bytes), entries)?;
        (frames.len() == entries.len() && length_of(&frames) <= max_bytes).then_some(frames)
    }

    fn is_cold(&self, entries: &[ThinEntry]) -> bool {
        let first = entries.first().and_then(|entry| entry.descriptor);
        first.is_some_and(|frame| Self::is_cold(self, frame.position))
    }
}

/// The frames that are those of the entries, up to the first that is not.
fn fitting(mut frames: Vec<Frame>, entries: &[ThinEntry]) -> Option<Vec<Frame>> {
    let fitting = frames
        .iter()
        .zip(entries)
        .take_while(|(frame, entry)| {
            frame.header.index == entry.index && frame.header.term == entry.term
        })
        .count();
    frames.truncate(fitting);
    (!frames.is_empty()).then_some(frames)
}

fn length_of(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| frame.bytes.len()).sum()
}

/// One message as it is written to a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Packed {
    /// Head and context.
    pub head: Vec<u8>,
    /// The frames, which follow as they are.
    pub frames: Vec<Frame>,
    /// Length of all frames, bytes.
    pub frames_len: usize,
}

impl Packed {
    /// What a [`Packer`] makes of a message, if that is one part of at most `max_bytes` and needs no file: the head, its
    /// context and the frames, which are in memory.
    pub fn of_held(
        message: &PeerMessage,
        source: &dyn FrameSource,
        max_bytes: usize,
    ) -> Option<Self> {
        let left = max_bytes.checked_sub(HEAD_BYTES + message.context.len())?;
        let frames = if message.entries.is_empty() {
            Vec::new()
        } else {
            source.held_frames(&message.entries, left)?
        };
        Some(Self::new(message, frames))
    }

    fn new(message: &PeerMessage, frames: Vec<Frame>) -> Self {
        let frames_len = length_of(&frames);
        Self {
            head: message.encode_head(frames.len() as u32, frames_len as u32),
            frames,
            frames_len,
        }
    }
}

/// Makes one message into one or more: an append is split into messages of about so many bytes.
///
/// Frames are fetched when a part is asked for, which is when it is written, not when it was queued: what waits are
/// descriptors. Entries that the log no longer holds are dropped with what follows them.
pub struct Packer {
    message: PeerMessage,
    entries: Vec<ThinEntry>,
    packed: usize,
    done: bool,
}

impl Packer {
    /// Take a message as the engine made it.
    pub fn new(mut message: PeerMessage) -> Self {
        let entries = std::mem::take(&mut message.entries);
        Self {
            message,
            entries,
            packed: 0,
            done: false,
        }
    }

    /// Whether the next part is read from a disk: whoever asks for it waits.
    pub fn is_cold(&self, source: &dyn FrameSource) -> bool {
        !self.done && source.is_cold(&self.entries[self.packed..])
    }

    /// The next part; `None` if there is none.
    ///
    /// # Errors
    /// As [`FrameSource::frames`]; there is no further part then.
    pub fn next(
        &mut self,
        source: &dyn FrameSource,
        max_bytes: usize,
    ) -> Result<Option<Packed>, LogError> {
        if self.done {
            return Ok(None);
        }
        // Until a part has been made and something is left of the rest.
        self.done = true;
        if self.entries.is_empty() {
            return Ok(Some(Packed::new(&self.message, Vec::new())));
        }
        let Some(frames) = source.frames(&self.entries[self.packed..], max_bytes)? else {
            return Ok(None);
        };
        let Some(last) = frames
            .last()
            .map(|frame| (frame.header.index, frame.header.term))
        else {
            return Ok(None);
        };
        self.packed += frames.len();
        self.done = self.packed >= self.entries.len();
        let packed = Packed::new(&self.message, frames);
        (self.message.index, self.message.log_term) = last;
        Ok(Some(packed))
    }
}

/// What one connection takes: messages of one sender to one receiver, of one stream, no longer than a limit.
#[derive(Debug, Clone, Copy)]
pub struct Intake {
    /// Who speaks on it.
    pub from: ReplicaId,
    /// Who reads it.
    pub to: ReplicaId,
    /// Which stream it is.
    pub stream: PeerStream,
    /// Longest message, bytes.
    pub limit: usize,
}

impl Intake {
    /// Read a head: what follows it, and how much memory it will take, is known then.
    ///
    /// # Errors
    /// [`PeerCodecError`], as [`PeerHead::decode`].
    pub fn head(&self, head: &[u8; HEAD_BYTES]) -> Result<PeerHead, PeerCodecError> {
        PeerHead::decode(head, self.limit)
    }

    /// The message of a head and of what followed it; `None` for one that only says that its sender lives.
    ///
    /// # Errors
    /// [`PeerCodecError`], as [`PeerHead::finish`], or if the message does not belong on this stream.
    pub fn finish(
        &self,
        head: PeerHead,
        rest: &Bytes,
    ) -> Result<Option<PeerMessage>, PeerCodecError> {
        let message = head.finish(rest)?;
        if message.from != self.from || message.to != self.to || message.stream() != self.stream {
            return Err(PeerCodecError::Foreign);
        }
        Ok((!is_sign_of_life(&message)).then_some(message))
    }
}

/// What a stream says that has nothing to say.
pub fn sign_of_life(from: ReplicaId, to: ReplicaId) -> PeerMessage {
    PeerMessage::status(from, to, Bytes::new())
}

fn is_sign_of_life(message: &PeerMessage) -> bool {
    message.kind == PeerKind::Status && message.context.is_empty()
}
