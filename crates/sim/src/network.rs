//! A network that drops, delays, doubles and cuts. Messages travel as the bytes that a socket would carry.

use bytes::Bytes;
use tern_log::{Frame, LogError, LogReader};
use tern_replication::{
    FrameSource, HEAD_BYTES, Intake, Packer, PeerMessage, PeerStream, ReplicaId, ThinEntry,
    replica_number,
};

use crate::random::Random;

/// Longest message: the whole of an append travels as one packet.
const MESSAGE_LIMIT: usize = 64 << 20;

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
    /// The ids of both.
    pub ids: (ReplicaId, ReplicaId),
    pub lives: (u64, u64),
    pub stream: PeerStream,
    pub bytes: Bytes,
}

/// What the transport of a process does when it writes a message: an append gets its frames from the log as it is now,
/// is split into packets of about `append_bytes`, and is dropped where the log no longer holds them. The error is the
/// log's, if it holds a frame and cannot read it; what was packed before it leaves.
pub fn pack(
    message: PeerMessage,
    lives: (u64, u64),
    reader: Option<&LogReader>,
    append_bytes: usize,
) -> (Vec<Packet>, Option<LogError>) {
    let (from, to, stream) = (node_of(message.from), node_of(message.to), message.stream());
    let ids = (message.from, message.to);
    let source: &dyn FrameSource = match reader {
        Some(reader) => reader,
        None => &NoLog,
    };
    let mut parts = Packer::new(message);
    let mut packets = Vec::new();
    loop {
        let packed = match parts.next(source, append_bytes) {
            Ok(Some(packed)) => packed,
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        };
        let mut bytes = packed.head;
        for frame in &packed.frames {
            bytes.extend_from_slice(&frame.bytes);
        }
        packets.push(Packet {
            from,
            to,
            ids,
            lives,
            stream,
            bytes: bytes.into(),
        });
    }
}

/// What the receiving end does.
pub fn unpack(packet: &Packet) -> PeerMessage {
    let intake = Intake {
        from: packet.ids.0,
        to: packet.ids.1,
        stream: packet.stream,
        limit: MESSAGE_LIMIT,
    };
    let head: &[u8; HEAD_BYTES] = packet.bytes[..HEAD_BYTES].try_into().expect("packed whole");
    intake
        .head(head)
        .and_then(|head| intake.finish(head, &packet.bytes.slice(HEAD_BYTES..)))
        .expect("nothing damages a packet here")
        .expect("only streams that have nothing to say give signs of life")
}

/// A replica that has no log yet.
struct NoLog;

impl FrameSource for NoLog {
    fn frames(&self, _: &[ThinEntry], _: usize) -> Result<Option<Vec<Frame>>, LogError> {
        Ok(None)
    }

    fn held_frames(&self, _: &[ThinEntry], _: usize) -> Option<Vec<Frame>> {
        None
    }

    fn is_cold(&self, _: &[ThinEntry]) -> bool {
        false
    }
}

/// Nodes are counted from 0, replica numbers from 1.
pub fn node_of(replica: u64) -> usize {
    replica_number(replica) as usize - 1
}
