//! Reading frames from one connection.
//!
//! What the socket has is read into one buffer per thread and copied out at its exact size, so that an idle connection
//! holds no buffer and a small body that a handler keeps does not hold a large one. A frame that does not fit into one
//! read grows a buffer of its own, by what has arrived, and is charged to the budget as it grows.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tern_wire::{Command, FrameError, FrameLimits, decode_frame, frame_length};
use tokio::io::{AsyncRead, ReadBuf};

use crate::budget::Credit;
use crate::connection::{Connection, now_ms};
use crate::stream::ReadHalf;
use crate::turns::Turns;

/// What one read takes at most, and the largest frame that is received without a buffer of its own.
const READ_BYTES: usize = 64 * 1024;
/// First size of a large frame's own buffer.
const LARGE_STEP_BYTES: usize = 256 * 1024;
/// Length field and header word of a frame.
const PREFIX_BYTES: usize = 8;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// Takes the frames of a connection: a server's handler, or a client's calls.
pub(crate) trait Frames {
    /// Takes one frame; called in the reader, so it must not block.
    fn frame(&self, connection: &Arc<Connection>, command: Command, credit: Credit);
    /// Takes a request for which the budget had no room; its body was dropped.
    fn no_room(&self, connection: &Arc<Connection>, command: Command);
}

/// How a connection is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) limits: FrameLimits,
    /// Time for a frame to be complete, whatever its size.
    pub(crate) frame_grace: Duration,
    /// A peer that sends slower than this many bytes a second beyond the grace is cut off.
    pub(crate) frame_pace: u64,
    /// How long a request waits for the budget before it is refused.
    pub(crate) patience: Duration,
    /// Queued answers above which no further requests are read.
    pub(crate) outbound_watermark: usize,
}

/// Why a connection is not read any more.
#[derive(Debug)]
pub(crate) enum ReadEnd {
    /// The peer closed or reset it, or we closed it.
    Closed,
    BadFrame(FrameError),
    /// The budget had no room for a frame whose header had not even arrived.
    NoRoom,
}

impl From<FrameError> for ReadEnd {
    fn from(error: FrameError) -> Self {
        Self::BadFrame(error)
    }
}

impl From<io::Error> for ReadEnd {
    /// A reset is a way to hang up.
    fn from(_: io::Error) -> Self {
        Self::Closed
    }
}

/// Reads frames until the connection ends.
pub(crate) async fn read_frames(
    connection: &Arc<Connection>,
    stream: ReadHalf,
    frames: &impl Frames,
    reading: &Reading,
) -> ReadEnd {
    let mut reader = FrameReader {
        connection,
        stream,
        frames,
        reading,
        waiting: BytesMut::new(),
        began_ms: 0,
        turns: Turns::new(),
    };
    loop {
        if let Err(end) = reader.turn().await {
            return end;
        }
    }
}

struct FrameReader<'a, F> {
    connection: &'a Arc<Connection>,
    stream: ReadHalf,
    frames: &'a F,
    reading: &'a Reading,
    /// The beginning of a frame whose end has not arrived.
    waiting: BytesMut,
    /// When that frame began to arrive; 0 without one.
    began_ms: u64,
    turns: Turns,
}

/// What stands between the received bytes and the handler.
enum Obstacle {
    /// The last frame is not complete.
    Incomplete,
    /// Too many requests of this connection are in flight.
    InFlight,
    /// The budget has no room for the next frame, of this many bytes.
    Budget(usize),
    /// The peer has not taken its answers.
    Answers,
    /// It is the turn of others.
    Turn,
}

impl<F: Frames> FrameReader<'_, F> {
    /// Reads once and hands on every frame that this completes.
    async fn turn(&mut self) -> Result<(), ReadEnd> {
        let mut received = self.receive().await?;
        loop {
            let obstacle = self.hand_on(&mut received)?;
            if let Obstacle::Incomplete = obstacle {
                break;
            }
            // The peer is not to blame for the time that we take.
            self.connection.frame_due(0);
            match obstacle {
                Obstacle::Incomplete => {}
                Obstacle::Turn => self.turns.give_way().await,
                Obstacle::InFlight => self.connection.load.fell_below_limit().await,
                Obstacle::Answers => {
                    let watermark = self.reading.outbound_watermark;
                    self.connection.outbound.fell_to(watermark).await;
                }
                Obstacle::Budget(size) => self.wait_for_budget(&mut received, size).await?,
            }
            if !self.connection.is_open() {
                return Err(ReadEnd::Closed);
            }
        }
        self.keep(&received)?;
        if let Some(size) = self.size_of_large()? {
            self.receive_large(size).await?;
        }
        Ok(())
    }

    /// Reads what the socket has, behind what waits already.
    async fn receive(&mut self) -> Result<Bytes, ReadEnd> {
        let waiting = &mut self.waiting;
        let stream = &mut self.stream;
        let received = poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                Pin::new(&mut *stream)
                    .poll_read(cx, &mut buffer)
                    .map_ok(|()| match buffer.filled() {
                        [] => None,
                        filled if waiting.is_empty() => Some(Bytes::copy_from_slice(filled)),
                        filled => {
                            waiting.extend_from_slice(filled);
                            Some(std::mem::take(waiting).freeze())
                        }
                    })
            })
        })
        .await?;
        self.connection.touch();
        received.ok_or(ReadEnd::Closed)
    }

    /// Hands on complete frames, with their answers held back until all are through or something is in the way.
    fn hand_on(&mut self, received: &mut Bytes) -> Result<Obstacle, ReadEnd> {
        self.connection.outbound.cork();
        let obstacle = loop {
            match self.next(received) {
                Ok(Ok((command, credit))) => self.frames.frame(self.connection, command, credit),
                Ok(Err(obstacle)) => break Ok(obstacle),
                Err(error) => break Err(ReadEnd::BadFrame(error)),
            }
        };
        // Also before a wait and before the end: the answers are due, and a peer may send no more until it has them.
        self.connection.outbound.uncork();
        self.connection.flush();
        obstacle
    }

    /// Takes the next frame off `received`, unless something is in the way.
    fn next(
        &mut self,
        received: &mut Bytes,
    ) -> Result<Result<(Command, Credit), Obstacle>, FrameError> {
        let Some(size) = self.size(received)?.filter(|size| received.len() >= *size) else {
            return Ok(Err(Obstacle::Incomplete));
        };
        if self.turns.is_over() {
            return Ok(Err(Obstacle::Turn));
        }
        if self.connection.load.is_full() {
            return Ok(Err(Obstacle::InFlight));
        }
        if self.connection.outbound.progress().0 > self.reading.outbound_watermark {
            return Ok(Err(Obstacle::Answers));
        }
        let mut credit = Credit::new(&self.connection.load);
        if !credit.try_grow_to(size) {
            return Ok(Err(Obstacle::Budget(size)));
        }
        credit.enter();
        self.turns.count();
        Ok(Ok((self.take(received, size)?, credit)))
    }

    fn take(&mut self, received: &mut Bytes, size: usize) -> Result<Command, FrameError> {
        self.began_ms = 0;
        let mut frame = received.split_to(size);
        frame.advance(4);
        decode_frame(frame, &self.reading.limits)
    }

    /// Bytes of the frame that starts here, its length field included, if that much is known.
    fn size(&self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        match bytes.first_chunk::<4>() {
            Some(length) => Ok(Some(4 + frame_length(*length, &self.reading.limits)?)),
            None => Ok(None),
        }
    }

    /// Waits for room for the complete frame that comes next; refuses it if there is none in time.
    async fn wait_for_budget(&mut self, received: &mut Bytes, size: usize) -> Result<(), ReadEnd> {
        let mut credit = Credit::new(&self.connection.load);
        let granted = credit.grow_to(size, self.reading.patience).await;
        let command = self.take(received, size)?;
        if granted {
            credit.enter();
            self.frames.frame(self.connection, command, credit);
        } else {
            self.frames.no_room(self.connection, command);
        }
        Ok(())
    }

    /// Keeps the beginning of a frame for the next read, and says when its end must have come.
    fn keep(&mut self, rest: &[u8]) -> Result<(), ReadEnd> {
        if rest.is_empty() {
            self.connection.frame_due(0);
            return Ok(());
        }
        if self.began_ms == 0 {
            self.began_ms = now_ms();
        }
        let announced = self.size(rest)?.unwrap_or(0);
        self.connection
            .frame_due(self.began_ms.saturating_add(self.time_for(announced)));
        self.waiting.extend_from_slice(rest);
        Ok(())
    }

    fn time_for(&self, announced: usize) -> u64 {
        let beyond = announced as u64 * 1000 / self.reading.frame_pace.max(1);
        u64::try_from(self.reading.frame_grace.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(beyond)
    }

    /// The size of the frame that waits, if it needs a buffer of its own.
    fn size_of_large(&self) -> Result<Option<usize>, ReadEnd> {
        Ok(self.size(&self.waiting)?.filter(|size| *size > READ_BYTES))
    }

    /// Receives a large frame to its end and hands it on.
    async fn receive_large(&mut self, size: usize) -> Result<(), ReadEnd> {
        let mut credit = Credit::new(&self.connection.load);
        let mut frame = std::mem::take(&mut self.waiting);
        while frame.len() < size {
            check_prefix(&frame, size, &self.reading.limits)?;
            if frame.len() == frame.capacity() || credit.bytes() == 0 {
                let room = size.min(LARGE_STEP_BYTES.max(frame.len() * 2));
                if !credit.grow_to(room, self.reading.patience).await {
                    drop(credit);
                    return self.refuse_large(frame, size).await;
                }
                frame = moved_into(frame, room);
            }
            self.receive_into(&mut frame, size).await?;
        }
        self.connection.frame_due(0);
        let mut frame = frame.freeze();
        let command = self.take(&mut frame, size)?;
        while self.connection.load.is_full() && self.connection.is_open() {
            self.connection.load.fell_below_limit().await;
        }
        credit.enter();
        self.frames.frame(self.connection, command, credit);
        Ok(())
    }

    /// Reads into the room that `frame` has, not beyond `size`.
    async fn receive_into(&mut self, frame: &mut BytesMut, size: usize) -> Result<(), ReadEnd> {
        let mut room = frame.limit(size.min(frame.capacity()) - frame.len());
        let count = tokio::io::AsyncReadExt::read_buf(&mut self.stream, &mut room).await?;
        self.connection.touch();
        if count == 0 {
            Err(ReadEnd::Closed)
        } else {
            Ok(())
        }
    }

    /// Lets a frame pass by without keeping its body, and has it refused.
    async fn refuse_large(&mut self, frame: BytesMut, size: usize) -> Result<(), ReadEnd> {
        let mut left = size - frame.len();
        let header_end = PREFIX_BYTES + header_length(&frame).ok_or(ReadEnd::NoRoom)?;
        let header = frame.get(4..header_end).ok_or(ReadEnd::NoRoom)?;
        let command = decode_frame(Bytes::copy_from_slice(header), &self.reading.limits)?;
        drop(frame);
        while left > 0 {
            left -= self.drop_received(left).await?;
        }
        self.began_ms = 0;
        self.connection.frame_due(0);
        self.frames.no_room(self.connection, command);
        Ok(())
    }

    /// Reads up to `most` bytes and forgets them.
    async fn drop_received(&mut self, most: usize) -> Result<usize, ReadEnd> {
        let stream = &mut self.stream;
        let count = poll_fn(|cx| {
            SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(&mut scratch[..most.min(READ_BYTES)]);
                Pin::new(&mut *stream)
                    .poll_read(cx, &mut buffer)
                    .map_ok(|()| buffer.filled().len())
            })
        })
        .await?;
        self.connection.touch();
        if count == 0 {
            Err(ReadEnd::Closed)
        } else {
            Ok(count)
        }
    }
}

/// A buffer of `room` bytes with the same content. Memory is only touched as bytes arrive.
fn moved_into(frame: BytesMut, room: usize) -> BytesMut {
    if frame.capacity() >= room {
        return frame;
    }
    let mut larger = BytesMut::with_capacity(room);
    larger.put_slice(&frame);
    larger
}

fn header_length(frame: &[u8]) -> Option<usize> {
    let word = frame.get(4..PREFIX_BYTES)?;
    Some(u32::from_be_bytes([0, word[1], word[2], word[3]]) as usize)
}

/// Refuses a lying header length before the rest of its frame is awaited.
fn check_prefix(frame: &[u8], size: usize, limits: &FrameLimits) -> Result<(), FrameError> {
    let Some(announced) = header_length(frame) else {
        return Ok(());
    };
    let room = size - PREFIX_BYTES;
    if announced > room {
        return Err(FrameError::HeaderBeyondFrame { announced, room });
    }
    if announced as u64 > u64::from(limits.max_header_bytes) {
        let limit = u64::from(limits.max_header_bytes);
        return Err(FrameError::HeaderTooLong {
            announced: announced as u64,
            limit,
        });
    }
    Ok(())
}
