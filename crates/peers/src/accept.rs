//! The receiving side: accept, and open; a new connection of a peer replaces its old one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::{ListeningSocket, Stream};
use tern_replication::{PeerRefusal, PeerStream, replica_number};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::handshake::{self, Failed, HandshakeResult};
use crate::options::PeerOptions;
use crate::read::{StreamEnd, read};
use crate::shared::PeersShared;
use crate::strangers::Strangers;

static REFUSED: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Warning, "peer connection refused");
static TURNED_OUT: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "too many strangers at the peers' port, one had to go for",
);

/// Tasks of the connections to this port.
pub(crate) struct Accepted {
    strangers: Mutex<Strangers<AbortHandle>>,
    /// None once it is closed: a handshake that ends then begins nothing.
    readers: Mutex<Option<HashMap<(u32, PeerStream), AbortHandle>>>,
}

impl Accepted {
    pub fn new(options: &PeerOptions) -> Self {
        let strangers = Strangers::new(options.strangers, options.strangers_of_address);
        Self {
            strangers: Mutex::new(strangers),
            readers: Mutex::new(Some(HashMap::new())),
        }
    }

    pub fn close(&self) {
        let strangers: Vec<AbortHandle> = self.strangers.lock().clear().collect();
        for task in strangers {
            task.abort();
        }
        for (_, reader) in self.readers.lock().take().into_iter().flatten() {
            reader.abort();
        }
    }
}

/// No delay, and no longer waiting than this for an acknowledgement.
pub(crate) fn tune(stream: &Stream, unacknowledged: Duration) -> io::Result<()> {
    stream.set_nodelay()?;
    stream.set_user_timeout(unacknowledged)
}

/// Accepts until it is aborted.
pub(crate) async fn run(shared: Arc<PeersShared>, port: ListeningSocket, accepted: Arc<Accepted>) {
    loop {
        let Ok((stream, address)) = port.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let gone = accepted.strangers.lock().enter(address.ip(), |number| {
            let slot = StrangerSlot {
                accepted: Arc::clone(&accepted),
                number,
            };
            let serving = serve(Arc::clone(&shared), stream, address, slot);
            tokio::spawn(serving).abort_handle()
        });
        if let Some(gone) = gone {
            gone.abort();
            TURNED_OUT.log(address, "a newer one");
        }
    }
}

/// A stranger's slot; given up when its task ends, also when it is aborted.
struct StrangerSlot {
    accepted: Arc<Accepted>,
    number: u64,
}

impl Drop for StrangerSlot {
    fn drop(&mut self) {
        self.accepted.strangers.lock().leave(self.number);
    }
}

/// One handshake. What comes of it is a reader that has its member's slot.
async fn serve(
    shared: Arc<PeersShared>,
    mut stream: Stream,
    address: SocketAddr,
    slot: StrangerSlot,
) {
    let limit = shared.options.handshake_limit;
    let opened = match timeout(limit, shake(&shared, &mut stream, address, &slot)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(failed)) => return refused(&shared, address, &failed),
        Err(_) => return REFUSED.log(address, "the handshake took too long"),
    };
    let accepted = Arc::clone(&slot.accepted);
    drop(slot);
    let number = replica_number(opened.hello.id);
    shared.heard(&opened.hello);
    shared.events.connected(number, &opened.hello);
    begin(&shared, &accepted, stream, opened);
    for peer_stream in [PeerStream::Control, PeerStream::Bulk] {
        shared.queues[&(number, peer_stream)].awake.notify_one();
    }
}

/// The order in which streams replace each other is the order of their numbers.
fn begin(shared: &Arc<PeersShared>, accepted: &Accepted, stream: Stream, opened: HandshakeResult) {
    let (peer, peer_stream) = (replica_number(opened.hello.id), opened.peer_stream);
    let mut held = accepted.readers.lock();
    let Some(readers) = held.as_mut() else {
        return;
    };
    let runtime = shared.runtime(peer_stream);
    let Ok(stream) = stream.moved_to(runtime) else {
        // No descriptor is left to watch it with; the peer dials again.
        return;
    };
    let number = shared.evidence[&peer].lock().accepted(peer_stream);
    let reading = Arc::clone(shared);
    let reader = runtime.spawn(async move {
        match read(&reading, stream, opened).await {
            StreamEnd::Theirs => reading.ended(peer, peer_stream, number),
            StreamEnd::Ours => reading.evidence[&peer].lock().closed(peer_stream, number),
        }
    });
    if let Some(older) = readers.insert((peer, peer_stream), reader.abort_handle()) {
        older.abort();
    }
}

async fn shake(
    shared: &PeersShared,
    stream: &mut Stream,
    address: SocketAddr,
    slot: &StrangerSlot,
) -> Result<HandshakeResult, Failed> {
    tune(stream, shared.options.silence * 2)?;
    let secret = shared.options.secret.as_deref();
    if secret.is_none() && !address.ip().is_loopback() {
        return Err(Failed::ByUs(PeerRefusal::NotAuthenticated, None));
    }
    let hearing = handshake::hear(stream, |theirs| shared.judge(theirs, 0));
    let opening = timeout(shared.options.opening_limit, hearing)
        .await
        .map_err(|_| Failed::Io)??;
    if opening.is_acceptable() {
        slot.accepted.strangers.lock().introduce(slot.number);
    }
    let own = shared.events.hello();
    handshake::answer(stream, opening, &own, secret).await
}

fn refused(shared: &PeersShared, address: SocketAddr, failed: &Failed) {
    match *failed {
        Failed::Io | Failed::NobodyThere => {}
        Failed::ByUs(why, number) => {
            REFUSED.log(address, why);
            if let Some(number) = number {
                shared.events.refused(number, false, why);
            }
        }
        Failed::ByThem(why) => REFUSED.log(address, format_args!("it refuses us: {why}")),
    }
}
