//! The opening of a connection between two replicas.
//!
//! 1. dialler: magic `TERNPEER` (8), version 1 (u16), stream (u8), nonce (32), hello length (u16), hello
//! 2. acceptor: verdict (u8, 0 accepted), nonce (32), hello length (u16), hello, proof (32)
//! 3. dialler: verdict (u8), proof (32)
//!
//! A proof is HMAC-SHA256 with the cluster secret over a role byte, both openings and the verdict, so that it
//! cannot be replayed or turned round; 32 zeros where there is no secret. It protects the opening only.

use std::io;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tern_net::Stream;
use tern_replication::{Hello, PeerRefusal, PeerStream, replica_number};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MAGIC: &[u8; 8] = b"TERNPEER";
const VERSION: u16 = 1;
const NONCE: usize = 32;
const PROOF: usize = 32;
/// Names and addresses are short; a longer hello is none.
const HELLO_LIMIT: usize = 2048;

/// How an opening ended without a connection.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The connection broke.
    Io,
    /// There was none: nobody listens.
    NobodyThere,
    /// We refuse the other side, which said this of itself if it got so far.
    ByUs(PeerRefusal, Option<u32>),
    /// The other side refuses us, and has proven who it is.
    ByThem(PeerRefusal),
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// What the other end has proven to be, and which stream it is.
#[derive(Debug)]
pub(crate) struct HandshakeResult {
    pub hello: Hello,
    pub peer_stream: PeerStream,
}

/// Opens as the side that dialled.
pub(crate) async fn dial(
    stream: &mut Stream,
    peer_stream: PeerStream,
    own: &Hello,
    secret: Option<&[u8]>,
    judge: impl Fn(&Hello) -> Result<(), PeerRefusal>,
) -> Result<HandshakeResult, Failed> {
    let nonce = nonce()?;
    let mut opening = Vec::with_capacity(256);
    opening.extend_from_slice(MAGIC);
    opening.extend_from_slice(&VERSION.to_be_bytes());
    opening.push(stream_byte(peer_stream));
    opening.extend_from_slice(&nonce);
    put_hello(&mut opening, own);
    stream.write_all(&opening).await?;

    let mut answer = read_some(stream, 1 + NONCE + 2).await?;
    let hello = read_hello(stream, &mut answer).await?;
    let proof = read_some(stream, PROOF).await?;
    check(secret, b'A', &[&opening, &answer], &proof).map_err(|why| Failed::ByUs(why, None))?;
    let theirs = PeerRefusal::of_byte(answer[0]);
    let ours = judge(&hello);
    let mut last = vec![ours.err().map_or(0, PeerRefusal::byte)];
    last.extend_from_slice(&prove(secret, b'D', &[&opening, &answer, &last]));
    stream.write_all(&last).await?;
    theirs.map_err(Failed::ByThem)?;
    ours.map_err(|why| Failed::ByUs(why, None))?;
    Ok(HandshakeResult { hello, peer_stream })
}

/// What a dialler says of itself in the first message, without proof.
pub(crate) struct OpeningMessage {
    bytes: Vec<u8>,
    hello: Hello,
    peer_stream: PeerStream,
    verdict: Result<(), PeerRefusal>,
}

impl OpeningMessage {
    /// Whether only the proof is missing.
    pub fn is_acceptable(&self) -> bool {
        self.verdict.is_ok()
    }
}

/// Reads the first message, as the side that was dialled.
pub(crate) async fn hear(
    stream: &mut Stream,
    judge: impl Fn(&Hello) -> Result<(), PeerRefusal>,
) -> Result<OpeningMessage, Failed> {
    let protocol = || Failed::ByUs(PeerRefusal::Protocol, None);
    // The magic comes first and alone, so that a port scan is told nothing and costs nothing.
    let mut bytes = read_some(stream, MAGIC.len()).await?;
    if bytes != MAGIC {
        return Err(protocol());
    }
    let fixed = read_some(stream, 2 + 1 + NONCE + 2).await?;
    bytes.extend_from_slice(&fixed);
    if fixed[..2] != VERSION.to_be_bytes() {
        return Err(protocol());
    }
    let peer_stream = match fixed[2] {
        0 => PeerStream::Control,
        1 => PeerStream::Bulk,
        _ => return Err(protocol()),
    };
    let hello = read_hello(stream, &mut bytes).await?;
    Ok(OpeningMessage {
        verdict: judge(&hello),
        bytes,
        hello,
        peer_stream,
    })
}

/// Answers the first message and checks the proof that comes back.
pub(crate) async fn answer(
    stream: &mut Stream,
    opening: OpeningMessage,
    own: &Hello,
    secret: Option<&[u8]>,
) -> Result<HandshakeResult, Failed> {
    let OpeningMessage {
        bytes: opening,
        hello,
        peer_stream,
        verdict: ours,
    } = opening;
    let mut answer = vec![ours.err().map_or(0, PeerRefusal::byte)];
    answer.extend_from_slice(&nonce()?);
    put_hello(&mut answer, own);
    let proof = prove(secret, b'A', &[&opening, &answer]);
    stream.write_all(&[&answer[..], &proof].concat()).await?;

    let number = replica_number(hello.id);
    let last = read_some(stream, 1 + PROOF).await?;
    check(secret, b'D', &[&opening, &answer, &last[..1]], &last[1..])
        .map_err(|why| Failed::ByUs(why, Some(number)))?;
    ours.map_err(|why| Failed::ByUs(why, Some(number)))?;
    PeerRefusal::of_byte(last[0]).map_err(Failed::ByThem)?;
    Ok(HandshakeResult { hello, peer_stream })
}

fn stream_byte(peer_stream: PeerStream) -> u8 {
    match peer_stream {
        PeerStream::Control => 0,
        PeerStream::Bulk => 1,
    }
}

fn nonce() -> Result<[u8; NONCE], Failed> {
    let mut nonce = [0; NONCE];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| Failed::Io)?;
    Ok(nonce)
}

fn put_hello(out: &mut Vec<u8>, hello: &Hello) {
    let hello = hello.encode();
    out.extend_from_slice(&(hello.len() as u16).to_be_bytes());
    out.extend_from_slice(&hello);
}

/// Reads a hello whose length stands at the end of `before`, and appends it there.
async fn read_hello(stream: &mut Stream, before: &mut Vec<u8>) -> Result<Hello, Failed> {
    let protocol = || Failed::ByUs(PeerRefusal::Protocol, None);
    let at = before.len() - 2;
    let len = usize::from(u16::from_be_bytes([before[at], before[at + 1]]));
    if len > HELLO_LIMIT {
        return Err(protocol());
    }
    let bytes = read_some(stream, len).await?;
    before.extend_from_slice(&bytes);
    Hello::decode(&bytes).ok_or_else(protocol)
}

async fn read_some(stream: &mut Stream, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

fn prove(secret: Option<&[u8]>, role: u8, parts: &[&[u8]]) -> [u8; PROOF] {
    let Some(secret) = secret else {
        return [0; PROOF];
    };
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(&[role]);
    for part in parts {
        context.update(part);
    }
    let mut proof = [0; PROOF];
    proof.copy_from_slice(context.sign().as_ref());
    proof
}

fn check(
    secret: Option<&[u8]>,
    role: u8,
    parts: &[&[u8]],
    proof: &[u8],
) -> Result<(), PeerRefusal> {
    let Some(secret) = secret else {
        let none = proof.iter().all(|byte| *byte == 0);
        return if none {
            Ok(())
        } else {
            Err(PeerRefusal::NotAuthenticated)
        };
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let signed = [&[role][..], &parts.concat()].concat();
    hmac::verify(&key, &signed, proof).map_err(|_| PeerRefusal::NotAuthenticated)
}
