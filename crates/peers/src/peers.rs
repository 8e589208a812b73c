//! The streams of one replica: started together, closed together.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tern_net::ListeningSocket;
use tern_replication::{FrameSource, PeerMessage, PeerStream, RaftMember, replica_number};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

use crate::events::PeerEvents;
use crate::options::PeerOptions;
use crate::permit::MessagePermits;
use crate::shared::PeersShared;
use crate::stream_queue::StreamQueue;
use crate::{accept, dial};

/// The streams of one replica. Dropping it closes them.
pub struct Peers {
    shared: Arc<PeersShared>,
    tasks: Vec<AbortHandle>,
    accepted: Arc<accept::Accepted>,
    control: Option<Runtime>,
}

impl Peers {
    /// Open the port and begin to dial. *Bulk* streams are carried on `runtime`, which clients' sockets share; *control*
    /// has a thread of its own, so that no load of clients keeps a heartbeat waiting (L40).
    ///
    /// # Errors
    /// The system's reason if the port cannot be opened, or the thread not be started.
    pub fn start(
        runtime: &Handle,
        options: PeerOptions,
        events: Arc<dyn PeerEvents>,
        source: Arc<dyn FrameSource>,
    ) -> io::Result<Self> {
        let others: Vec<RaftMember> = options
            .members
            .iter()
            .filter(|member| member.number != options.own)
            .cloned()
            .collect();
        let queues = others
            .iter()
            .flat_map(|member| {
                [PeerStream::Control, PeerStream::Bulk].map(|peer_stream| {
                    let queue = StreamQueue::new(peer_stream, options.waiting_bytes);
                    ((member.number, peer_stream), queue)
                })
            })
            .collect();
        let numbers = || others.iter().map(|member| member.number);
        let rooms = MessagePermits::new(numbers(), options.waiting_bytes);
        let evidence = numbers().map(|number| (number, Mutex::default())).collect();
        let accepted = Arc::new(accept::Accepted::new(&options));
        let listen = options.listen;
        let control = control_thread()?;
        let shared = Arc::new(PeersShared {
            options,
            events,
            source,
            queues,
            rooms,
            evidence,
            heard_addresses: Mutex::default(),
            control: control.handle().clone(),
            bulk: runtime.clone(),
        });
        let guard = control.enter();
        let port = ListeningSocket::open(listen)?;
        drop(guard);
        let accepting = accept::run(Arc::clone(&shared), port, Arc::clone(&accepted));
        let mut tasks = vec![control.spawn(accepting).abort_handle()];
        for member in others {
            for peer_stream in [PeerStream::Control, PeerStream::Bulk] {
                let dialling = dial::run(Arc::clone(&shared), member.clone(), peer_stream);
                tasks.push(shared.runtime(peer_stream).spawn(dialling).abort_handle());
            }
        }
        Ok(Self {
            shared,
            tasks,
            accepted,
            control: Some(control),
        })
    }

    /// Members that took this replica's *control* stream and have not been silent since (L43), by number.
    pub fn in_reach(&self) -> Vec<u32> {
        let queues = self.shared.queues.iter();
        let control =
            queues.filter(|((_, kind), queue)| *kind == PeerStream::Control && queue.is_open());
        let mut numbers: Vec<u32> = control.map(|((number, _), _)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Send messages to their receivers: a stream that is idle takes little ones from this thread. Never waits; a message
    /// to a peer that is not connected is dropped: Raft repeats what matters. So is one for which there is no room, and
    /// then [`PeerEvents::disconnected`] says so.
    pub fn send(&self, messages: Vec<PeerMessage>) {
        for message in messages {
            let peer_stream = (replica_number(message.to), message.stream());
            if let Some(queue) = self.shared.queues.get(&peer_stream)
                && !queue.push(message)
            {
                self.shared.events.disconnected(peer_stream.0);
            }
        }
        // After all of them: what goes on one stream leaves in one write.
        for queue in self.shared.queues.values() {
            queue.send(&*self.shared.source);
        }
    }

    /// Close all connections and stop dialling.
    pub fn close(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.accepted.close();
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.close();
        if let Some(control) = self.control.take() {
            // Whoever drops this may be a task, which must not wait for threads.
            control.shutdown_background();
        }
    }
}

fn control_thread() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("control")
        .enable_all()
        .build()
}
