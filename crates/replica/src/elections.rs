//! Why a replica stood for the election that it won: what operators are told, decides nothing.

use tern_replication::{ReplicaId, Role, Status};

/// What made a new leader stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElectionCause {
    /// It had known no leader since its start.
    Started,
    /// The leader before was silent for an election timeout.
    LeaderSilent,
    /// The process of the leader before was gone (`docs/fast-election.md`).
    LeaderGone,
    /// The leader before handed over.
    HandedOver,
    /// An operator promoted this slave.
    Promoted,
}

impl ElectionCause {
    /// The word for operators.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::LeaderSilent => "leader_silent",
            Self::LeaderGone => "leader_gone",
            Self::HandedOver => "handed_over",
            Self::Promoted => "promoted",
        }
    }
}

/// Remembers from one turn to the next why this replica stands.
#[derive(Debug, Default)]
pub(crate) struct Elections {
    /// A cause, and the only term in which it can win.
    stands: Option<(ElectionCause, u64)>,
    has_followed: bool,
    won: Option<(ElectionCause, u64)>,
}

impl Elections {
    /// This replica stands, and wins in `term` if it does.
    pub(crate) fn stands(&mut self, cause: ElectionCause, term: u64) {
        self.stands = Some((cause, term));
    }

    /// What made it stand before it was known when; it wins in `term` if it does.
    pub(crate) fn stands_in(&mut self, term: u64) {
        if let Some((_, known)) = &mut self.stands {
            *known = term;
        }
    }

    /// The cause of the present leadership; `None` on others.
    pub(crate) fn cause(&mut self, own: ReplicaId, now: &Status) -> Option<ElectionCause> {
        if now.role != Role::Leader {
            self.has_followed |= now.leader != 0 && now.leader != own;
            return None;
        }
        if let Some((cause, term)) = self.won
            && term == now.term
        {
            return Some(cause);
        }
        let cause = match self.stands.take() {
            Some((cause, term)) if term == now.term => cause,
            _ if self.has_followed => ElectionCause::LeaderSilent,
            _ => ElectionCause::Started,
        };
        self.won = Some((cause, now.term));
        Some(cause)
    }
}
