//! A TCP connection to a broker, frame by frame.

use std::io;

use bytes::{Bytes, BytesMut};
use tern_wire::{Command, FrameLimits, decode_frame, frame_length};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection with what was read of it and not yet used.
#[derive(Debug)]
pub struct LoadConnection {
    stream: TcpStream,
    buffer: BytesMut,
    /// What is to be written next.
    pub out: BytesMut,
}

const READ_BYTES: usize = 256 << 10;

impl LoadConnection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BYTES),
            out: BytesMut::with_capacity(READ_BYTES),
        })
    }

    /// Writes what was put into `out`, and reads meanwhile: a broker that takes no more requests before its answers are
    /// taken would else wait for ever, and take this for a peer that does not read.
    ///
    /// # Errors
    /// The connection broke or was closed.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            self.buffer.reserve(READ_BYTES);
            let (mut reader, mut writer) = self.stream.split();
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.out) => {
                    written?;
                }
                read = reader.read_buf(&mut self.buffer) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until something was read.
    ///
    /// # Errors
    /// The connection broke or was closed.
    pub async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next whole answer of what was read.
    ///
    /// # Errors
    /// The bytes are no frame.
    pub fn whole(&mut self) -> io::Result<Option<Command>> {
        let Some(frame) = next_frame(&mut self.buffer)? else {
            return Ok(None);
        };
        decode_frame(frame, &FrameLimits::default())
            .map(Some)
            .map_err(io::Error::other)
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// The connection broke, or the bytes are no frame.
    pub async fn answer(&mut self) -> io::Result<Command> {
        loop {
            if let Some(answer) = self.whole()? {
                return Ok(answer);
            }
            self.fill().await?;
        }
    }
}

/// Takes one whole frame out of what was read.
fn next_frame(buffer: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(length) = buffer.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = frame_length(*length, &FrameLimits::default()).map_err(io::Error::other)?;
    if buffer.len() < 4 + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(4 + length);
    Ok(Some(frame.split_off(4).freeze()))
}
