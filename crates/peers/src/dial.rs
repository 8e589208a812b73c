//! The sending side: dial, open, write; again when it breaks.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tern_journal::{Level, Logger, RateLimitedLog};
use tern_log::LogError;
use tern_net::{Stream, connect};
use tern_replication::{
    Packed, Packer, PeerMessage, PeerRefusal, PeerStream, RaftMember, replica_id, replica_number,
    sign_of_life,
};
use tokio::time::timeout;

use crate::accept::tune;
use crate::evidence::Evidence;
use crate::handshake::{self, Failed};
use crate::shared::PeersShared;
use crate::stream_queue::StreamQueue;

static REFUSED: RateLimitedLog =
    RateLimitedLog::new(Logger::Net, Level::Warning, "peer connection refused");

/// Pauses between two attempts; a peer that was heard of is dialled at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A stream that lived for longer than this is dialled anew without a pause: whether that is refused tells whether the
/// peer is gone.
const LIVED: Duration = Duration::from_millis(500);
/// Time without progress after which a *bulk* stream is dialled anew in any case.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Below this, messages are copied into one buffer and one write.
const COPY_LIMIT: usize = 64 << 10;

/// Runs for as long as the replica does.
pub(crate) async fn run(shared: Arc<PeersShared>, peer: RaftMember, peer_stream: PeerStream) {
    let queue = &shared.queues[&(peer.number, peer_stream)];
    let mut pause = SHORTEST_PAUSE;
    loop {
        let opening = open(&shared, &peer, peer_stream);
        match timeout(shared.options.handshake_limit, opening).await {
            Ok(Ok(stream)) => {
                let begun = Instant::now();
                carry(&shared, &peer, peer_stream, stream).await;
                pause = SHORTEST_PAUSE;
                if begun.elapsed() > LIVED {
                    continue;
                }
            }
            Ok(Err(Failed::NobodyThere)) => shared.note(peer.number, Evidence::refused),
            Ok(Err(failed)) => refused(&shared, &peer, &failed),
            Err(_) => {}
        }
        let _ = timeout(pause, queue.awake.notified()).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Writes to a stream until it breaks.
async fn carry(
    shared: &Arc<PeersShared>,
    peer: &RaftMember,
    peer_stream: PeerStream,
    stream: Stream,
) {
    let queue = &shared.queues[&(peer.number, peer_stream)];
    let open = queue.open();
    let ended = tokio::select! {
        ended = write(shared, peer, peer_stream, stream) => ended,
        () = queue.cut.notified() => Err(io::ErrorKind::TimedOut.into()),
    };
    drop(open);
    if peer_stream == PeerStream::Control && is_time_out(&ended) {
        // Bulk would wait longer for what a cut network does not bring (D14).
        shared.queues[&(peer.number, PeerStream::Bulk)]
            .cut
            .notify_waiters();
    }
    shared.events.disconnected(peer.number);
}

/// How long bytes may go without an acknowledgement, or a receiver without room for them, before the stream counts as
/// broken. On *control* that is a cut network (D14). On *bulk* it may as well be a receiver that has as much as it may
/// hold and a slow disk: such a stream is kept, and cut when *control* is.
fn unacknowledged(peer_stream: PeerStream, silence: Duration) -> Duration {
    match peer_stream {
        PeerStream::Control => silence * 2,
        PeerStream::Bulk => LONGEST_WAIT.max(silence * 2),
    }
}

fn is_time_out<T>(ended: &io::Result<T>) -> bool {
    matches!(ended, Err(error) if error.kind() == io::ErrorKind::TimedOut)
}

async fn open(
    shared: &Arc<PeersShared>,
    peer: &RaftMember,
    peer_stream: PeerStream,
) -> Result<Stream, Failed> {
    let Some(address) = shared.address(peer) else {
        return Err(Failed::Io);
    };
    let confirmed = shared.events.confirmed(peer.number);
    // The name is resolved again at each attempt.
    let connecting = connect(&address).await;
    let mut stream = connecting.map_err(|error| not_connected(error.kind()))?;
    tune(&stream, unacknowledged(peer_stream, shared.options.silence))?;
    let own = shared.events.hello();
    let secret = shared.options.secret.as_deref();
    let opened = handshake::dial(&mut stream, peer_stream, &own, secret, |theirs| {
        shared.judge(theirs, confirmed)
    })
    .await?;
    if replica_number(opened.hello.id) != peer.number {
        return Err(Failed::ByUs(PeerRefusal::UnknownMember, None));
    }
    shared.evidence[&peer.number].lock().answered();
    shared.events.connected(peer.number, &opened.hello);
    Ok(stream)
}

/// Whether a dial shows that no process listens. A time-out shows nothing, and neither does a connection that ends in
/// its handshake: a port with too many strangers does that.
fn not_connected(kind: io::ErrorKind) -> Failed {
    match kind {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Failed::NobodyThere,
        _ => Failed::Io,
    }
}

fn refused(shared: &PeersShared, peer: &RaftMember, failed: &Failed) {
    let (by_them, why) = match *failed {
        Failed::Io | Failed::NobodyThere => return,
        Failed::ByUs(why, _) => (false, why),
        Failed::ByThem(why) => (true, why),
    };
    let side = if by_them { "refuses us" } else { "is refused" };
    let address = shared.address(peer).unwrap_or_default();
    REFUSED.log(address, format_args!("{} {side}: {why}", peer.id));
    shared.events.refused(peer.number, by_them, why);
}

/// Writes what is queued; an empty status now and then shows that this side lives.
async fn write(
    shared: &Arc<PeersShared>,
    peer: &RaftMember,
    peer_stream: PeerStream,
    stream: Stream,
) -> io::Result<()> {
    let queue = &shared.queues[&(peer.number, peer_stream)];
    let quiet = (peer_stream == PeerStream::Control).then_some(shared.options.silence / 3);
    let stream = Arc::new(stream);
    let mut small = Vec::with_capacity(8 << 10);
    loop {
        let Some(messages) = queue.take_or_lend(&stream, &mut small)? else {
            match wait(queue, &stream, quiet).await {
                Idle::Over => continue,
                Idle::Readable => {}
                Idle::Quiet => say_something(shared, peer.number, queue, quiet),
            }
            look_at_end(queue, &stream)?;
            continue;
        };
        for message in messages {
            let bytes = message.held_bytes();
            write_message(shared, queue, &stream, &mut small, message).await?;
            queue.written(bytes);
        }
        stream.write_whole(&small).await?;
        small.clear();
    }
}

/// Unless a sender has done so meanwhile.
fn say_something(shared: &PeersShared, peer: u32, queue: &StreamQueue, quiet: Option<Duration>) {
    if quiet.is_some_and(|quiet| queue.quiet_for() >= quiet) {
        let own = shared.events.hello().id;
        // Refused only by a queue that is full, and then the stream is not quiet.
        queue.push(sign_of_life(own, replica_id(peer, 1)));
        queue.send(&*shared.source);
    }
}

/// Why a stream without messages is looked at.
#[derive(PartialEq, Eq)]
enum Idle {
    /// Messages wait.
    Over,
    /// The other side did something: it can only have closed.
    Readable,
    /// Nothing was said for this long.
    Quiet,
}

async fn wait(queue: &StreamQueue, stream: &Stream, quiet: Option<Duration>) -> Idle {
    let event = async {
        tokio::select! {
            () = queue.filled.notified() => Idle::Over,
            _ = stream.readable() => Idle::Readable,
        }
    };
    match quiet {
        Some(quiet) => timeout(quiet.saturating_sub(queue.quiet_for()), event)
            .await
            .unwrap_or(Idle::Quiet),
        None => event.await,
    }
}

/// Nothing is ever received on this side; what can be read is the end of the stream.
fn look_at_end(queue: &StreamQueue, stream: &Stream) -> io::Result<()> {
    let ended = match stream.try_read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => error,
        Ok(_) => io::ErrorKind::ConnectionReset.into(),
    };
    // A sender that met the error first has left only its end to be read.
    Err(queue.take_broken().unwrap_or(ended))
}

/// The next part of a message. Old frames are read on a thread that may wait for a disk; no more than one at a time for
/// each stream, and so for each peer.
async fn next_part(
    shared: &Arc<PeersShared>,
    mut parts: Packer,
) -> io::Result<(Packer, Result<Option<Packed>, LogError>)> {
    let max_bytes = shared.options.append_bytes;
    if !parts.is_cold(&*shared.source) {
        let next = parts.next(&*shared.source, max_bytes);
        return Ok((parts, next));
    }
    let shared = Arc::clone(shared);
    let read = move || {
        let next = parts.next(&*shared.source, max_bytes);
        (parts, next)
    };
    // It fails if it panics, or if the process stops.
    tokio::task::spawn_blocking(read)
        .await
        .map_err(io::Error::other)
}

/// Writes one message, which may become several. Small parts are gathered in `small`, to leave with what follows.
async fn write_message(
    shared: &Arc<PeersShared>,
    queue: &StreamQueue,
    stream: &Stream,
    small: &mut Vec<u8>,
    message: PeerMessage,
) -> io::Result<()> {
    let mut parts = Packer::new(message);
    loop {
        let next = next_part(shared, parts).await?;
        parts = next.0;
        let packed = match next.1 {
            Ok(Some(packed)) => packed,
            Ok(None) => return Ok(()),
            Err(error) => {
                shared.events.damaged(error);
                return Ok(());
            }
        };
        small.extend_from_slice(&packed.head);
        if packed.frames_len <= COPY_LIMIT {
            for frame in &packed.frames {
                small.extend_from_slice(&frame.bytes);
            }
        } else {
            queue.hold(packed.frames_len);
            stream.write_whole(small).await?;
            small.clear();
            for frame in &packed.frames {
                stream.write_whole(&frame.bytes).await?;
            }
            queue.written(packed.frames_len);
        }
        if small.len() >= COPY_LIMIT {
            stream.write_whole(small).await?;
            small.clear();
        }
    }
}
