//! The role of this replica as everybody else sees it: published after each turn that changed it.

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use tern_replication::{Role, replica_number};

use crate::node::NodeEvents;
use crate::replica::RoleChange;
use crate::views::RoleView;

/// Publishes the role, and knows the client addresses that other members named.
pub struct RoleBoard {
    view: ArcSwap<RoleView>,
    addresses: Mutex<HashMap<u32, String>>,
    events: Arc<dyn NodeEvents>,
}

impl RoleBoard {
    pub(crate) fn new(own: u32, address: String, events: Arc<dyn NodeEvents>) -> Self {
        Self {
            view: ArcSwap::from_pointee(RoleView {
                role: Role::Follower,
                term: 0,
                leader: 0,
                leader_address: None,
            }),
            addresses: Mutex::new(HashMap::from_iter([(own, address)])),
            events,
        }
    }

    /// The role as of the last turn.
    pub fn view(&self) -> Guard<Arc<RoleView>> {
        self.view.load()
    }

    /// A peer said where its clients reach it.
    pub(crate) fn learn_address(&self, number: u32, address: &str) {
        self.addresses.lock().insert(number, address.to_owned());
        let view = self.view.load_full();
        if replica_number(view.leader) == number && view.leader_address.as_deref() != Some(address)
        {
            self.view.store(Arc::new(RoleView {
                leader_address: Some(address.to_owned()),
                ..(*view).clone()
            }));
        }
    }

    pub(crate) fn changed(&self, change: RoleChange) {
        let leader_address = self
            .addresses
            .lock()
            .get(&replica_number(change.leader))
            .cloned();
        let view = RoleView {
            role: change.role,
            term: change.term,
            leader: change.leader,
            leader_address,
        };
        self.view.store(Arc::new(view.clone()));
        self.events.role_changed(&view);
    }
}
