//! What request handlers may use. A handler takes the two or three parts it needs, never this whole.

pub(crate) mod commits;
pub(crate) mod creations;
pub(crate) mod holds;
pub(crate) mod numbering;
pub(crate) mod registry;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::channels::mailbox::Mailbox;
use crate::counters::Counters;
use crate::roles::RoleBoard;
use crate::settings::Settings;
use crate::views::Views;
use commits::Commits;
use creations::Creations;
use holds::HoldTable;
use registry::ClientRegistry;

/// The parts, for wiring.
pub struct Services {
    /// Settings of this process.
    pub settings: Settings,
    /// Committed past.
    pub views: Arc<Views>,
    /// Who leads.
    pub roles: Arc<RoleBoard>,
    /// The way into the log.
    pub mailbox: Mailbox,
    /// Parked pulls.
    pub holds: Arc<HoldTable>,
    /// Connected clients and their groups.
    pub clients: Arc<ClientRegistry>,
    /// Topics and groups on their way into being.
    pub creations: Arc<Creations>,
    /// Consumer offsets on their way into the log.
    pub commits: Arc<Commits>,
    /// What was put and got.
    pub counters: Arc<Counters>,
    /// For work that must not run on the calling thread.
    pub runtime: Handle,
}
