//! What the handlers of one simulated replica work with.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::Guard;
use tern_replica::NearSlaves;
use tern_requests::{
    ClientRegistry, Clocks, Consistency, Numbering, RoleView, Settings, TableLimits, View, Views,
};

/// How long a queue stays with a client that does not renew its lock, ms: histories are shorter than RocketMQ's minute.
pub(crate) const LEASE_MS: u64 = 2_000;
/// Where clients reach a replica.
pub(crate) const HOST: ([u8; 4], u16) = ([127, 0, 0, 1], 10911);

/// What the handlers of one replica work with.
pub struct Serving {
    pub views: Arc<Views>,
    settings: Settings,
    clients: ClientRegistry,
    numbering: Numbering,
}

/// The clocks of a machine at one moment.
pub(crate) struct MomentOfClocks {
    pub monotonic_ms: u64,
    pub wall_ms: u64,
}

impl Clocks for MomentOfClocks {
    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms
    }

    fn wall_ms(&self) -> u64 {
        self.wall_ms
    }
}

impl Serving {
    /// As a broker has it when it begins to serve. `life` tells the starts of a process apart.
    pub fn new(views: Views, life: u32) -> Self {
        let store_host = SocketAddr::from(HOST);
        Self {
            views: Arc::new(views),
            settings: Settings {
                cluster: "sim".to_owned(),
                group: "g".to_owned(),
                store_host,
                auto_create_group: true,
                max_message_bytes: 4 << 20,
                lock_lease_ms: LEASE_MS,
                slave_read: true,
                far_behind_bytes: u64::MAX,
                limits: TableLimits::default(),
            },
            clients: ClientRegistry::new(),
            numbering: Numbering::new(store_host.ip(), 1, life),
        }
    }

    pub(crate) fn view<'a>(
        &'a self,
        role: RoleView,
        clock: &'a MomentOfClocks,
        consistency: Consistency,
        near_slaves: NearSlaves,
    ) -> View<'a> {
        View {
            settings: &self.settings,
            views: &self.views,
            clients: &self.clients,
            numbering: &self.numbering,
            clock,
            role: Guard::from_inner(Arc::new(role)),
            state: self.views.state(),
            consistency,
            is_leaving: false,
            near_slaves,
            reads_cold: true,
        }
    }
}
