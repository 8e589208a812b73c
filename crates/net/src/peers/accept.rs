//! The receiving side: accept, open, read; a new connection of a peer replaces its old one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hashbrown::HashMap;
use parking_lot::Mutex;
use socket2::SockRef;
use tern_replication::{HEAD_BYTES, Intake, Lane, PeerCodecError, PeerMessage, replica_number};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::handshake::{self, Failed, Opened};
use super::{PeerRefusal, Room, Shared};
use crate::complaint::Complaint;

static REFUSED: Complaint = Complaint::new("peer connection refused");
static BAD_MESSAGE: Complaint = Complaint::new("bad peer message, connection closed");

/// Longest message on *control*, where messages that wait are counted and not weighed.
const CONTROL_LIMIT: usize = 64 << 10;

/// What one read takes: several small messages, where they came together. A larger message goes past this buffer.
const READ_AHEAD: usize = 16 << 10;

/// Time for a message to arrive whole, once its first byte has.
const MESSAGE_TIME: Duration = Duration::from_secs(10);

/// Tasks that read from peers.
#[derive(Default)]
pub(super) struct Accepted {
    readers: Mutex<HashMap<(u32, Lane), AbortHandle>>,
    open: AtomicUsize,
}

impl Accepted {
    pub fn close(&self) {
        for (_, reader) in self.readers.lock().drain() {
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
    socket.listen(64)
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
        if accepted.open.fetch_add(1, Ordering::Relaxed) >= shared.options.max_connections {
            accepted.open.fetch_sub(1, Ordering::Relaxed);
            REFUSED.say(address, "too many connections to the peers' port");
            continue;
        }
        let (shared, accepted) = (Arc::clone(&shared), Arc::clone(&accepted));
        let reading = serve(shared, stream, address, Arc::clone(&accepted));
        tokio::spawn(async move {
            let counted = Counted(accepted);
            reading.await;
            drop(counted);
        });
    }
}

/// Counts a connection down when its task ends, also when it is aborted.
struct Counted(Arc<Accepted>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(
    shared: Arc<Shared>,
    mut stream: TcpStream,
    address: SocketAddr,
    accepted: Arc<Accepted>,
) {
    let limit = shared.options.handshake_limit;
    let opened = match timeout(limit, shake(&shared, &mut stream, address)).await {
        Ok(Ok(opened)) => opened,
        Ok(Err(failed)) => return refused(&shared, address, &failed),
        Err(_) => return REFUSED.say(address, "the handshake took too long"),
    };
    let number = replica_number(opened.hello.id);
    shared.events.connected(number, &opened.hello);
    for lane in [Lane::Control, Lane::Bulk] {
        if let Some(queue) = shared.lanes.get(&(number, lane)) {
            queue.awake.notify_one();
        }
    }
    let key = (number, opened.lane);
    let reader = tokio::spawn(read(shared, stream, opened));
    if let Some(older) = accepted.readers.lock().insert(key, reader.abort_handle()) {
        older.abort();
    }
    // The end of a reader, or its being replaced, is all there is to know here.
    let _ = reader.await;
}

async fn shake(
    shared: &Shared,
    stream: &mut TcpStream,
    address: SocketAddr,
) -> Result<Opened, Failed> {
    tune(stream, shared.options.silence * 2)?;
    let secret = shared.options.secret.as_deref();
    if secret.is_none() && !address.ip().is_loopback() {
        return Err(Failed::ByUs(PeerRefusal::NotAuthenticated, None));
    }
    let own = shared.events.hello();
    handshake::accept(stream, &own, secret, |theirs| {
        shared.events.judge(theirs, 0)
    })
    .await
}

fn refused(shared: &Shared, address: SocketAddr, failed: &Failed) {
    match *failed {
        Failed::Io => {}
        Failed::ByUs(why, number) => {
            REFUSED.say(address, why);
            if let Some(number) = number {
                shared.events.refused(number, false, why);
            }
        }
        Failed::ByThem(why) => REFUSED.say(address, format_args!("it refuses us: {why}")),
    }
}

async fn read(shared: Arc<Shared>, stream: TcpStream, opened: Opened) {
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let (peer, lane) = (replica_number(opened.hello.id), opened.lane);
    let most = shared.options.message_limit;
    let intake = Intake {
        from: opened.hello.id,
        to: shared.events.hello().id,
        lane,
        limit: match lane {
            Lane::Control => CONTROL_LIMIT.min(most),
            Lane::Bulk => most,
        },
    };
    let address = opened.hello.client_address;
    loop {
        // A peer says something on control in every third of this time (L43); bulk may be quiet for long.
        let heard = match lane {
            Lane::Control => timeout(shared.options.silence, stream.fill_buf()).await,
            Lane::Bulk => Ok(stream.fill_buf().await),
        };
        if !matches!(heard, Ok(Ok(bytes)) if !bytes.is_empty()) {
            return;
        }
        match next(&shared, &mut stream, peer, &intake).await {
            Ok(Some((message, room))) => shared.events.message(message, room),
            Ok(None) => {}
            Err(Broken::Bad(why)) => return BAD_MESSAGE.say(address, why),
            Err(Broken::Io | Broken::Slow) => return,
        }
    }
}

enum Broken {
    Io,
    Slow,
    Bad(PeerCodecError),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// The next message and its room; none for one that says nothing or for which there is no room.
///
/// A message is never given up in the middle and then gone on with: the rest would be read as a head.
async fn next(
    shared: &Shared,
    stream: &mut BufReader<TcpStream>,
    peer: u32,
    intake: &Intake,
) -> Result<Option<(PeerMessage, Room)>, Broken> {
    let mut head = [0; HEAD_BYTES];
    whole(stream.read_exact(&mut head)).await?;
    let head = intake.head(&head).map_err(Broken::Bad)?;
    // Here, and not behind the queue of what was received, it waits for those before it (A4).
    let room = shared
        .rooms
        .take(peer, intake.lane, head.held_bytes())
        .await;
    let rest = whole(rest_of(stream, head.context_len + head.frames_len)).await?;
    let message = intake.finish(head, &rest).map_err(Broken::Bad)?;
    Ok(message.zip(room))
}

/// What has begun to arrive must arrive whole within a time.
async fn whole<T>(reading: impl Future<Output = io::Result<T>>) -> Result<T, Broken> {
    match timeout(MESSAGE_TIME, reading).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(Broken::Slow),
    }
}

/// So many bytes, in one buffer of that length: one that grows is copied, and what is cut off it may be longer than
/// all that the room was taken for.
async fn rest_of(stream: &mut BufReader<TcpStream>, need: usize) -> io::Result<Bytes> {
    let mut rest = BytesMut::with_capacity(need);
    while rest.len() < need {
        let mut some = (&mut *stream).take((need - rest.len()) as u64);
        if some.read_buf(&mut rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(rest.freeze())
}
