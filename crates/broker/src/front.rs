//! Where requests of clients come in: to the engine's handlers, to the control plane, or nowhere.

use std::sync::{Arc, OnceLock};

use tern_net::{Connection, Credit, Handler};
use tern_wire::Command;
use tern_wire::codes::response;

use crate::node::NodeEvents;
use crate::refused::Refused;
use crate::requests::{Families, Incoming};
use crate::routes;
use crate::services::Services;

/// The handler of both client ports.
pub struct Front {
    serving: Arc<OnceLock<Arc<Services>>>,
    families: OnceLock<Families>,
    events: Arc<dyn NodeEvents>,
    control_codes: Vec<i32>,
}

impl Front {
    /// `serving` is filled when the replica begins to serve; `control_codes` are answered by the control plane.
    pub fn new(
        serving: Arc<OnceLock<Arc<Services>>>,
        events: Arc<dyn NodeEvents>,
        control_codes: &[i32],
    ) -> Self {
        let mut control_codes = control_codes.to_vec();
        control_codes.sort_unstable();
        Self {
            serving,
            families: OnceLock::new(),
            events,
            control_codes,
        }
    }

    fn families(&self) -> Option<&Families> {
        if let Some(families) = self.families.get() {
            return Some(families);
        }
        let services = self.serving.get()?;
        Some(self.families.get_or_init(|| Families::new(services)))
    }
}

impl Handler for Front {
    fn opened(&self, _: &Arc<Connection>) {}

    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit) {
        let code = command.code;
        let Some(route) = routes::find(code) else {
            if self.control_codes.binary_search(&code).is_ok() {
                self.events.request(connection, command, credit);
            } else {
                Incoming::new(connection, command, credit)
                    .reply
                    .refuse_now(unknown(code));
            }
            return;
        };
        let incoming = Incoming::new(connection, command, credit);
        match self.families() {
            Some(families) => (route.handle)(families, incoming),
            None => incoming.reply.refuse_now(not_yet()),
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        // Nobody is registered before there are families.
        if let Some(families) = self.families.get() {
            families.members.closed(connection);
        }
        self.events.closed(connection);
    }
}

/// The blank at the beginning is RocketMQ's.
fn unknown(code: i32) -> Refused {
    Refused::new(
        response::REQUEST_CODE_NOT_SUPPORTED,
        format!(" request type {code} not supported"),
    )
}

fn not_yet() -> Refused {
    Refused::new(
        response::SERVICE_NOT_AVAILABLE,
        "service not available now: this replica has started and does not serve yet, its group is being founded or \
         its log is being read",
    )
}
