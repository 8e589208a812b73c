//! Reading what a peer says on one of the streams that it has dialled.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tern_journal::{Level, Logger, RateLimitedLog};
use tern_net::Stream;
use tern_replication::{
    HEAD_BYTES, Intake, PeerCodecError, PeerMessage, PeerStream, replica_number,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::timeout;

use crate::handshake::HandshakeResult;
use crate::permit::MessagePermit;
use crate::shared::PeersShared;

static BAD_MESSAGE: RateLimitedLog = RateLimitedLog::new(
    Logger::Net,
    Level::Warning,
    "bad peer message, connection closed",
);

/// Longest message on *control*, where messages that wait are counted and not weighed.
const CONTROL_LIMIT: usize = 64 << 10;

/// What one read takes: several small messages, where they came together. A larger message goes past this buffer.
const READ_AHEAD: usize = 16 << 10;

/// Time for a message to arrive whole, once its first byte has.
const MESSAGE_TIME: Duration = Duration::from_secs(10);

/// Why reading a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The peer's kernel ended it, and everything that came before was handed over.
    Theirs,
    /// This side gives it up: for silence, or for what came on it.
    Ours,
}

/// Reads until the stream ends or is given up.
pub(crate) async fn read(
    shared: &PeersShared,
    stream: Stream,
    opened: HandshakeResult,
) -> StreamEnd {
    let mut stream = BufReader::with_capacity(READ_AHEAD, stream);
    let (peer, peer_stream) = (replica_number(opened.hello.id), opened.peer_stream);
    let most = shared.options.message_limit;
    let intake = Intake {
        from: opened.hello.id,
        to: shared.events.hello().id,
        stream: peer_stream,
        limit: match peer_stream {
            PeerStream::Control => CONTROL_LIMIT.min(most),
            PeerStream::Bulk => most,
        },
    };
    let address = opened.hello.client_address;
    loop {
        match next(shared, &mut stream, peer, &intake).await {
            Ok(Some((message, room))) => shared.events.message(message, room),
            Ok(None) => {}
            Err(Broken::Bad(why)) => {
                BAD_MESSAGE.log(address, why);
                return StreamEnd::Ours;
            }
            // A time-out of the own kernel says as little of the peer as one of our own.
            Err(Broken::Silent | Broken::Io(io::ErrorKind::TimedOut)) => return StreamEnd::Ours,
            Err(Broken::Io(_)) => return StreamEnd::Theirs,
        }
    }
}

enum Broken {
    Io(io::ErrorKind),
    Silent,
    Bad(PeerCodecError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// The next message and its room; none for one that says nothing or for which there is no room.
///
/// A message is never given up in the middle and then gone on with: the rest would be read as a head.
async fn next(
    shared: &PeersShared,
    stream: &mut BufReader<Stream>,
    peer: u32,
    intake: &Intake,
) -> Result<Option<(PeerMessage, MessagePermit)>, Broken> {
    // A peer says something on control in every third of this time (L43); bulk may be quiet for long.
    match intake.stream {
        PeerStream::Control => within(shared.options.silence, stream.fill_buf()).await?,
        PeerStream::Bulk => stream.fill_buf().await?,
    };
    let mut head = [0; HEAD_BYTES];
    whole(stream.read_exact(&mut head)).await?;
    let head = intake.head(&head).map_err(Broken::Bad)?;
    // Here, and not behind the queue of what was received, it waits for those before it (L45).
    let room = shared
        .rooms
        .take(peer, intake.stream, head.held_bytes())
        .await;
    let rest = whole(rest_of(stream, head.context_len + head.frames_len)).await?;
    let message = intake.finish(head, &rest).map_err(Broken::Bad)?;
    Ok(message.zip(room))
}

/// What has begun to arrive must arrive whole within a time.
async fn whole<T>(reading: impl Future<Output = io::Result<T>>) -> Result<T, Broken> {
    within(MESSAGE_TIME, reading).await
}

async fn within<T>(
    limit: Duration,
    reading: impl Future<Output = io::Result<T>>,
) -> Result<T, Broken> {
    match timeout(limit, reading).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(Broken::Silent),
    }
}

/// So many bytes, in one buffer of that length: one that grows is copied, and what is cut off it may be longer than
/// all that the room was taken for.
async fn rest_of(stream: &mut BufReader<Stream>, need: usize) -> io::Result<Bytes> {
    let mut rest = BytesMut::with_capacity(need);
    while rest.len() < need {
        let mut some = (&mut *stream).take((need - rest.len()) as u64);
        if some.read_buf(&mut rest).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(rest.freeze())
}
