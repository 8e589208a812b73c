//! What a client promises about its calls.

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use support::{ECHO, KEEP, PATIENCE, Server, eventually, request, runtime, serve};
use tern_net::{
    Call, CallError, CallSink, Client, ClientOptions, Connection, PushHandler, ServerOptions,
};
use tern_wire::{Command, HeaderEncoding, Language};
use tokio::runtime::Runtime;

const SHORT: Duration = Duration::from_millis(100);

#[derive(Default)]
struct RecordedPushes {
    received: Mutex<Vec<(String, Command)>>,
    disconnected: AtomicUsize,
}

impl PushHandler for RecordedPushes {
    fn pushed(&self, connection: &Arc<Connection>, address: &Arc<str>, command: Command) {
        if !command.is_oneway() {
            connection.send_command(Command::answer_to(&command, 0));
        }
        self.received.lock().push((address.to_string(), command));
    }

    fn disconnected(&self, _connection: &Arc<Connection>, _address: &Arc<str>) {
        self.disconnected.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Outcomes(Mutex<HashMap<u64, Vec<Result<i32, CallError>>>>);

impl Outcomes {
    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl CallSink for Outcomes {
    fn done(&self, call_id: u64, outcome: Result<Command, CallError>) {
        self.0
            .lock()
            .entry(call_id)
            .or_default()
            .push(outcome.map(|command| command.code));
    }
}

struct ClientSide {
    client: Client,
    pushes: Arc<RecordedPushes>,
    runtime: Runtime,
}

fn side(options: ClientOptions) -> ClientSide {
    let runtime = runtime();
    let pushes = Arc::new(RecordedPushes::default());
    let client = Client::new(runtime.handle(), Arc::clone(&pushes) as _, options);
    ClientSide {
        client,
        pushes,
        runtime,
    }
}

impl ClientSide {
    fn call(
        &self,
        address: &str,
        command: Command,
        timeout: Duration,
    ) -> Result<Command, CallError> {
        self.runtime
            .block_on(self.client.call(address, command, timeout))
    }

    fn start(
        &self,
        server: &Server,
        code: i32,
        ids: std::ops::Range<u64>,
        timeout: Duration,
    ) -> Arc<Outcomes> {
        let outcomes = Arc::new(Outcomes::default());
        let sink: Arc<dyn CallSink> = Arc::clone(&outcomes) as _;
        let address: Arc<str> = server.address().into();
        let calls = ids.map(|id| Call {
            id,
            address: Arc::clone(&address),
            command: request(code, 0),
            timeout,
        });
        self.client.start_calls(calls, &sink);
        outcomes
    }
}

#[test]
fn a_call_is_answered_and_carries_who_calls() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions {
        language: Language::PYTHON,
        ..ClientOptions::default()
    });
    let answer = side
        .call(
            &server.address(),
            request(ECHO, 0).with_body("hello"),
            PATIENCE,
        )
        .expect("an answer");
    assert_eq!((answer.code, &answer.body[..]), (0, &b"hello"[..]));
    let asked = server.control.last.lock().take().expect("it was asked");
    assert_eq!(
        (asked.language, asked.version, asked.encoding),
        (Language::PYTHON, 513, HeaderEncoding::Json)
    );
}

#[test]
fn a_thousand_calls_at_once_share_one_connection_and_each_ends_once() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    let outcomes = side.start(&server, ECHO, 0..1000, PATIENCE);
    eventually("all are answered", || outcomes.len() == 1000);
    assert!(outcomes.0.lock().values().all(|of_one| *of_one == [Ok(0)]));
    assert_eq!(server.listener.counts().accepted, 1);
    assert_eq!(side.client.pending(), 0);
}

#[test]
fn an_address_where_nobody_listens_is_unreachable() {
    let side = side(ClientOptions::default());
    // Bound, so that nobody else gets the port, but not listening.
    let bound = bound_socket();
    let free = address_of(&bound);
    for address in [free.as_str(), "no-port", "127.0.0.1:99999"] {
        let outcome = side.call(address, request(ECHO, 0), PATIENCE);
        assert!(
            matches!(outcome, Err(CallError::Unreachable { .. })),
            "{address}: {outcome:?}"
        );
    }
    eventually("no link is kept", || side.client.connections() == 0);
    assert_eq!(side.client.pending(), 0);
    assert_eq!(side.pushes.disconnected.load(Ordering::SeqCst), 0);
}

fn bound_socket() -> rustix::fd::OwnedFd {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    );
    let socket = socket.expect("a socket");
    rustix::net::bind(&socket, &support::any_port()).expect("a port is free");
    socket
}

fn address_of(socket: &rustix::fd::OwnedFd) -> String {
    let local = rustix::net::getsockname(socket).expect("it has a name");
    SocketAddr::try_from(local)
        .expect("an internet address")
        .to_string()
}

/// A port whose queue of connections is full: further ones get no answer from the system.
fn silent_port() -> (rustix::fd::OwnedFd, Vec<TcpStream>, String) {
    let socket = bound_socket();
    rustix::net::listen(&socket, 0).expect("it listens");
    let address = address_of(&socket);
    let listening = address.parse().expect("an address");
    let mut fillers = Vec::new();
    while let Ok(filler) = TcpStream::connect_timeout(&listening, SHORT) {
        fillers.push(filler);
    }
    (socket, fillers, address)
}

#[test]
fn a_call_whose_connection_does_not_come_about_is_unreachable_and_never_sent() {
    let (_socket, _fillers, address) = silent_port();
    let side = side(ClientOptions {
        connect_timeout: SHORT,
        ..ClientOptions::default()
    });
    let outcome = side.call(&address, request(ECHO, 0), PATIENCE);
    assert!(
        matches!(outcome, Err(CallError::Unreachable { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_call_that_ends_before_its_connection_opens_is_unreachable_too() {
    let (_socket, _fillers, address) = silent_port();
    let side = side(ClientOptions {
        connect_timeout: PATIENCE,
        ..ClientOptions::default()
    });
    let outcome = side.call(&address, request(ECHO, 0), SHORT);
    assert!(
        matches!(outcome, Err(CallError::Unreachable { .. })),
        "{outcome:?}"
    );
    side.client.close();
}

#[test]
fn a_call_without_an_answer_times_out_and_its_late_answer_harms_nobody() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    let outcome = side.call(&server.address(), request(KEEP, 0), SHORT);
    assert_eq!(
        outcome,
        Err(CallError::TimedOut {
            address: server.address(),
            waited_ms: 100
        })
    );
    assert_eq!(side.client.pending(), 0);
    server.control.release(1);
    assert_eq!(
        side.call(&server.address(), request(ECHO, 0), PATIENCE)
            .map(|answer| answer.code),
        Ok(0)
    );
    assert_eq!(server.listener.counts().accepted, 1);
}

#[test]
fn calls_are_lost_with_their_connection_and_the_next_one_opens_another() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    let outcomes = side.start(&server, KEEP, 0..3, PATIENCE);
    eventually("all have arrived", || server.control.seen() == 3);
    server.control.opened.lock()[0].close();
    eventually("all are lost", || outcomes.len() == 3);
    let lost = CallError::ConnectionLost {
        address: server.address(),
    };
    assert!(
        outcomes
            .0
            .lock()
            .values()
            .all(|of_one| *of_one == [Err(lost.clone())])
    );
    eventually("the end is told", || {
        side.pushes.disconnected.load(Ordering::SeqCst) == 1
    });
    assert_eq!(
        side.call(&server.address(), request(ECHO, 0), PATIENCE)
            .map(|answer| answer.code),
        Ok(0)
    );
    assert_eq!(server.listener.counts().accepted, 2);
}

#[test]
fn calls_beyond_the_limit_are_refused_and_none_is_counted_twice() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions {
        max_pending: 10,
        ..ClientOptions::default()
    });
    let outcomes = side.start(&server, KEEP, 0..15, PATIENCE);
    assert_eq!(outcomes.len(), 5);
    let refused = CallError::TooManyPending { limit: 10 };
    assert!(
        outcomes
            .0
            .lock()
            .values()
            .all(|of_one| *of_one == [Err(refused.clone())])
    );
    eventually("ten have arrived", || server.control.seen() == 10);
    server.control.release(10);
    eventually("ten are answered", || outcomes.len() == 15);
    assert_eq!(side.client.pending(), 0);
    assert!(
        side.call(&server.address(), request(ECHO, 0), PATIENCE)
            .is_ok()
    );
}

#[test]
fn calls_for_a_server_that_reads_nothing_are_refused_at_the_outbound_limit() {
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address: Arc<str> = deaf
        .local_addr()
        .expect("it has an address")
        .to_string()
        .into();
    let side = side(ClientOptions {
        outbound_bytes: 1 << 20,
        ..ClientOptions::default()
    });
    let outcomes = Arc::new(Outcomes::default());
    let sink: Arc<dyn CallSink> = Arc::clone(&outcomes) as _;
    let body = bytes::Bytes::from(vec![0; 100_000]);
    let start = |id| {
        let command = request(ECHO, 0).with_body(body.clone());
        side.client.start_calls(
            [Call {
                id,
                address: Arc::clone(&address),
                command,
                timeout: PATIENCE,
            }],
            &sink,
        );
    };
    start(0);
    // Once the first bytes arrive the connection is open at the other end as well.
    let (accepted, _) = deaf.accept().expect("the client connects");
    accepted.peek(&mut [0]).expect("the first call arrives");
    let mut id = 0;
    while outcomes.len() == 0 {
        id += 1;
        start(id);
        assert!(
            id < 10_000,
            "a gigabyte was queued for a server that reads nothing"
        );
    }
    let refused = outcomes
        .0
        .lock()
        .values()
        .flatten()
        .cloned()
        .collect::<Vec<_>>();
    assert_eq!(refused, [Err(CallError::TooManyPending { limit: 1 << 20 })]);
    side.client.close();
    eventually("the others are lost", || outcomes.len() as u64 == id + 1);
}

#[test]
fn a_request_of_the_server_reaches_the_push_handler_and_may_be_answered() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    side.call(&server.address(), request(ECHO, 0), PATIENCE)
        .expect("an answer");
    let connection = Arc::clone(&server.control.opened.lock()[0]);
    // The opaques of the two directions have nothing to do with each other.
    connection.send_command(request(40, 0).one_way());
    connection.send_command(binary_push());
    eventually("both have come", || side.pushes.received.lock().len() == 2);
    eventually("the second is answered", || {
        server.listener.counts().unexpected_answers == 1
    });
    let received = side.pushes.received.lock();
    assert_eq!(
        (received[0].0.as_str(), received[0].1.code),
        (server.address().as_str(), 40)
    );
    assert_eq!(received[1].1.code, 307);
}

fn binary_push() -> Command {
    support::binary(request(307, 1))
}

#[test]
fn one_way_requests_arrive_and_wait_for_the_connection_to_open() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    let address: Arc<str> = server.address().into();
    side.client
        .send_oneway((0..5).map(|_| (Arc::clone(&address), request(ECHO, 0))));
    eventually("all have arrived", || {
        server.control.oneway.load(Ordering::SeqCst) == 5
    });
    assert_eq!(side.client.pending(), 0);
}

#[test]
fn a_client_that_disconnects_or_closes_ends_its_calls() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions::default());
    let outcomes = side.start(&server, KEEP, 0..1, PATIENCE);
    eventually("it has arrived", || server.control.seen() == 1);
    side.client.disconnect(&server.address());
    assert_eq!(outcomes.len(), 1);
    let outcomes = side.start(&server, KEEP, 0..1, PATIENCE);
    eventually("it has arrived", || server.control.seen() == 2);
    side.client.close();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(
        side.call(&server.address(), request(ECHO, 0), PATIENCE),
        Err(CallError::Closed)
    );
    eventually("both ends are told", || server.control.closed() == 2);
}

#[test]
fn an_idle_connection_is_closed_but_not_while_a_call_waits() {
    let server = serve(ServerOptions::default());
    let side = side(ClientOptions {
        idle: SHORT,
        ..ClientOptions::default()
    });
    let outcomes = side.start(&server, KEEP, 0..1, PATIENCE);
    eventually("it has arrived", || server.control.seen() == 1);
    let late = side.call(&server.address(), request(KEEP, 0), 3 * SHORT);
    assert!(matches!(late, Err(CallError::TimedOut { .. })), "{late:?}");
    assert_eq!((outcomes.len(), server.control.closed()), (0, 0));
    server.control.release(2);
    eventually("it is answered", || outcomes.len() == 1);
    eventually("the connection is closed", || server.control.closed() == 1);
}
