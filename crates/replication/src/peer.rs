//! What replicas say to each other: a fixed layout, read before any byte of it is trusted.
//!
//! | off | size | field | | off | size | field |
//! |--:|--:|---|---|--:|--:|---|
//! | 0 | 4 | total length, head included | | 56 | 8 | commit term |
//! | 4 | 1 | kind: 0 raft, 1 status | | 64 | 8 | reject hint |
//! | 5 | 1 | message type (ten are allowed) | | 72 | 8 | requested snapshot index |
//! | 6 | 2 | flags (bit 0: reject), head version 1 | | 80 | 8 | priority |
//! | 8 | 16 | from, to | | 88 | 4 | context length |
//! | 24 | 8 | term | | 92 | 8 | frames length, frame count |
//! | 32 | 16 | index, log term | | 100 | 4 | CRC32C of bytes 0..100 and the context |
//! | 48 | 8 | commit | | 104 | … | context, then raw frames, back to back |
//!
//! Big-endian. Frames carry their own checksums; each is header and payload, without padding.

use crate::entry::ThinEntry;
use crate::member::ReplicaId;
use bytes::Bytes;
use tern_log::{Descriptor, Frame, FrameHeader, FrameKind};
use thiserror::Error;

/// Length of the fixed part, bytes.
pub const HEAD_BYTES: usize = 104;

const HEAD_VERSION: u8 = 1;
const FLAG_REJECT: u8 = 1;

/// Family of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerKind {
    /// For the consensus engine.
    Raft,
    /// Founding and other exchanges between replicas; the context carries it.
    Status,
}

/// The ten message types that the engine may be given from outside. Anything else is refused by the codec:
/// proposals, transfers and read requests from the wire would be obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MessageKind {
    Append = 1,
    AppendAnswer = 2,
    Vote = 3,
    VoteAnswer = 4,
    PreVote = 5,
    PreVoteAnswer = 6,
    Heartbeat = 7,
    HeartbeatAnswer = 8,
    Snapshot = 9,
    TimeoutNow = 10,
}

impl MessageKind {
    const ALL: [Self; 10] = [
        Self::Append,
        Self::AppendAnswer,
        Self::Vote,
        Self::VoteAnswer,
        Self::PreVote,
        Self::PreVoteAnswer,
        Self::Heartbeat,
        Self::HeartbeatAnswer,
        Self::Snapshot,
        Self::TimeoutNow,
    ];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Which of the two streams to a peer carries a message (L40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerStream {
    /// Heartbeats, votes, transfer, status: never behind bulk data.
    Control,
    /// Appends and their answers: all that touches progress, in one order.
    Bulk,
}

/// One message between two replicas.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerMessage {
    /// Family.
    pub kind: PeerKind,
    /// Type inside the family `Raft`; ignored for others.
    pub message: MessageKind,
    /// Sender.
    pub from: ReplicaId,
    /// Receiver.
    pub to: ReplicaId,
    /// The Raft paper's and the engine's fields.
    pub term: u64,
    /// Index before the entries, or the index an answer speaks of.
    pub index: u64,
    /// Term at `index`.
    pub log_term: u64,
    /// Sender's commit index.
    pub commit: u64,
    /// Term at the commit index, in vote messages.
    pub commit_term: u64,
    /// The answer is no.
    pub reject: bool,
    /// Where the receiver's log ends, in refusals.
    pub reject_hint: u64,
    /// Index from which a snapshot is asked for.
    pub request_snapshot: u64,
    /// Priority of a candidate.
    pub priority: i64,
    /// Opaque bytes: read contexts, status payloads.
    pub context: Bytes,
    /// Entries of an append, without bytes. The sender's transport reads their frames from the log by
    /// (index, term); the receiver's transport makes them from the frames' headers.
    pub entries: Vec<ThinEntry>,
    /// The frames of the entries, on the receiving side.
    pub frames: Vec<Frame>,
}

impl PeerMessage {
    /// An empty message of the engine's family.
    pub fn raft(message: MessageKind, from: ReplicaId, to: ReplicaId) -> Self {
        Self {
            kind: PeerKind::Raft,
            message,
            from,
            to,
            term: 0,
            index: 0,
            log_term: 0,
            commit: 0,
            commit_term: 0,
            reject: false,
            reject_hint: 0,
            request_snapshot: 0,
            priority: 0,
            context: Bytes::new(),
            entries: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// A status message: only the context speaks.
    pub fn status(from: ReplicaId, to: ReplicaId, context: Bytes) -> Self {
        Self {
            kind: PeerKind::Status,
            context,
            ..Self::raft(MessageKind::Heartbeat, from, to)
        }
    }

    /// Bytes of memory that it holds, roughly and not less.
    pub fn held_bytes(&self) -> usize {
        let frames: usize = self.frames.iter().map(|frame| frame.bytes.len()).sum();
        size_of::<Self>()
            + self.context.len()
            + frames
            + self.entries.len() * size_of::<ThinEntry>()
            + self.frames.len() * size_of::<Frame>()
    }

    /// The stream that carries it.
    pub fn stream(&self) -> PeerStream {
        match (self.kind, self.message) {
            (
                PeerKind::Raft,
                MessageKind::Append | MessageKind::AppendAnswer | MessageKind::Snapshot,
            ) => PeerStream::Bulk,
            _ => PeerStream::Control,
        }
    }

    /// Head and context, ready for the wire; the frames follow as they are.
    ///
    /// # Panics
    /// If the message is longer than 4 GiB: the transport splits appends long before.
    pub fn encode_head(&self, frame_count: u32, frames_len: u32) -> Vec<u8> {
        let total = HEAD_BYTES + self.context.len() + frames_len as usize;
        let mut out = Vec::with_capacity(HEAD_BYTES + self.context.len());
        out.extend_from_slice(
            &u32::try_from(total)
                .expect("appends are split")
                .to_be_bytes(),
        );
        out.push(match self.kind {
            PeerKind::Raft => 0,
            PeerKind::Status => 1,
        });
        out.push(self.message as u8);
        out.push(if self.reject { FLAG_REJECT } else { 0 });
        out.push(HEAD_VERSION);
        for value in [
            self.from,
            self.to,
            self.term,
            self.index,
            self.log_term,
            self.commit,
            self.commit_term,
            self.reject_hint,
            self.request_snapshot,
            self.priority.cast_unsigned(),
        ] {
            out.extend_from_slice(&value.to_be_bytes());
        }
        out.extend_from_slice(&(self.context.len() as u32).to_be_bytes());
        out.extend_from_slice(&frames_len.to_be_bytes());
        out.extend_from_slice(&frame_count.to_be_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out), &self.context);
        out.extend_from_slice(&crc.to_be_bytes());
        out.extend_from_slice(&self.context);
        out
    }
}

/// Why bytes from a peer were refused; the connection is closed then and dialled anew.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PeerCodecError {
    /// Lengths contradict each other or exceed the limit.
    #[error("peer message claims {claimed} bytes, {limit} are allowed")]
    Length {
        /// What the head says.
        claimed: u64,
        /// What is allowed here.
        limit: u64,
    },
    /// Kind, type or version is not one we know.
    #[error("peer message of unknown kind {kind}, type {message}, version {version}")]
    Unknown {
        /// Family byte.
        kind: u8,
        /// Type byte.
        message: u8,
        /// Head version.
        version: u8,
    },
    /// Damaged on the way.
    #[error("peer message fails its checksum")]
    Checksum,
    /// It does not belong on the stream that carried it.
    #[error("peer message speaks for somebody else, or is on the wrong stream")]
    Foreign,
    /// A frame inside an append is not what its message says.
    #[error("frames of a peer message do not fit it: {0}")]
    Frames(String),
}

/// A decoded head: the lengths of what follows are known and checked.
#[derive(Debug, Clone)]
pub struct PeerHead {
    message: PeerMessage,
    head: [u8; HEAD_BYTES],
    /// Bytes of context that follow the head.
    pub context_len: usize,
    /// Bytes of frames that follow the context.
    pub frames_len: usize,
    frame_count: usize,
}

impl PeerHead {
    /// Read a head; `limit` bounds the whole message, checked before anything is allocated.
    ///
    /// # Errors
    /// [`PeerCodecError`]; the checksum is looked at in [`PeerHead::finish`], as it covers the context.
    pub fn decode(head: &[u8; HEAD_BYTES], limit: usize) -> Result<Self, PeerCodecError> {
        let u32_at =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        let (total, context_len, frames_len) = (u32_at(0), u32_at(88), u32_at(92));
        let sum = HEAD_BYTES as u64 + u64::from(context_len) + u64::from(frames_len);
        if u64::from(total) != sum || sum > limit as u64 {
            return Err(PeerCodecError::Length {
                claimed: sum.max(u64::from(total)),
                limit: limit as u64,
            });
        }
        let unknown = PeerCodecError::Unknown {
            kind: head[4],
            message: head[5],
            version: head[7],
        };
        let kind = match head[4] {
            0 => PeerKind::Raft,
            1 => PeerKind::Status,
            _ => return Err(unknown),
        };
        let (Some(message), HEAD_VERSION) = (MessageKind::from_byte(head[5]), head[7]) else {
            return Err(unknown);
        };
        let message = PeerMessage {
            kind,
            term: u64_at(24),
            index: u64_at(32),
            log_term: u64_at(40),
            commit: u64_at(48),
            commit_term: u64_at(56),
            reject: head[6] & FLAG_REJECT != 0,
            reject_hint: u64_at(64),
            request_snapshot: u64_at(72),
            priority: u64_at(80).cast_signed(),
            ..PeerMessage::raft(message, u64_at(8), u64_at(16))
        };
        Ok(Self {
            message,
            head: *head,
            context_len: context_len as usize,
            frames_len: frames_len as usize,
            frame_count: u32_at(96) as usize,
        })
    }

    /// Bytes of memory that the whole message will hold, as [`PeerMessage::held_bytes`]; known before it is received.
    pub fn held_bytes(&self) -> usize {
        let most = self.frames_len / tern_log::FRAME_HEADER_SIZE;
        size_of::<PeerMessage>()
            + self.context_len
            + self.frames_len
            + self.frame_count.min(most) * (size_of::<ThinEntry>() + size_of::<Frame>())
    }

    /// Complete the message with what followed the head: context and frames in one buffer.
    ///
    /// # Errors
    /// [`PeerCodecError`] if a checksum fails or the frames are not a run behind the message's index.
    pub fn finish(self, rest: &Bytes) -> Result<PeerMessage, PeerCodecError> {
        let context = rest.slice(..self.context_len);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&self.head[..100]), &context);
        if crc.to_be_bytes() != self.head[100..104] {
            return Err(PeerCodecError::Checksum);
        }
        let mut message = self.message;
        message.context = context;
        message.frames = decode_frames(&rest.slice(self.context_len..), self.frame_count)?;
        check_run(&message)?;
        message.entries = message.frames.iter().map(|f| thin(&f.header)).collect();
        Ok(message)
    }
}

/// Split raw frames, each checked in full: header, chain field, payload, record sizes.
///
/// # Errors
/// [`PeerCodecError::Frames`] naming what is wrong.
pub fn decode_frames(bytes: &Bytes, count: usize) -> Result<Vec<Frame>, PeerCodecError> {
    let mut frames = Vec::with_capacity(count.min(bytes.len() / tern_log::FRAME_HEADER_SIZE));
    let mut at = 0;
    while at < bytes.len() {
        let refused = |why: String| PeerCodecError::Frames(why);
        let header = bytes
            .get(at..at + tern_log::FRAME_HEADER_SIZE)
            .ok_or_else(|| refused("a header is cut off".to_owned()))?;
        let header = FrameHeader::decode(header).map_err(|e| refused(e.to_string()))?;
        let end = at + header.total_length as usize;
        if end > bytes.len() {
            return Err(refused("a frame is cut off".to_owned()));
        }
        frames.push(Frame::parse(bytes.slice(at..end)).map_err(|e| refused(e.to_string()))?);
        at = end;
    }
    if frames.len() != count {
        return Err(PeerCodecError::Frames(format!(
            "{count} announced, {} found",
            frames.len()
        )));
    }
    Ok(frames)
}

fn check_run(message: &PeerMessage) -> Result<(), PeerCodecError> {
    if message.message != MessageKind::Append && !message.frames.is_empty() {
        return Err(PeerCodecError::Frames(
            "only an append carries frames".to_owned(),
        ));
    }
    let (mut index, mut term) = (message.index, message.log_term);
    let mut chain = None;
    for frame in &message.frames {
        let header = &frame.header;
        let chained = chain.is_none_or(|crc| header.previous_header_crc == crc);
        if header.index != index + 1 || header.term < term || !chained {
            return Err(PeerCodecError::Frames(format!(
                "frame {} of term {} does not follow {index} of term {term}",
                header.index, header.term
            )));
        }
        (index, term, chain) = (header.index, header.term, Some(header.header_crc));
    }
    Ok(())
}

fn thin(header: &FrameHeader) -> ThinEntry {
    ThinEntry {
        index: header.index,
        term: header.term,
        kind: header.kind,
        descriptor: (header.kind == FrameKind::Batch).then(|| Descriptor::from(header)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(message: &PeerMessage) -> [u8; HEAD_BYTES] {
        message.encode_head(0, 0)[..HEAD_BYTES].try_into().unwrap()
    }

    #[test]
    fn a_message_without_frames_survives_the_round_trip() {
        let mut sent = PeerMessage::raft(MessageKind::VoteAnswer, 7 << 32, 9 << 32);
        (sent.term, sent.index, sent.log_term, sent.commit) = (5, 44, 4, 40);
        (sent.commit_term, sent.reject, sent.reject_hint) = (3, true, 41);
        (sent.request_snapshot, sent.priority) = (2, -1);
        sent.context = Bytes::from_static(b"context");
        let head = PeerHead::decode(&head_of(&sent), 4096).unwrap();
        let got = head.finish(&Bytes::from_static(b"context")).unwrap();
        assert_eq!(got, sent);
    }

    #[test]
    fn a_damaged_head_or_context_is_refused() {
        let mut sent = PeerMessage::raft(MessageKind::Heartbeat, 1, 2);
        sent.context = Bytes::from_static(b"12345678");
        for at in 8..100 {
            let mut head = head_of(&sent);
            head[at] ^= 0x10;
            let decoded = PeerHead::decode(&head, 4096)
                .and_then(|h| h.finish(&Bytes::from_static(b"12345678")));
            assert!(decoded.is_err(), "byte {at}");
        }
        let head = PeerHead::decode(&head_of(&sent), 4096).unwrap();
        assert_eq!(
            head.finish(&Bytes::from_static(b"12345679")),
            Err(PeerCodecError::Checksum)
        );
    }

    #[test]
    fn a_lying_length_is_refused_before_anything_is_read() {
        let mut head = head_of(&PeerMessage::raft(MessageKind::Append, 1, 2));
        head[92..96].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(
            PeerHead::decode(&head, 1 << 20),
            Err(PeerCodecError::Length { .. })
        ));
    }

    #[test]
    fn only_the_ten_types_of_the_engine_pass() {
        for byte in 0..=255_u8 {
            let mut head = head_of(&PeerMessage::raft(MessageKind::Append, 1, 2));
            head[5] = byte;
            let known = (1..=10).contains(&byte);
            let refused = matches!(
                PeerHead::decode(&head, 4096),
                Err(PeerCodecError::Unknown { .. })
            );
            assert_eq!(refused, !known, "type {byte}");
        }
    }
}
