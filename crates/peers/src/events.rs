//! What the streams ask of their replica, and tell it.

use tern_log::LogError;
use tern_replication::{Hello, PeerMessage, PeerRefusal};

use crate::permit::MessagePermit;

/// What the streams tell their replica. Called on the net threads; must not block.
pub trait PeerEvents: Send + Sync + 'static {
    /// What this replica says of itself, fresh for each handshake.
    fn hello(&self) -> Hello;
    /// What a member has confirmed to this replica and cannot show less than. Asked before the member is dialled.
    fn confirmed(&self, peer: u32) -> u64;
    /// Whether a peer that says this of itself may be connected. Both sides judge; `confirmed` is what was known before
    /// the peer was asked, 0 where it spoke first.
    ///
    /// # Errors
    /// The refusal, which the peer is told.
    fn judge(&self, theirs: &Hello, confirmed: u64) -> Result<(), PeerRefusal>;
    /// A message whose checksums all hold; in order within a stream. Its room is given back when it is dropped, and until
    /// then the stream may have to wait: it goes with the message to the thread that acts on it.
    fn message(&self, message: PeerMessage, room: MessagePermit);
    /// A peer passed the handshake.
    fn connected(&self, peer: u32, theirs: &Hello);
    /// What was on its way to a peer may be lost.
    fn disconnected(&self, peer: u32);
    /// A peer's process is gone, by all that can be known here: its kernel ended both streams that it had dialled, and a
    /// dial to it is refused. Told once until it connects again, and behind everything that came on those streams.
    fn gone(&self, peer: u32);
    /// A handshake ended in a refusal, by them or by us.
    fn refused(&self, peer: u32, by_them: bool, why: PeerRefusal);
    /// A frame of the own log that a peer needs cannot be read: the peer does not get it from this replica.
    fn damaged(&self, error: LogError);
}
