//! Members come and go: what an operator asks for, and what is known of it.

use tern_log::FrameKind;
use tern_replica::{MembershipRequest, Outcome};
use tern_replication::{Membership, Newcomer, replica_number};

use super::history::{World, WorldEvent};
use crate::auditor;
use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::network::node_of;

impl World {
    /// The membership of the replica that leads in the greatest term.
    pub fn membership(&self) -> Option<&Membership> {
        let running = self.machines.iter().filter_map(Machine::any_running);
        let leading = running.filter_map(|running| Some((running.leads()?, running)));
        let (_, leader) = leading.max_by_key(|(term, _)| *term)?;
        Some(leader.replica.membership())
    }

    /// Whether a machine is a voter of the group, as its leader knows, and nothing is under way.
    pub fn is_settled_voter(&self, at: usize) -> bool {
        let is_in = |membership: &Membership| {
            let configuration = &membership.configuration;
            !configuration.is_joint() && configuration.voters.contains(&self.machines[at].id())
        };
        self.membership().is_some_and(is_in)
    }

    /// An operator expects a machine as a new member, in the place of another one or of nobody, and starts it.
    ///
    /// # Errors
    /// If it stops at once.
    pub fn add_member(
        &mut self,
        at: usize,
        in_place_of: Option<usize>,
    ) -> Result<(), BrokenPromise> {
        if self.machines[at].any_running().is_some() {
            // It was taken out, and has not heard so.
            self.kill(at);
        }
        if self.machines[at].process.is_none() {
            let machine = &mut self.machines[at];
            machine.halted = None;
            machine.damage = None;
            machine.is_used = true;
            self.forget(at);
            self.restart(at)?;
        }
        self.ask(MembershipRequest::Add(Newcomer {
            number: at as u32 + 1,
            name: format!("n{at}"),
            address: String::new(),
            directory: [0; 16],
            replaces: in_place_of.map_or(0, |other| other as u32 + 1),
        }));
        Ok(())
    }

    /// An operator takes a member out.
    pub fn remove_member(&mut self, at: usize) {
        self.ask(MembershipRequest::Remove(at as u32 + 1));
    }

    /// What operators were told of their changes, in the order of the answers.
    pub fn told(&self) -> &[Outcome] {
        &self.told
    }

    /// Words of a hand-over are lost from now on.
    pub fn lose_handovers(&mut self) {
        self.loses_handovers = true;
    }

    /// The kinds of the frames in the log of a process that runs.
    pub fn kinds(&self, at: usize) -> Vec<FrameKind> {
        let running = self.machines[at].any_running();
        running.map_or_else(Vec::new, |running| {
            let end = running.reader.end().index;
            let headers = running.reader.headers(1, end + 1).unwrap_or_default();
            headers.iter().map(|header| header.kind).collect()
        })
    }

    /// Indexes of the frames that changed the members, in the log of a process that runs.
    pub fn membership_steps(&self, at: usize) -> Vec<usize> {
        let kinds = self.kinds(at).into_iter().enumerate();
        let steps = kinds.filter(|(_, kind)| *kind == FrameKind::Membership);
        steps.map(|(at, _)| at + 1).collect()
    }

    fn ask(&mut self, request: MembershipRequest) {
        let Some(leader) = self.leader() else { return };
        self.say(format_args!("node {leader} is asked: {request:?}"));
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        if let Some(running) = self.machines[leader].running() {
            running.inbox.membership.push((ticket, request));
            self.waiting.insert(
                ticket,
                Box::new(|world, at, outcome: Outcome| {
                    world.say(format_args!("node {at} answers: {outcome:?}"));
                    world.told.push(outcome.clone());
                    if matches!(outcome, Outcome::Stored(_)) {
                        *world.figures.faults.entry("members asked for").or_default() += 1;
                    }
                    Ok(())
                }),
            );
        }
    }

    /// An operator does something about the members: adds one, takes one out, or puts one in another's place. Machines that
    /// were taken out are switched off at some time.
    pub(super) fn change_members(&mut self) -> Result<(), BrokenPromise> {
        let Some((least, most)) = self.swarm.change_pause else {
            return Ok(());
        };
        let pause = self.random.between(least, most);
        self.after(pause, WorldEvent::Change);
        if !self.faults.is_active {
            return Ok(());
        }
        let Some(membership) = self.membership().cloned() else {
            return Ok(());
        };
        let configuration = &membership.configuration;
        let (mut outside, mut voters) = (Vec::new(), Vec::new());
        for at in 0..self.swarm.machines() {
            let number = at as u32 + 1;
            let is_of = |id: &u64| replica_number(*id) == number;
            if configuration.voters.iter().any(is_of) {
                voters.push(at);
            } else if !configuration
                .learners
                .iter()
                .chain(&configuration.outgoing)
                .any(is_of)
            {
                outside.push(at);
            }
        }
        for at in outside.clone() {
            let was_in = membership.member(at as u32 + 1).is_some();
            if was_in && self.machines[at].any_running().is_some() && self.random.chance(50) {
                self.kill(at);
                self.machines[at].is_used = false;
            }
        }
        let target = voters[self.random.below(voters.len() as u64) as usize];
        let newcomer = outside.get(self.random.below(outside.len().max(1) as u64) as usize);
        match (newcomer.copied(), self.random.below(3)) {
            (Some(newcomer), 0) => self.add_member(newcomer, None),
            (Some(newcomer), 1) => self.add_member(newcomer, Some(target)),
            _ if voters.len() > 3 => {
                self.remove_member(target);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Another membership is in force on a replica.
    pub(super) fn members_changed(
        &mut self,
        at: usize,
        index: u64,
        membership: &Membership,
    ) -> Result<(), BrokenPromise> {
        let configuration = &membership.configuration;
        self.say(format_args!(
            "on node {at} since {index}: {configuration:x?}"
        ));
        self.ledger.configured(at, index, configuration)?;
        if !configuration.is_joint() {
            let wiped = self.machines.iter_mut();
            for machine in wiped.filter(|machine| machine.damage == Some("wiped disk")) {
                // A member like any other again, in its new life.
                let id = machine.id();
                if configuration.voters.contains(&id) && !self.ledger.is_lost(id) {
                    machine.damage = None;
                    *self.figures.faults.entry("rejoined").or_default() += 1;
                }
            }
        }
        Ok(())
    }

    /// A majority of the disks that count has a frame, by what is on their platters.
    pub(super) fn check_majority(
        &self,
        at: usize,
        index: u64,
        what: &str,
    ) -> Result<(), BrokenPromise> {
        let Some(running) = self.machines[at].any_running() else {
            return Ok(());
        };
        let Ok(frame) = running.reader.frame(index) else {
            return Ok(());
        };
        let segment_size = self.swarm.segment_size;
        let holds: Vec<bool> = self
            .machines
            .iter()
            .map(|machine| {
                machine.damage.is_some() || auditor::shows(machine, &frame, segment_size)
            })
            .collect();
        let counted = self.ledger.counted_by(index);
        if counted
            .iter()
            .any(|by| by.has_majority(|id| holds[node_of(id)]))
        {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "frame {index} was {what} by node {at}, and no majority of {counted:x?} had it: {holds:?}"
        )))
    }

    /// What is missing until the members are as their leader says: nothing is under way, and who has come is a voter.
    pub(super) fn members_agree(&self) -> Result<(), String> {
        if !self.swarm.rejoins {
            return Ok(());
        }
        let membership = self.membership().ok_or("nobody leads")?;
        let configuration = &membership.configuration;
        if configuration.is_joint() {
            return Err(format!("nobody leaves {configuration:x?}"));
        }
        let is_left = |id: &&u64| {
            let machine = &self.machines[node_of(**id)];
            machine.process.is_some() && machine.damage.is_none()
        };
        match configuration.learners.iter().find(is_left) {
            Some(learner) => Err(format!("learner {learner:x} is not promoted")),
            None => Ok(()),
        }
    }

    /// Whether a machine counts, as the leader knows.
    pub(super) fn is_member(&self, at: usize) -> bool {
        if !self.swarm.rejoins {
            return true;
        }
        let id = self.machines[at].id();
        self.membership()
            .is_some_and(|membership| membership.configuration.contains(id))
    }
}
