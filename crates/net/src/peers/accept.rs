//! The receiving side: accept, and open; a new connection of a peer replaces its old one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::Mutex;
use socket2::SockRef;
use tern_replication::{PeerStream, replica_number};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::handshake::{self, Failed, Opened};
use super::read::{End, read};
use super::strangers::Strangers;
use super::{PeerOptions, PeerRefusal, Shared};
use crate::complaint::Complaint;
use crate::journal::{Level, Logger};

static REFUSED: Complaint = Complaint::new(Logger::Net, Level::Warning, "peer connection refused");
static TURNED_OUT: Complaint = Complaint::new(
    Logger::Net,
    Level::Warning,
    "too many strangers at the peers' port, one had to go for",
);

/// Connections that the kernel completes before they are accepted. With few, a flood makes it drop a member's, which
/// then tries again after a second.
const BACKLOG: u32 = 1024;

/// Tasks of the connections to this port.
pub(super) struct Accepted {
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

/// Opens the port; an address that a stopped process left behind can be used again at once.
pub(super) fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// No delay, and no longer waiting than this for an acknowledgement.
pub(super) fn tune(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(unacknowledged))
}

/// Accepts until it is aborted.
pub(super) async fn run(shared: Arc<Shared>, listener: TcpListener, accepted: Arc<Accepted>) {
    loop {
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let gone = accepted.strangers.lock().enter(address.ip(), |number| {
            let place = Place {
                accepted: Arc::clone(&accepted),
                number,
            };
            let serving = serve(Arc::clone(&shared), stream, address, place);
            tokio::spawn(serving).abort_handle()
        });
        if let Some(gone) = gone {
            gone.abort();
            TURNED_OUT.say(address, "a newer one");
        }
    }
}

/// A stranger's place; given up when its task ends, also when it is aborted.
struct Place {
    accepted: Arc<Accepted>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.accepted.strangers.lock().leave(self.number);
    }
}

/// One handshake. What comes of it is a reader that has its member's place.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream, address: SocketAddr, place: Place) {
    let limit = shared.options.handshake_limit;
    let opened = match timeout(limit, shake(&shared, &mut stream, address, &place)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(failed)) => return refused(&shared, address, &failed),
        Err(_) => return REFUSED.say(address, "the handshake took too long"),
    };
    let accepted = Arc::clone(&place.accepted);
    drop(place);
    let number = replica_number(opened.hello.id);
    shared.events.connected(number, &opened.hello);
    begin(&shared, &accepted, stream, opened);
    for lane in [PeerStream::Control, PeerStream::Bulk] {
        shared.lanes[&(number, lane)].awake.notify_one();
    }
}

/// The order in which streams replace each other is the order of their numbers.
fn begin(shared: &Arc<Shared>, accepted: &Accepted, stream: TcpStream, opened: Opened) {
    let (peer, lane) = (replica_number(opened.hello.id), opened.lane);
    let mut held = accepted.readers.lock();
    let Some(readers) = held.as_mut() else {
        return;
    };
    let number = shared.evidence[&peer].lock().accepted(lane);
    let reading = Arc::clone(shared);
    let reader = tokio::spawn(async move {
        match read(&reading, stream, opened).await {
            End::Theirs => reading.ended(peer, lane, number),
            End::Ours => reading.evidence[&peer].lock().closed(lane, number),
        }
    });
    if let Some(older) = readers.insert((peer, lane), reader.abort_handle()) {
        older.abort();
    }
}

async fn shake(
    shared: &Shared,
    stream: &mut TcpStream,
    address: SocketAddr,
    place: &Place,
) -> Result<Opened, Failed> {
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
        place.accepted.strangers.lock().introduce(place.number);
    }
    let own = shared.events.hello();
    handshake::answer(stream, opening, &own, secret).await
}

fn refused(shared: &Shared, address: SocketAddr, failed: &Failed) {
    match *failed {
        Failed::Io | Failed::NobodyThere => {}
        Failed::ByUs(why, number) => {
            REFUSED.say(address, why);
            if let Some(number) = number {
                shared.events.refused(number, false, why);
            }
        }
        Failed::ByThem(why) => REFUSED.say(address, format_args!("it refuses us: {why}")),
    }
}
