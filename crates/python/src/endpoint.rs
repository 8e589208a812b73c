//! The transport as Python sees it: ports to listen on, calls to make, events to drain.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use tern_bridge::{Bridge, BridgeAnswer, HeartbeatSchedule, Heartbeats, SendOutcomes};
use tern_net::{Budget, Call, CallSink, Client, ClientOptions, Listener, ServerOptions, listen};
use tern_wire::{Command, Fields, FrameLimits, Language};
use tokio::runtime::{Builder, Handle, Runtime};

use crate::events::tuple_of;
use crate::fields::{body_of, fields_of};
use crate::replica_events::ReplicaEvent;
use crate::sends::calls_of;

/// How long closing waits for the net threads to end.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Connections in and out of one process, and the queue of what they have to tell.
#[pyclass(frozen, module = "ternmq._core")]
pub(crate) struct Endpoint {
    process_id: u32,
    pub(crate) bridge: Arc<Bridge<ReplicaEvent>>,
    sink: Arc<dyn CallSink>,
    client: Client,
    heartbeats: Arc<Heartbeats>,
    /// Where the tasks of the process run.
    pub(crate) handle: Handle,
    budget: Arc<Budget>,
    /// Nothing once it has been closed.
    running: Mutex<Option<OpenEndpoint>>,
}

struct OpenEndpoint {
    listeners: Vec<Listener>,
    runtime: Runtime,
}

#[pymethods]
impl Endpoint {
    #[new]
    #[pyo3(signature = (*, workers = 1, max_pending = 10_000, max_pending_bytes = 67_108_864))]
    fn new(workers: usize, max_pending: usize, max_pending_bytes: usize) -> PyResult<Self> {
        if workers == 0 || max_pending == 0 {
            return Err(PyValueError::new_err(
                "workers and max_pending must be at least 1",
            ));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("ternmq-net")
            .enable_all()
            .build()
            .map_err(|error| os_error(&error, "the net threads cannot be started"))?;
        let bridge = Bridge::new(max_pending, max_pending_bytes)
            .map_err(|error| os_error(&error, "no event descriptor"))?;
        let options = ClientOptions {
            language: Language::PYTHON,
            max_pending,
            outbound_bytes: max_pending_bytes,
            ..ClientOptions::default()
        };
        let handle = runtime.handle().clone();
        let client = Client::new(&handle, Arc::clone(&bridge) as _, options);
        let heartbeats = bridge.start_heartbeats(client.clone(), &handle);
        Ok(Self {
            process_id: std::process::id(),
            sink: Arc::clone(&bridge) as _,
            bridge,
            client,
            heartbeats,
            handle,
            budget: Budget::new(max_pending_bytes),
            running: Mutex::new(Some(OpenEndpoint {
                listeners: Vec::new(),
                runtime,
            })),
        })
    }

    fn fileno(&self) -> i32 {
        self.bridge.queue().as_fd().as_raw_fd()
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check_process()?;
        let events = PyList::empty(py);
        for event in self.bridge.drain() {
            events.append(tuple_of(py, event)?)?;
        }
        Ok(events)
    }

    #[pyo3(signature = (host, port, *, max_frame_bytes = 16_777_216, max_connections = 16_384, idle_seconds = 120))]
    fn listen(
        &self,
        py: Python<'_>,
        host: &str,
        port: u16,
        max_frame_bytes: u32,
        max_connections: usize,
        idle_seconds: u64,
    ) -> PyResult<u16> {
        self.check_process()?;
        let options = ServerOptions {
            limits: FrameLimits {
                max_frame_bytes,
                ..FrameLimits::default()
            },
            max_connections,
            max_connections_per_address: max_connections,
            idle: Duration::from_secs(idle_seconds),
            budget: Arc::clone(&self.budget),
            ..ServerOptions::default()
        };
        py.detach(|| {
            let address = resolve(host, port)
                .map_err(|error| os_error(&error, &format!("{host} has no address")))?;
            let mut running = self.running.lock();
            let running = running.as_mut().ok_or_else(closed)?;
            let listener = listen(
                &self.handle,
                address,
                Arc::clone(&self.bridge) as _,
                options,
            )
            .map_err(|error| os_error(&error, &format!("cannot listen on {address}")))?;
            let port = listener.local_addr().port();
            running.listeners.push(listener);
            Ok(port)
        })
    }

    fn call(&self, py: Python<'_>, calls: &Bound<'_, PyList>) -> PyResult<()> {
        self.check_open()?;
        let calls = calls
            .iter()
            .map(|call| call_of(&call))
            .collect::<PyResult<Vec<_>>>()?;
        py.detach(|| self.client.start_calls(calls, &self.sink));
        Ok(())
    }

    fn send<'py>(
        &self,
        py: Python<'py>,
        sender: u32,
        sends: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.check_open()?;
        let (calls, ids) = calls_of(py, sends)?;
        let sink = SendOutcomes::new(sender, Arc::clone(self.bridge.queue())) as Arc<dyn CallSink>;
        py.detach(|| self.client.start_calls(calls, &sink));
        Ok(ids)
    }

    fn oneway(&self, py: Python<'_>, calls: &Bound<'_, PyList>) -> PyResult<()> {
        self.check_open()?;
        let requests = calls
            .iter()
            .map(|call| oneway_of(&call))
            .collect::<PyResult<Vec<_>>>()?;
        py.detach(|| self.client.send_oneway(requests));
        Ok(())
    }

    #[pyo3(signature = (version, code, body, addresses, *, interval_ms, retry_ms, timeout_ms))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the arguments are Python's, most of them by name"
    )]
    fn beat(
        &self,
        version: u64,
        code: i32,
        body: &Bound<'_, PyBytes>,
        addresses: Vec<String>,
        interval_ms: u64,
        retry_ms: u64,
        timeout_ms: u64,
    ) -> PyResult<()> {
        self.check_open()?;
        self.heartbeats.set(HeartbeatSchedule {
            version,
            code,
            body: body_of(body),
            addresses: addresses.into_iter().map(Arc::from).collect(),
            interval: Duration::from_millis(interval_ms),
            retry: Duration::from_millis(retry_ms),
            timeout: Duration::from_millis(timeout_ms),
        });
        Ok(())
    }

    fn answer(&self, py: Python<'_>, answers: &Bound<'_, PyList>) -> PyResult<()> {
        self.check_process()?;
        let answers = answers
            .iter()
            .map(|answer| answer_of(&answer))
            .collect::<PyResult<Vec<_>>>()?;
        py.detach(|| self.bridge.answer(answers));
        Ok(())
    }

    fn disconnect(&self, py: Python<'_>, address: &str) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| self.client.disconnect(address));
        Ok(())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process()?;
        py.detach(|| {
            let running = self.running.lock().take();
            if let Some(OpenEndpoint { listeners, runtime }) = running {
                drop(listeners);
                self.client.close();
                runtime.shutdown_timeout(CLOSE_PATIENCE);
            }
        });
        Ok(())
    }
}

impl Endpoint {
    /// The threads of a process after a fork are gone, but for the one that forked: nothing here would ever answer.
    fn check_process(&self) -> PyResult<()> {
        let own = std::process::id();
        if own == self.process_id {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(format!(
            "this endpoint belongs to process {}, not to its fork {own}: start processes with spawn",
            self.process_id
        )))
    }

    fn check_open(&self) -> PyResult<()> {
        self.check_process()?;
        if self.running.lock().is_some() {
            Ok(())
        } else {
            Err(closed())
        }
    }
}

impl Drop for Endpoint {
    /// Never waits and never calls Python, so that it may run while the interpreter ends.
    fn drop(&mut self) {
        let Some(OpenEndpoint { listeners, runtime }) = self.running.lock().take() else {
            return;
        };
        if std::process::id() == self.process_id {
            drop(listeners);
            self.client.close();
            runtime.shutdown_background();
        } else {
            // The sockets and the poller are the parent's as well: a fork keeps its hands off them.
            std::mem::forget((listeners, runtime));
        }
    }
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("the endpoint is closed")
}

/// `OSError` with its number, so that Python makes the right subclass of it.
fn os_error(error: &io::Error, what: &str) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, format!("{what}: {error}"))),
        None => PyOSError::new_err(format!("{what}: {error}")),
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

type CallTuple<'py> = (
    u64,
    String,
    i32,
    Bound<'py, PyDict>,
    Bound<'py, PyBytes>,
    u64,
);
type OnewayTuple<'py> = (String, i32, Bound<'py, PyDict>, Bound<'py, PyBytes>);
type AnswerTuple<'py> = (
    u64,
    i32,
    Option<String>,
    Option<Bound<'py, PyDict>>,
    Bound<'py, PyBytes>,
);

fn call_of(call: &Bound<'_, PyAny>) -> PyResult<Call> {
    let (id, address, code, fields, body, timeout_ms): CallTuple<'_> =
        call.cast::<PyTuple>()?.extract()?;
    let command = request(code, &fields, body_of(&body))?;
    Ok(Call {
        id,
        address: address.into(),
        command,
        timeout: Duration::from_millis(timeout_ms),
    })
}

fn oneway_of(call: &Bound<'_, PyAny>) -> PyResult<(Arc<str>, Command)> {
    let (address, code, fields, body): OnewayTuple<'_> = call.cast::<PyTuple>()?.extract()?;
    Ok((address.into(), request(code, &fields, body_of(&body))?))
}

fn request(code: i32, fields: &Bound<'_, PyDict>, body: Bytes) -> PyResult<Command> {
    Ok(Command {
        fields: fields_of(fields)?,
        body,
        ..Command::request(code, 0)
    })
}

fn answer_of(answer: &Bound<'_, PyAny>) -> PyResult<BridgeAnswer> {
    let (request_id, code, remark, fields, body): AnswerTuple<'_> =
        answer.cast::<PyTuple>()?.extract()?;
    let fields = fields
        .as_ref()
        .map_or_else(|| Ok(Fields::new()), fields_of)?;
    Ok(BridgeAnswer {
        request_id,
        code,
        remark,
        fields,
        body: body_of(&body),
    })
}
