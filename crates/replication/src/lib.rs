//! Who may append, and what is committed.
//!
//! Everything here is pure: no clock, no socket, no file, no randomness. The caller brings ticks, messages
//! and notices of written and durable frames, and carries out the [`Work`] that comes back. Two strategies
//! stand behind one trait: [`Solo`] (one replica, committed when it is durable) and [`Raft`] (the `raft`
//! crate, committed when a majority holds it). No type of the `raft` crate leaves the module `engine`.

mod engine;
mod entry;
mod hello;
mod member;
mod membership;
mod packing;
mod peer;
mod solo;
mod strategy;

pub use engine::{Raft, RaftOptions, TICK_MS, Timing};
pub use entry::{EntrySource, ThinEntry};
pub use hello::{Hello, PeerRefusal, Phase};
pub use member::{MemberIdError, RaftMember, ReplicaId, member_number, replica_id, replica_number};
pub use membership::{
    Configuration, MAX_MEMBERS, MemberRecord, Membership, MembershipFormatError, MembershipRefusal,
    MembershipStep, Newcomer,
};
pub use packing::{FrameSource, Intake, Packed, Packer, sign_of_life};
pub use peer::{
    HEAD_BYTES, MessageKind, PeerCodecError, PeerHead, PeerKind, PeerMessage, PeerStream,
    decode_frames,
};
pub use solo::Solo;
pub use strategy::{
    AppendRejected, HardState, Persisted, Progress, Replication, Role, Status, StepError, Work,
};
