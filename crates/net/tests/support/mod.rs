//! A server with a handler that tests control, and a plain blocking client that speaks raw frames.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tern_net::{Connection, Credit, Handler, Listener, ServerOptions, listen};
use tern_wire::{Command, FrameLimits, HeaderEncoding, decode_frame, encode_frame};
use tokio::runtime::{Builder, Runtime};

/// Answers with what came.
pub const ECHO: i32 = 1001;
/// Is kept until [`Control::release`].
pub const KEEP: i32 = 1002;
/// Is answered with a body of as many bytes as the field `size` says.
pub const SIZED: i32 = 1003;
/// Makes the handler panic.
pub const PANIC: i32 = 1004;

/// Any wait of a test that is longer than this has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub struct Control {
    pub kept: Mutex<Vec<(Arc<Connection>, Command, Credit)>>,
    pub seen: AtomicUsize,
    pub opened: Mutex<Vec<Arc<Connection>>>,
    pub closed: AtomicUsize,
    pub oneway: AtomicUsize,
    pub last: Mutex<Option<Command>>,
}

impl Control {
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }

    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::SeqCst)
    }

    /// Answers up to `count` of the kept requests.
    pub fn release(&self, count: usize) {
        let kept: Vec<_> = {
            let mut kept = self.kept.lock();
            let count = count.min(kept.len());
            kept.drain(..count).collect()
        };
        for (connection, command, credit) in kept {
            connection.send_command(Command::answer_to(&command, 0));
            drop(credit);
        }
    }
}

impl Handler for Control {
    fn opened(&self, connection: &Arc<Connection>) {
        self.opened.lock().push(Arc::clone(connection));
    }

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        self.seen.fetch_add(1, Ordering::SeqCst);
        *self.last.lock() = Some(command.clone());
        if command.is_oneway() {
            self.oneway.fetch_add(1, Ordering::SeqCst);
            return;
        }
        match command.code {
            KEEP => self
                .kept
                .lock()
                .push((Arc::clone(connection), command, credit)),
            SIZED => {
                let size = command
                    .fields
                    .get("size")
                    .and_then(|size| size.parse().ok())
                    .unwrap_or(0);
                connection.send_command(Command::answer_to(&command, 0).with_body(vec![7; size]));
            }
            PANIC => panic!("asked to"),
            _ => {
                let mut answer = Command::answer_to(&command, 0).with_body(command.body.clone());
                answer.fields = command.fields.clone();
                connection.send_command(answer);
            }
        }
    }

    fn closed(&self, _connection: &Arc<Connection>) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// A listener on a free loopback port. One net thread: what one connection does, all others have seen after a turn.
pub struct Server {
    pub listener: Listener,
    pub control: Arc<Control>,
    pub runtime: Runtime,
}

pub fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

pub fn serve(options: ServerOptions) -> Server {
    let control = Arc::new(Control::default());
    let runtime = runtime();
    let listener = listen(
        runtime.handle(),
        any_port(),
        Arc::clone(&control) as _,
        options,
    )
    .expect("a port is free");
    Server {
        listener,
        control,
        runtime,
    }
}

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

impl Server {
    pub fn connect(&self) -> RawClient {
        RawClient::connect(self.listener.local_addr())
    }

    pub fn address(&self) -> String {
        self.listener.local_addr().to_string()
    }

    /// A peer, and this side of its connection, which has carried something both ways.
    pub fn connected(&self) -> (RawClient, Arc<Connection>) {
        let mut peer = self.connect();
        assert_eq!(peer.ask(&request(ECHO, 0)).opaque, 0);
        (peer, Arc::clone(&self.control.opened.lock()[0]))
    }

    /// Keeps the only net thread busy until what is returned is dropped.
    pub fn keep_busy(&self) -> Sender<()> {
        let (goes_on, waits) = channel::<()>();
        let (is_busy, busy) = channel();
        self.runtime.spawn(async move {
            is_busy.send(()).expect("the test waits for it");
            let _ = waits.recv();
        });
        busy.recv().expect("the net thread runs");
        goes_on
    }
}

/// The other end of a connection: blocking, raw.
pub struct RawClient {
    pub socket: TcpStream,
}

impl RawClient {
    pub fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        socket
            .set_write_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        Self { socket }
    }

    pub fn send(&mut self, command: &Command) {
        self.send_bytes(&frame(command));
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket
            .write_all(bytes)
            .expect("the server takes bytes");
    }

    pub fn receive(&mut self) -> Command {
        let mut length = [0; 4];
        self.socket
            .read_exact(&mut length)
            .expect("an answer comes");
        let mut rest = vec![0; u32::from_be_bytes(length) as usize];
        self.socket
            .read_exact(&mut rest)
            .expect("the whole answer comes");
        decode_frame(Bytes::from(rest), &FrameLimits::default()).expect("answers are frames")
    }

    pub fn ask(&mut self, command: &Command) -> Command {
        self.send(command);
        self.receive()
    }

    /// Reads until the server has closed the connection; fails if it stays open.
    pub fn wait_for_close(&mut self) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                Err(error) => panic!("the connection is still open: {error}"),
            }
        }
    }
}

pub fn frame(command: &Command) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_frame(command, &mut out).expect("the command fits into a frame");
    out.to_vec()
}

pub fn request(code: i32, opaque: i32) -> Command {
    let mut command = Command::request(code, opaque);
    command.fields.set("topic", "TopicTest");
    command
}

pub fn binary(command: Command) -> Command {
    Command {
        encoding: HeaderEncoding::Binary,
        ..command
    }
}

/// Waits until `condition` holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes of this process that are in memory.
pub fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    pages
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .expect("a number")
        * 4096
}
