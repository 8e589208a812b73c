//! A real node on loopback, alone in its group, and a client of it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tern_broker::{Flush, Mode, Node, NodeEvents, NodeOptions, RoleView, Settings, TableLimits};
use tern_log::{Disk, RealDisk};
use tern_net::{Client, ClientOptions, Connection, Credit, PushHandler};
use tern_replication::{RaftMember, Timing};
use tern_wire::headers::{PullRequest, SendRequest};
use tern_wire::record::{Record, iter};
use tern_wire::{Command, Fields, codes::request, properties, sys_flag};
use tokio::runtime::{Builder, Runtime};

/// Any wait that is longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A code that the tests' control plane answers.
pub const CONTROL_CODE: i32 = 28;

#[derive(Default)]
struct RecordedEvents;

impl NodeEvents for RecordedEvents {
    fn role_changed(&self, _: &RoleView) {}
    fn topics_changed(&self, _: u64, _: u64) {}
    fn stopped(&self, sentence: &str) {
        eprintln!("stopped: {sentence}");
    }
    fn request(&self, connection: &Arc<Connection>, command: Command, _credit: Credit) {
        connection
            .send_command(Command::answer_to(&command, 0).with_remark("from the control plane"));
    }
    fn closed(&self, _: &Arc<Connection>) {}
}

struct ReceivedPushes(Mutex<Sender<Command>>);

impl PushHandler for ReceivedPushes {
    fn pushed(&self, _: &Arc<Connection>, _: &Arc<str>, command: Command) {
        // A test that does not look at pushes has dropped the other end.
        let _ = self.0.lock().expect("no test panics here").send(command);
    }
    fn disconnected(&self, _: &Arc<Connection>, _: &Arc<str>) {}
}

/// A free port below the range from which the system takes those of outgoing connections.
fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + (std::process::id() % 400) as u16 * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 4_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

pub struct SoloBroker {
    pub node: Option<Node>,
    pub client: TestCaller,
    options: NodeOptions,
    runtime: Runtime,
    _directory: TempDir,
}

/// A client with a connection of its own.
pub struct TestCaller {
    client: Client,
    pub pushes: Receiver<Command>,
    address: String,
    runtime: tokio::runtime::Handle,
}

impl SoloBroker {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(change: impl FnOnce(&mut NodeOptions)) -> Self {
        Self::start_on(Arc::new(RealDisk), change)
    }

    pub fn start_on(disk: Arc<dyn Disk>, change: impl FnOnce(&mut NodeOptions)) -> Self {
        let directory = TempDir::new().expect("a temporary folder");
        let mut options = options(directory.path(), free_port());
        change(&mut options);
        // The lock lies in a real folder, whatever the disk is.
        std::fs::create_dir_all(&options.data).expect("a folder");
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let events = Arc::new(RecordedEvents);
        let node = Node::start_on(disk, options.clone(), runtime.handle(), events)
            .expect("the node starts");
        let client = TestCaller::new(runtime.handle(), &options.listen.to_string());
        let broker = Self {
            node: Some(node),
            client,
            options,
            runtime,
            _directory: directory,
        };
        broker.wait_until_it_leads();
        broker
    }

    /// Stop cleanly and start again on the same directory and port.
    pub fn restart(&mut self) {
        self.restart_at_once();
        self.wait_until_it_leads();
    }

    /// The same, and return before it has read its log.
    pub fn restart_at_once(&mut self) {
        self.node
            .take()
            .expect("it runs")
            .stop(Duration::from_secs(5));
        let node = Node::start(
            self.options.clone(),
            self.runtime.handle(),
            Arc::new(RecordedEvents),
        );
        self.node = Some(node.expect("the node starts again"));
        // The old connections are closed, and a call may begin on one before its client knows.
        self.client = TestCaller::new(self.runtime.handle(), &self.options.listen.to_string());
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    pub fn address(&self) -> SocketAddr {
        self.options.listen
    }

    pub fn another_client(&self) -> TestCaller {
        TestCaller::new(self.runtime.handle(), &self.options.listen.to_string())
    }

    pub fn wait_for_parked(&self, count: usize) {
        let services = self.node().services().expect("it serves");
        wait_for("pulls are parked", || services.holds.waiting() == count);
    }

    fn wait_until_it_leads(&self) {
        wait_for("it leads", || {
            self.node().services().is_some() && self.node().roles().view().leads()
        });
    }
}

impl Drop for SoloBroker {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop(Duration::from_secs(5));
        }
    }
}

impl TestCaller {
    fn new(runtime: &tokio::runtime::Handle, address: &str) -> Self {
        let (sender, pushes) = channel();
        let client = Client::new(
            runtime,
            Arc::new(ReceivedPushes(Mutex::new(sender))),
            ClientOptions::default(),
        );
        Self {
            client,
            pushes,
            address: address.to_owned(),
            runtime: runtime.clone(),
        }
    }

    pub fn call(&self, command: Command) -> Command {
        self.runtime
            .block_on(self.client.call(&self.address, command, PATIENCE))
            .expect("an answer")
    }

    /// A call whose answer is awaited later.
    pub fn begin(&self, command: Command) -> Receiver<Command> {
        let (sender, receiver) = channel();
        let (client, address) = (self.client.clone(), self.address.clone());
        self.runtime.spawn(async move {
            let answer = client
                .call(&address, command, PATIENCE)
                .await
                .expect("an answer");
            let _ = sender.send(answer);
        });
        receiver
    }

    pub fn one_way(&self, command: Command) {
        self.client
            .send_oneway([(Arc::from(&*self.address), command.one_way())]);
    }

    /// Close the connection.
    pub fn hang_up(self) {
        self.client.close();
    }
}

pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn options(data: &Path, listen: SocketAddr) -> NodeOptions {
    NodeOptions {
        settings: Settings {
            cluster: "demo".to_owned(),
            group: "group-a".to_owned(),
            store_host: listen,
            auto_create_group: true,
            max_message_bytes: 4 << 20,
            lock_lease_ms: Settings::LOCK_LEASE_MS,
            slave_read: true,
            far_behind_bytes: u64::MAX,
            limits: TableLimits::default(),
        },
        member: "n0".to_owned(),
        members: vec![RaftMember {
            id: "n0".to_owned(),
            number: 1,
            address: "127.0.0.1:1".to_owned(),
        }],
        mode: Mode::MultiMaster,
        open: false,
        flush: Flush::Sync,
        listen,
        fast_listen: None,
        peer_listen: listen,
        advertise: listen.to_string(),
        data: data.join("n0"),
        secret: None,
        timing: Timing {
            heartbeat_ticks: 10,
            election_min_ticks: 30,
            election_max_ticks: 60,
        },
        segment_size: 32 << 20,
        ring_bytes: 8 << 20,
        memory_bytes: 1 << 30,
        in_flight_bytes: 64 << 20,
        auto_create_topic: true,
        default_topic_queues: 8,
        control_codes: vec![CONTROL_CODE],
        slow_sync_ns: 20_000_000,
    }
}

/// A request with these fields.
pub fn request(code: i32, fields: &[(&str, &str)]) -> Command {
    let mut command = Command::request(code, 0);
    command.fields = fields.iter().copied().collect::<Fields>();
    command
}

pub fn send_header<'a>(topic: &'a str, queue_id: i32, properties: &'a str) -> SendRequest<'a> {
    SendRequest {
        producer_group: "PG",
        topic,
        default_topic: "TBW102",
        default_topic_queue_nums: 4,
        queue_id,
        sys_flag: 0,
        born_timestamp_ms: 1_700_000_000_000,
        flag: 0,
        properties: Some(properties),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        max_reconsume_times: None,
        batch: Some(false),
        broker_name: None,
    }
}

pub fn send(header: &SendRequest<'_>, body: &[u8]) -> Command {
    let mut command = Command::request(request::SEND_MESSAGE_V2, 0).with_body(body.to_vec());
    header.encode_v2(&mut command.fields);
    command
}

/// A message with a tag, or none.
pub fn message(topic: &str, queue_id: i32, tag: &str, body: &str) -> Command {
    let tag = (!tag.is_empty()).then_some(("TAGS", tag));
    let properties = properties::to_text(tag).expect("a tag");
    send(&send_header(topic, queue_id, &properties), body.as_bytes())
}

pub fn pull_header<'a>(
    group: &'a str,
    topic: &'a str,
    queue_id: i32,
    queue_offset: i64,
) -> PullRequest<'a> {
    PullRequest {
        consumer_group: group,
        topic,
        queue_id,
        queue_offset,
        max_messages: 32,
        sys_flag: sys_flag::pull::SUBSCRIPTION,
        commit_offset: 0,
        suspend_timeout_ms: 0,
        subscription: Some("*"),
        subscription_version: 0,
        expression_type: Some("TAG"),
        max_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
    }
}

pub fn pull(header: &PullRequest<'_>) -> Command {
    let mut command = Command::request(request::PULL_MESSAGE, 0);
    header.encode(&mut command.fields);
    command
}

/// A pull that waits for messages.
pub fn long_poll<'a>(
    group: &'a str,
    topic: &'a str,
    filter: &'a str,
    wait: Duration,
) -> PullRequest<'a> {
    PullRequest {
        sys_flag: sys_flag::pull::SUBSCRIPTION | sys_flag::pull::SUSPEND,
        suspend_timeout_ms: i64::try_from(wait.as_millis()).expect("a short time"),
        subscription: Some(filter),
        ..pull_header(group, topic, 0, 0)
    }
}

/// The bodies of a pull answer.
pub fn bodies(answer: &Command) -> Vec<String> {
    records(answer)
        .iter()
        .map(|record| String::from_utf8_lossy(record.body()).into_owned())
        .collect()
}

pub fn records(answer: &Command) -> Vec<Record<'_>> {
    iter(&answer.body)
        .map(|record| record.expect("a whole record"))
        .collect()
}

/// A header field of an answer, as a number.
pub fn number(answer: &Command, field: &str) -> i64 {
    let text = answer
        .fields
        .get(field)
        .unwrap_or_else(|| panic!("no {field} in {answer:?}"));
    text.parse().expect("a number")
}
