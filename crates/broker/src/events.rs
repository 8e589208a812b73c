//! What a replica tells the control plane.

use std::sync::Arc;

use tern_net::{Connection, Credit};
use tern_requests::RoleView;
use tern_wire::Command;

/// What the control plane is told. Called on the replica's threads; must not block.
pub trait NodeEvents: Send + Sync + 'static {
    /// Role, term or leader changed.
    fn role_changed(&self, view: &RoleView);
    /// The topic table changed.
    fn topics_changed(&self, counter: u64, changed_at_ms: u64);
    /// The replica stopped by itself; the sentence says why and what to do.
    fn stopped(&self, sentence: &str);
    /// A request with one of the control codes.
    fn request(&self, connection: &Arc<Connection>, command: Command, credit: Credit);
    /// A client connection ended.
    fn closed(&self, connection: &Arc<Connection>);
}
