//! One replica alone: it always appends, and what is durable is committed (mode `multi-master`).

use crate::entry::ThinEntry;
use crate::member::ReplicaId;
use crate::membership::{Configuration, Membership};
use crate::peer::PeerMessage;
use crate::strategy::{AppendRejected, Persisted, Replication, Role, Status, StepError, Work};
use std::collections::VecDeque;
use tern_log::{Descriptor, FrameKind};

/// The strategy of a group without slaves.
#[derive(Debug)]
pub struct Solo {
    id: ReplicaId,
    epoch: u64,
    commit: u64,
    last_index: u64,
    number: Persisted,
    waiting: Vec<ThinEntry>,
    in_flight: VecDeque<(Persisted, u64)>,
    reads: Vec<u64>,
    announced: bool,
}

impl Solo {
    /// Take over a log whose frames up to `last_index` are durable.
    ///
    /// `epoch` is the column that terms fill in mode `raft`; it never falls.
    pub fn new(id: ReplicaId, epoch: u64, last_index: u64) -> Self {
        Self {
            id,
            epoch,
            commit: last_index,
            last_index,
            number: 0,
            waiting: Vec::new(),
            in_flight: VecDeque::new(),
            reads: Vec::new(),
            announced: false,
        }
    }
}

impl Replication for Solo {
    fn tick(&mut self) {}

    fn step(&mut self, message: &PeerMessage) -> Result<(), StepError> {
        Err(StepError::UnknownPeer(message.from))
    }

    fn propose(
        &mut self,
        first_index: u64,
        descriptors: &[Descriptor],
    ) -> Result<(), AppendRejected> {
        assert_eq!(first_index, self.last_index + 1, "appends are contiguous");
        for descriptor in descriptors {
            self.last_index += 1;
            self.waiting.push(ThinEntry {
                index: self.last_index,
                term: self.epoch,
                kind: FrameKind::Batch,
                descriptor: Some(*descriptor),
            });
        }
        Ok(())
    }

    fn propose_membership(
        &mut self,
        _index: u64,
        _membership: &Membership,
    ) -> Result<(), AppendRejected> {
        Err(AppendRejected::NotLeader)
    }

    fn read(&mut self, context: u64) -> Result<(), AppendRejected> {
        self.reads.push(context);
        Ok(())
    }

    fn has_work(&self) -> bool {
        !self.announced || !self.waiting.is_empty() || !self.reads.is_empty()
    }

    fn work(&mut self) -> Work {
        self.announced = true;
        self.number += 1;
        let entries = std::mem::take(&mut self.waiting);
        if let Some(last) = entries.last() {
            self.in_flight.push_back((self.number, last.index));
        }
        let commit = self.commit;
        Work {
            number: self.number,
            entries,
            commit,
            reads: self
                .reads
                .drain(..)
                .map(|context| (context, commit))
                .collect(),
            ..Work::default()
        }
    }

    fn written(&mut self, _memberships: &[Membership]) -> Result<(), StepError> {
        Ok(())
    }

    fn configuration(&self) -> Configuration {
        Configuration {
            voters: vec![self.id],
            ..Configuration::default()
        }
    }

    fn changes_membership(&self) -> bool {
        false
    }

    fn durable(&mut self, number: Persisted) {
        while let Some(&(flying, last)) = self.in_flight.front() {
            if flying > number {
                break;
            }
            self.in_flight.pop_front();
            self.commit = last;
            self.announced = false;
        }
    }

    fn transfer(&mut self, _to: ReplicaId) {}

    fn transferring(&self) -> bool {
        false
    }

    fn step_down(&mut self) {}

    fn may_stand(&mut self, _may: bool) {}

    fn forget_leader(&mut self, _peer: ReplicaId) -> bool {
        false
    }

    fn campaign(&mut self) {}

    fn matched(&self, _peer: ReplicaId) -> u64 {
        0
    }

    fn successor(&self) -> Option<ReplicaId> {
        None
    }

    fn unreachable(&mut self, _peer: ReplicaId) {}

    fn take_unreadable(&mut self) -> bool {
        false
    }

    fn status(&self) -> Status {
        Status {
            role: Role::Leader,
            term: self.epoch,
            leader: self.id,
            commit: self.commit,
            settled: true,
        }
    }
}
