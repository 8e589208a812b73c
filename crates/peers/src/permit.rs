//! How much of what a peer says may wait in memory to be acted upon.
//!
//! On *bulk* a message waits in its socket until there is room for it, and so, in the end, at its sender: nothing is
//! dropped for being too much. What is said on *control* is small and repeated, and must not wait: beyond a number of
//! messages it is refused.

use std::sync::Arc;

use hashbrown::HashMap;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_replication::PeerStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages of one peer's control stream that may wait.
const CONTROL_MESSAGES: usize = 1024;

static TOO_MANY: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "peer message dropped, 1024 on its control stream wait already",
);

/// Leave for a message to wait in memory until it has been acted upon; dropping it gives the room back.
///
/// It goes with the message from thread to thread, and is kept until nothing of the message is held any more.
#[derive(Debug, Default)]
pub struct MessagePermit(Option<OwnedSemaphorePermit>);

impl MessagePermit {
    /// A permit that stands for no room, for messages that did not come from a stream.
    pub fn none() -> Self {
        Self::default()
    }

    /// Bytes (*bulk*) or messages (*control*) that it stands for.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The room of each peer's streams. It is the peer's, not the connection's: one that connects anew gets no more.
pub(crate) struct MessagePermits {
    bulk_bytes: usize,
    free: HashMap<(u32, PeerStream), Arc<Semaphore>>,
}

impl MessagePermits {
    pub fn new(peers: impl Iterator<Item = u32>, bulk_bytes: usize) -> Self {
        let bulk_bytes = bulk_bytes.min(Semaphore::MAX_PERMITS);
        let free = peers
            .flat_map(|peer| {
                [
                    (PeerStream::Bulk, bulk_bytes),
                    (PeerStream::Control, CONTROL_MESSAGES),
                ]
                .map(|(peer_stream, size)| ((peer, peer_stream), Arc::new(Semaphore::new(size))))
            })
            .collect();
        Self { bulk_bytes, free }
    }

    /// A permit for a message of so many bytes. On *bulk* it is waited for; on *control*, `None` if there is no room.
    pub async fn take(
        &self,
        peer: u32,
        peer_stream: PeerStream,
        bytes: usize,
    ) -> Option<MessagePermit> {
        let free = Arc::clone(self.free.get(&(peer, peer_stream))?);
        let permit = match peer_stream {
            // One message may be larger than little room: it then takes all of it, so that it can ever come in.
            PeerStream::Bulk => {
                let bytes = u32::try_from(bytes.min(self.bulk_bytes)).unwrap_or(u32::MAX);
                free.acquire_many_owned(bytes).await.ok()
            }
            PeerStream::Control => free.try_acquire_owned().ok(),
        };
        if permit.is_none() {
            TOO_MANY.log(peer, stream_name(peer_stream));
        }
        permit.map(|permit| MessagePermit(Some(permit)))
    }
}

fn stream_name(peer_stream: PeerStream) -> &'static str {
    match peer_stream {
        PeerStream::Control => "control",
        PeerStream::Bulk => "bulk",
    }
}
