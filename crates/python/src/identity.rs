//! Message ids (`UNIQ_KEY`), one maker a process.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use pyo3::prelude::*;
use tern_wire::message_id::UniqueIdMaker;

/// Makes the ids of one crossing: the maker and the clock are looked at once.
pub(crate) struct MessageIds {
    maker: Arc<UniqueIdMaker>,
    now_ms: u64,
}

impl MessageIds {
    /// Ids of this process and this moment.
    pub(crate) fn now() -> Self {
        /// The maker, and the process it belongs to: a fork needs another one.
        static MAKER: Mutex<Option<(u32, Arc<UniqueIdMaker>)>> = Mutex::new(None);
        let process_id = std::process::id();
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut made = MAKER.lock();
        let maker = match &*made {
            Some((owner, maker)) if *owner == process_id => Arc::clone(maker),
            _ => {
                let salt = RandomState::new().build_hasher().finish() as u32;
                let maker = Arc::new(UniqueIdMaker::new(own_address(), process_id, salt));
                *made = Some((process_id, Arc::clone(&maker)));
                maker
            }
        };
        Self {
            maker,
            now_ms: since_epoch.as_millis() as u64,
        }
    }

    /// The next one.
    pub(crate) fn next(&self) -> String {
        self.maker.make(self.now_ms)
    }
}

#[pyfunction]
pub(crate) fn unique_id() -> String {
    MessageIds::now().next()
}

/// The address from which this machine would reach others. Connecting a datagram socket sends nothing.
fn own_address() -> IpAddr {
    let outwards = SocketAddr::from(([192, 0, 2, 1], 9));
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(outwards).and_then(|()| socket.local_addr()))
        .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}
