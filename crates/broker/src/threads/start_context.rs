//! What the log thread starts with.

use std::sync::{Arc, OnceLock};

use tern_log::{DirectoryLock, Disk, StopKind, StopRecord};
use tern_peers::Peers;
use tern_replica::{BootstrapPlan, MemberStatus};
use tokio::runtime::Handle;

use super::fatal_error_handler::FatalErrorHandler;
use crate::channels::mailbox::Mailbox;
use crate::events::NodeEvents;
use crate::options::NodeOptions;
use crate::roles::RoleBoard;
use crate::services::Services;

/// What the log thread starts with.
pub(crate) struct StartContext {
    pub options: NodeOptions,
    pub plan: BootstrapPlan,
    pub disk: Arc<dyn Disk>,
    /// Held until the replica has stopped.
    pub _lock: DirectoryLock,
    pub stop_record: StopRecord,
    pub last_stop: StopKind,
    pub mailbox: Mailbox,
    pub peers: Option<Arc<Peers>>,
    pub roles: Arc<RoleBoard>,
    pub serving: Arc<OnceLock<Arc<Services>>>,
    pub member_status: Arc<MemberStatus>,
    pub fatal_errors: Arc<FatalErrorHandler>,
    pub events: Arc<dyn NodeEvents>,
    pub runtime: Handle,
}
