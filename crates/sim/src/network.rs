//! A network that drops, delays, doubles and cuts. Messages travel as the bytes that a socket would carry.

use bytes::Bytes;
use tern_log::{Frame, LogReader};
use tern_replication::{HEAD_BYTES, Lane, PeerHead, PeerMessage, replica_number};

use crate::random::Random;

/// Microseconds.
pub type Micros = u64;

/// How the network behaves at the moment.
#[derive(Debug, Clone)]
pub struct Weather {
    /// Messages lost, percent.
    pub loss: u64,
    /// Messages that come twice, percent.
    pub doubles: u64,
    /// Control messages that overtake others, percent.
    pub overtakes: u64,
    /// Least and greatest delay.
    pub delay: (Micros, Micros),
    /// Directed pairs that are cut: from, to.
    pub cuts: Vec<(usize, usize)>,
}

impl Weather {
    /// Nothing is lost, delays are short.
    pub fn fair() -> Self {
        Self {
            loss: 0,
            doubles: 0,
            overtakes: 0,
            delay: (50, 500),
            cuts: Vec::new(),
        }
    }

    /// Whether nothing gets from one machine to another.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cuts.contains(&(from, to))
    }

    /// When a message arrives; `None` if it is lost.
    pub fn arrival(
        &self,
        now: Micros,
        from: usize,
        to: usize,
        random: &mut Random,
    ) -> Option<Micros> {
        if self.is_cut(from, to) || random.chance(self.loss) {
            return None;
        }
        Some(now + random.between(self.delay.0, self.delay.1))
    }
}

/// One message on its way, and the lives of both ends that the stream belongs to.
#[derive(Debug, Clone)]
pub struct Packet {
    pub from: usize,
    pub to: usize,
    pub lives: (u64, u64),
    pub lane: Lane,
    pub bytes: Bytes,
}

/// What the transport of a process does when it writes a message: appends get their frames from the log as it is now, and
/// are dropped if it no longer holds them.
pub fn pack(
    mut message: PeerMessage,
    lives: (u64, u64),
    reader: Option<&LogReader>,
) -> Option<Packet> {
    let (from, to) = (node_of(message.from), node_of(message.to));
    let lane = message.lane();
    let entries = std::mem::take(&mut message.entries);
    let mut frames: Vec<Frame> = Vec::new();
    while frames.len() < entries.len() {
        let next = entries[frames.len()].index;
        match reader.and_then(|reader| reader.frames(next, 1 << 20).ok()) {
            Some(some) => frames.extend(some),
            _ => break,
        }
    }
    let fitting = frames.iter().zip(&entries).take_while(|(frame, entry)| {
        frame.header.index == entry.index && frame.header.term == entry.term
    });
    let fitting = fitting.count();
    frames.truncate(fitting);
    if !entries.is_empty() && frames.is_empty() {
        return None;
    }
    let length: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    let mut bytes = message.encode_head(frames.len() as u32, length as u32);
    for frame in &frames {
        bytes.extend_from_slice(&frame.bytes);
    }
    Some(Packet {
        from,
        to,
        lives,
        lane,
        bytes: bytes.into(),
    })
}

/// What the receiving end does.
pub fn unpack(packet: &Packet) -> PeerMessage {
    let head: &[u8; HEAD_BYTES] = packet.bytes[..HEAD_BYTES].try_into().expect("packed whole");
    PeerHead::decode(head, 64 << 20)
        .and_then(|head| head.finish(&packet.bytes.slice(HEAD_BYTES..)))
        .expect("nothing damages a packet here")
}

/// Nodes are counted from 0, replica numbers from 1.
pub fn node_of(replica: u64) -> usize {
    replica_number(replica) as usize - 1
}
