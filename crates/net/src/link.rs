//! One outgoing connection: the calls that wait for it to open, then the calls that wait for answers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tern_wire::Command;

use crate::connection::{Connection, now_ms};
use crate::error::CallError;
use crate::outbound::Pushed;
use crate::pending::{Completion, PendingCall, PendingCalls};

/// Rough size of a header, to bound what waits for a connection.
const HEADER_BYTES: usize = 512;

/// Why a link ended.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It never opened.
    Unreachable(String),
    /// It was open, or given up by us.
    Connection,
}

/// Something to send.
pub(crate) enum Attempt {
    Call {
        command: Command,
        timeout: Duration,
        completion: Completion,
    },
    Oneway {
        command: Command,
    },
}

impl Attempt {
    /// Where the outcome goes; nowhere for a one-way request.
    pub(crate) fn into_completion(self) -> Option<Completion> {
        match self {
            Self::Call { completion, .. } => Some(completion),
            Self::Oneway { .. } => None,
        }
    }
}

/// What became of an attempt to send.
pub(crate) enum Queued {
    Done,
    /// The link has ended; another one may take it.
    Ended(Box<Attempt>),
    /// It is not sent; a call is still to be completed.
    Refused(Option<Completion>, CallError),
}

/// An address, and how far its connection is.
pub(crate) struct Link {
    address: Arc<str>,
    outbound_bytes: usize,
    state: Mutex<LinkState>,
}

struct LinkState {
    phase: LinkPhase,
    calls: PendingCalls,
}

enum LinkPhase {
    /// Requests wait as commands: one whose time is over before the connection opens is never sent.
    Connecting {
        requests: Vec<Command>,
        bytes: usize,
    },
    Open(Arc<Connection>),
    Ended,
}

impl Link {
    pub(crate) fn new(address: Arc<str>, outbound_bytes: usize) -> Arc<Self> {
        let phase = LinkPhase::Connecting {
            requests: Vec::new(),
            bytes: 0,
        };
        let state = Mutex::new(LinkState {
            phase,
            calls: PendingCalls::default(),
        });
        Arc::new(Self {
            address,
            outbound_bytes,
            state,
        })
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// The connection, while it is open.
    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        match &self.state.lock().phase {
            LinkPhase::Open(connection) => Some(Arc::clone(connection)),
            LinkPhase::Connecting { .. } | LinkPhase::Ended => None,
        }
    }

    /// Queues a request without waking the writer.
    pub(crate) fn queue(&self, attempt: Attempt) -> Queued {
        // One lock for opaque, queue and table. Another thread may write the request as soon as it is queued; its
        // answer is looked up under this lock, so that it cannot come before its call is in the table.
        let mut state = self.state.lock();
        if state.has_ended() {
            return Queued::Ended(Box::new(attempt));
        }
        let opaque = state.calls.next_opaque();
        match attempt {
            Attempt::Oneway { mut command } => {
                command.opaque = opaque;
                match state.send(command, self.outbound_bytes) {
                    Ok(()) => Queued::Done,
                    Err(error) => Queued::Refused(None, error),
                }
            }
            Attempt::Call {
                mut command,
                timeout,
                completion,
            } => {
                command.opaque = opaque;
                // Before the table: a call that is refused here was never in it, and ends once.
                if let Err(error) = state.send(command, self.outbound_bytes) {
                    return Queued::Refused(Some(completion), error);
                }
                let wait_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                let due_ms = now_ms().saturating_add(wait_ms);
                state.calls.insert(
                    opaque,
                    PendingCall {
                        completion,
                        due_ms,
                        timeout,
                    },
                );
                Queued::Done
            }
        }
    }

    /// Sends what has waited for the connection; takes out the calls that cannot be sent after all. Nothing if the link
    /// was ended meanwhile.
    pub(crate) fn opened(
        &self,
        connection: &Arc<Connection>,
    ) -> Option<Vec<(Completion, CallError)>> {
        let mut state = self.state.lock();
        let LinkPhase::Connecting { requests, .. } = &mut state.phase else {
            return None;
        };
        let requests = std::mem::take(requests);
        // Under the lock that `queue` takes: requests that are started now go behind those that have waited.
        state.phase = LinkPhase::Open(Arc::clone(connection));
        let mut refused = Vec::new();
        for command in requests {
            let opaque = command.opaque;
            // Its time is over, and its caller has been told that nothing was sent.
            if !command.is_oneway() && !state.calls.contains(opaque) {
                continue;
            }
            if let Err(error) = state.send(command, self.outbound_bytes)
                && let Some(call) = state.calls.remove(opaque)
            {
                refused.push((call.completion, error));
            }
        }
        // The reader takes the lock for every answer, and must not wait for a write.
        drop(state);
        connection.flush();
        Some(refused)
    }

    /// The call that an answer belongs to.
    pub(crate) fn answered(&self, opaque: i32) -> Option<Completion> {
        self.state
            .lock()
            .calls
            .remove(opaque)
            .map(|call| call.completion)
    }

    /// Takes out the calls whose time is over.
    pub(crate) fn take_overdue(&self, now_ms: u64) -> Vec<(Completion, CallError)> {
        let (due, sent) = {
            let mut state = self.state.lock();
            (
                state.calls.take_due(now_ms),
                matches!(state.phase, LinkPhase::Open(_)),
            )
        };
        let overdue = due.into_iter().map(|(_, call)| {
            let waited_ms = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
            let address = self.address.to_string();
            let error = if sent {
                CallError::TimedOut { address, waited_ms }
            } else {
                CallError::Unreachable {
                    address,
                    reason: format!("not connected in {waited_ms} ms"),
                }
            };
            (call.completion, error)
        });
        overdue.collect()
    }

    /// Whether nothing moved for longer than `idle` and no call waits.
    pub(crate) fn is_idle(&self, now_ms: u64, idle: Duration) -> bool {
        let state = self.state.lock();
        match &state.phase {
            LinkPhase::Open(connection) => {
                state.calls.is_empty() && connection.idle_for(now_ms) > idle
            }
            LinkPhase::Connecting { .. } | LinkPhase::Ended => false,
        }
    }

    /// Ends the link and takes out its calls. Ending again does nothing.
    pub(crate) fn end(&self, why: &Lost) -> Vec<(Completion, CallError)> {
        // Phase and calls in one step: a call is either taken out here, or finds that the link has ended.
        let (phase, calls) = {
            let mut state = self.state.lock();
            (
                std::mem::replace(&mut state.phase, LinkPhase::Ended),
                state.calls.take_all(),
            )
        };
        let opened = match phase {
            LinkPhase::Open(connection) => {
                connection.close();
                true
            }
            LinkPhase::Connecting { .. } | LinkPhase::Ended => false,
        };
        let lost = calls.into_iter().map(|call| {
            let address = self.address.to_string();
            let error = match why {
                Lost::Unreachable(reason) => CallError::Unreachable {
                    address,
                    reason: reason.clone(),
                },
                Lost::Connection if opened => CallError::ConnectionLost { address },
                Lost::Connection => CallError::Unreachable {
                    address,
                    reason: String::from("given up while connecting"),
                },
            };
            (call.completion, error)
        });
        lost.collect()
    }
}

impl LinkState {
    fn has_ended(&self) -> bool {
        match &self.phase {
            // Its reader has not ended the link yet. A request that is queued now would end as perhaps sent, while
            // another link can still send it.
            LinkPhase::Open(connection) => !connection.is_open(),
            LinkPhase::Connecting { .. } => false,
            LinkPhase::Ended => true,
        }
    }

    fn send(&mut self, command: Command, outbound_bytes: usize) -> Result<(), CallError> {
        match &mut self.phase {
            LinkPhase::Open(connection) => match connection.push_command(command)? {
                Pushed::Full => Err(CallError::TooManyPending {
                    limit: outbound_bytes,
                }),
                // The calls of a link that just broke are ended by its reader.
                Pushed::Queued | Pushed::Closed => Ok(()),
            },
            LinkPhase::Connecting { bytes, .. } if *bytes > outbound_bytes => {
                Err(CallError::TooManyPending {
                    limit: outbound_bytes,
                })
            }
            LinkPhase::Connecting { requests, bytes } => {
                *bytes += command.body.len() + HEADER_BYTES;
                requests.push(command);
                Ok(())
            }
            // Not reached: `queue` has looked, and `opened` leaves an ended link alone.
            LinkPhase::Ended => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{Budget, Load};
    use crate::outbound::Outbound;
    use crate::socket::{ListeningSocket, connect};

    #[tokio::test]
    async fn a_request_for_a_connection_that_has_just_broken_is_given_back_unsent() {
        let any_port = ([127, 0, 0, 1], 0).into();
        let port = ListeningSocket::open(any_port).expect("a port is free");
        let stream = connect(port.local_addr().expect("it has an address")).await;
        let load = Load::new(Budget::unlimited(), usize::MAX);
        let (connection, _reading) = Connection::new(
            stream.expect("it connects"),
            load,
            Outbound::new(1000, Budget::new(0)),
        )
        .expect("it is open");
        let link = Link::new(Arc::from("server:1"), 1000);
        assert!(link.opened(&connection).is_some());
        let attempt = || Attempt::Oneway {
            command: Command::request(1, 0).one_way(),
        };
        assert!(matches!(link.queue(attempt()), Queued::Done));
        connection.abort();
        assert!(matches!(link.queue(attempt()), Queued::Ended(_)));
        assert!(link.opened(&connection).is_none());
    }
}
