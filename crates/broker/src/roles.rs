//! The role of this replica as everybody else sees it: published after each turn that changed it.
//!
//! Leadership is announced to the control plane only once everything committed before it is applied here: what a new
//! leader registers is its topic table, and a replica that has just started may still be reading its log.

use arc_swap::{ArcSwap, Guard};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tern_replica::{DiskCondition, ElectionCause, NearSlaves, Outcome, RejectReason, RoleChange};
use tern_replication::{Role, replica_number};
use tern_requests::RoleView;

use crate::channels::mailbox::Mailbox;
use crate::clock;
use crate::events::NodeEvents;

/// An election that this replica won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WonElection {
    /// Term that began.
    pub term: u64,
    /// Why this replica stood.
    pub cause: ElectionCause,
    /// When it won, ms since 1970.
    pub at_ms: u64,
}

/// Publishes the role, and knows the client addresses that other members named.
pub struct RoleBoard {
    view: ArcSwap<RoleView>,
    /// What the control plane was told last; held while it is told, so that it hears roles in their order.
    told: Mutex<RoleView>,
    addresses: Mutex<HashMap<u32, String>>,
    near_slaves: AtomicU64,
    election: Mutex<Option<WonElection>>,
    disk: Mutex<DiskCondition>,
    events: Arc<dyn NodeEvents>,
}

impl RoleBoard {
    pub(crate) fn new(own: u32, address: String, events: Arc<dyn NodeEvents>) -> Self {
        let unknown = RoleView {
            role: Role::Follower,
            term: 0,
            leader: 0,
            leader_address: None,
            is_slave: false,
            since_ms: 0,
        };
        Self {
            view: ArcSwap::from_pointee(unknown.clone()),
            told: Mutex::new(unknown),
            addresses: Mutex::new(HashMap::from_iter([(own, address)])),
            near_slaves: AtomicU64::new(0),
            election: Mutex::new(None),
            disk: Mutex::default(),
            events,
        }
    }

    /// The role as of the last turn.
    pub fn view(&self) -> Guard<Arc<RoleView>> {
        self.view.load()
    }

    /// The role that the control plane was told last.
    pub fn told(&self) -> RoleView {
        self.told.lock().clone()
    }

    /// Slaves that consumers far behind can be sent to, as of the last turn.
    pub(crate) fn near_slaves(&self) -> NearSlaves {
        NearSlaves::from_bits(self.near_slaves.load(Ordering::Relaxed))
    }

    /// A turn has ended.
    pub(crate) fn see_slaves(&self, near: NearSlaves) {
        self.near_slaves.store(near.bits(), Ordering::Relaxed);
    }

    /// How the disk of this replica is, beside those of the others.
    pub fn disk(&self) -> DiskCondition {
        *self.disk.lock()
    }

    /// A turn has found it changed.
    pub(crate) fn see_disk(&self, condition: DiskCondition) {
        *self.disk.lock() = condition;
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

    /// Where clients reach a member, if it has said so.
    pub fn address(&self, number: u32) -> Option<String> {
        self.addresses.lock().get(&number).cloned()
    }

    /// The newest election that this replica won since its start.
    pub fn won_election(&self) -> Option<WonElection> {
        *self.election.lock()
    }

    /// For how long the role and the term are what they are, ms; 0 before the first.
    pub fn age_ms(&self) -> u64 {
        match self.view.load().since_ms {
            0 => 0,
            since_ms => clock::monotonic_ms().saturating_sub(since_ms),
        }
    }

    pub(crate) fn changed(&self, change: RoleChange) {
        self.changed_at(change, clock::monotonic_ms());
    }

    /// The same at this time of the monotonic clock. What is said again of a role does not make it younger.
    fn changed_at(&self, change: RoleChange, now_ms: u64) {
        let leader_address = self
            .addresses
            .lock()
            .get(&replica_number(change.leader))
            .cloned();
        let mut told = self.told.lock();
        let before = self.view.load();
        let is_same = (before.role, before.term) == (change.role, change.term);
        let view = RoleView {
            role: change.role,
            term: change.term,
            leader: change.leader,
            leader_address,
            is_slave: change.is_slave,
            since_ms: if is_same { before.since_ms } else { now_ms },
        };
        self.view.store(Arc::new(view.clone()));
        if let Some(cause) = change.cause
            && !is_same
        {
            *self.election.lock() = Some(WonElection {
                term: change.term,
                cause,
                at_ms: clock::wall_ms(),
            });
        }
        if !view.leads() {
            self.events.role_changed(&view);
            *told = view;
        }
    }

    /// All that was committed before this leadership is applied.
    fn announce(&self, term: u64) {
        let mut told = self.told.lock();
        let view = self.view.load_full();
        if view.leads() && view.term == term {
            self.events.role_changed(&view);
            *told = (*view).clone();
        }
    }

    /// Whether it leads in this term, as of the last turn.
    pub(crate) fn leads_in(&self, term: u64) -> bool {
        let view = self.view.load();
        view.leads() && view.term == term
    }
}

/// Announce a leadership as soon as ReadIndex shows that the views have all that was committed before it, then have
/// `begin` called with the term, on the apply thread.
pub(crate) fn confirm_leadership(
    roles: &Arc<RoleBoard>,
    mailbox: &Mailbox,
    term: u64,
    begin: impl Fn(u64) + Send + 'static,
) {
    let (board, again) = (Arc::clone(roles), mailbox.clone());
    let read = mailbox.read(Box::new(move |outcome, _| match outcome {
        Outcome::Confirmed(_) if board.leads_in(term) => {
            board.announce(term);
            begin(term);
        }
        Outcome::Rejected(RejectReason::Stopping) => {}
        // It took too long; as long as this replica leads, it has to be announced.
        _ if board.leads_in(term) => confirm_leadership(&board, &again, term, begin),
        _ => {}
    }));
    // A box without a reader belongs to a process that is stopping.
    drop(read);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response_batch::ResponseBatch;
    use crate::testing::{ReplicaBench, leading, role_board};
    use tern_replica::Bound;

    const OWN: u64 = 1 << 32 | 1;

    fn change(role: Role, term: u64) -> RoleChange {
        RoleChange {
            role,
            term,
            leader: OWN,
            is_slave: false,
            cause: (role == Role::Leader).then_some(ElectionCause::LeaderGone),
        }
    }

    #[test]
    fn leadership_is_told_when_all_before_it_is_applied_and_other_roles_at_once() {
        let bench = ReplicaBench::new();
        let roles = Arc::new(role_board());
        roles.changed(change(Role::Candidate, 3));
        assert_eq!(roles.told().role, Role::Candidate);
        roles.changed(change(Role::Leader, 3));
        let begun = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&begun);
        confirm_leadership(&roles, &bench.mailbox, 3, move |term| {
            note.lock().push(term);
        });
        assert!(roles.view().leads() && !roles.told().leads());
        let busy = Outcome::Rejected(RejectReason::Busy(Bound::Waiting));
        bench.read().expect("asked")(busy, &mut ResponseBatch::default());
        assert!(!roles.told().leads());
        bench.read().expect("asked again")(Outcome::Confirmed(7), &mut ResponseBatch::default());
        assert!(roles.told().leads() && roles.told().term == 3);
        assert_eq!(*begun.lock(), [3]);
        roles.changed(change(Role::Follower, 4));
        assert_eq!(roles.told().role, Role::Follower);
    }

    #[test]
    fn a_role_is_as_old_as_its_term_here_however_often_it_is_said() {
        let roles = role_board();
        let since = |change, now_ms| {
            roles.changed_at(change, now_ms);
            roles.view().since_ms
        };
        assert_eq!(since(change(Role::Leader, 3), 700), 700);
        assert_eq!(since(change(Role::Leader, 3), 900), 700);
        assert_eq!(since(change(Role::Follower, 4), 950), 950);
        assert_eq!(since(change(Role::Leader, 5), 1_000), 1_000);
        let at = roles.view().lease_time(1_500);
        assert_eq!((at.term, at.since_ms, at.now_ms), (5, 1_000, 1_500));
    }

    #[test]
    fn a_leadership_that_has_passed_is_not_told() {
        let bench = ReplicaBench::new();
        let roles = Arc::new(leading());
        confirm_leadership(&roles, &bench.mailbox, 1, |_| panic!("it has passed"));
        let read = bench.read().expect("asked");
        roles.changed(change(Role::Follower, 2));
        read(Outcome::Confirmed(7), &mut ResponseBatch::default());
        assert_eq!((roles.told().role, roles.told().term), (Role::Follower, 2));
    }
}
