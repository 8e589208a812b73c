//! What request handlers may use. A handler takes the two or three parts it needs, never this whole.

pub(crate) mod cold_lane;
pub(crate) mod consumer_offset_manager;
pub(crate) mod holds;
pub(crate) mod metadata_changes;

use std::sync::Arc;

use tern_requests::{ClientRegistry, Settings, Views};
use tokio::runtime::Handle;

use crate::channels::mailbox::Mailbox;
use crate::counters::MessageCounters;
use crate::roles::RoleBoard;
use cold_lane::ColdLane;
use consumer_offset_manager::ConsumerOffsetManager;
use holds::HoldTable;
use metadata_changes::MetadataChanges;

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
    /// Requests that read old messages.
    pub cold_lane: ColdLane,
    /// Connected clients and their groups.
    pub clients: Arc<ClientRegistry>,
    /// Topics and groups on their way into being.
    pub metadata_changes: Arc<MetadataChanges>,
    /// Consumer offsets on their way into the log.
    pub offset_manager: Arc<ConsumerOffsetManager>,
    /// What was put and got.
    pub counters: Arc<MessageCounters>,
    /// For work that must not run on the calling thread.
    pub runtime: Handle,
}
