//! The end of a history: everything is healed, and then a healthy majority has to agree, and every promise is looked at.

use super::history::{HEALING, MILLISECOND, SECOND, World};
use crate::auditor;
use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::network::Weather;
use crate::process::RunningReplica;

impl World {
    /// Heal everything; then a healthy majority must elect, commit and agree.
    ///
    /// # Errors
    /// What is missing.
    pub fn heal(&mut self) -> Result<(), BrokenPromise> {
        self.end_faults();
        self.weather = Weather::fair();
        for at in 0..self.swarm.machines() {
            let life = self.machines[at].life;
            self.wake(at, life)?;
            let met_an_error = |running: &RunningReplica| running.replica.has_rotted();
            let machine = &self.machines[at];
            if machine.damage.is_none() && machine.any_running().is_some_and(met_an_error) {
                // The disk reads again, and an operator starts what has said that it did not.
                self.kill(at);
            }
            self.restart(at)?;
            self.replace_slave(at)?;
        }
        let fresh = self.next_uid + 1;
        let end = self.now + HEALING;
        let mut missing = "nothing was looked at".to_owned();
        while self.now < end {
            self.run_until(self.now + 200 * MILLISECOND)?;
            // It may meet damage after its start only.
            self.replace_slave(self.swarm.members - 1)?;
            match self.agreed(fresh) {
                Ok(leader) => return self.settle(leader),
                Err(what) => missing = what,
            }
        }
        let lost_one = self.machines.iter().any(|machine| machine.halted.is_some());
        if lost_one && !self.ledger.has_led() {
            // A disk was lost before the group had begun. Nothing was promised, and nobody may begin without it.
            return Ok(());
        }
        let states: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        Err(BrokenPromise(format!(
            "no agreement {} s after healing: {missing}; {}",
            HEALING / SECOND,
            states.join("; ")
        )))
    }

    /// A slave that has stopped for good is started with an empty disk by its operator: its master has everything.
    fn replace_slave(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let machine = &mut self.machines[at];
        if at == 0 || !self.swarm.mode.has_slaves() || machine.halted.take().is_none() {
            return Ok(());
        }
        machine.disk.wipe();
        machine.damage = None;
        self.tails[at].clear();
        self.restart(at)
    }

    /// A leader whose commits every sound replica has applied, among them a send made after healing.
    pub(super) fn agreed(&mut self, fresh: u64) -> Result<usize, String> {
        if !self.ledger.has_fresh(fresh) {
            return Err("no send was acknowledged".to_owned());
        }
        let leads = |machine: &Machine| machine.any_running().is_some_and(|r| r.leads().is_some());
        let leader = self.machines.iter().position(leads);
        let leader = leader.ok_or("nobody leads")?;
        let leading = self.machines[leader].any_running().expect("it leads");
        let commit = leading.committed;
        let progress = |level| leading.state().delay_progress(level);
        if let Some((uid, level)) = self.ledger.overdue(progress, self.now) {
            return Err(format!("delayed send {uid} of level {level} is overdue"));
        }
        self.members_agree()?;
        let members = self.machines.iter().filter(|m| self.is_member(m.at));
        for machine in members.filter(|m| m.damage.is_none()) {
            let applied = machine.any_running().map_or(0, RunningReplica::applied);
            if applied + 50 < commit {
                return Err(format!(
                    "node {} has applied {applied} of {commit}",
                    machine.at
                ));
            }
        }
        Ok(leader)
    }

    pub(super) fn settle(&mut self, leader: usize) -> Result<(), BrokenPromise> {
        let commit = self.ledger.last_committed();
        let sound = self.machines.iter().filter(|m| m.damage.is_none());
        let readers = sound
            .filter_map(Machine::any_running)
            .map(|r| r.reader.clone());
        let mut readers = readers.filter(|reader| self.ledger.is_committed(reader));
        let reader = readers.next().ok_or_else(|| {
            BrokenPromise("no sound replica has all that was committed".to_owned())
        })?;
        self.figures.time = self.now;
        self.ledger.settle(&reader)?;
        for other in &self.machines {
            let Some(running) = other.any_running() else {
                continue;
            };
            if other.at == leader
                || other.damage.is_some()
                || self.machines[leader].damage.is_some()
            {
                continue;
            }
            let both = commit.min(running.committed);
            let header = reader.header(both);
            let end = header.map_or(0, |header| header.end_position());
            let segment_size = self.swarm.segment_size;
            auditor::compare_files(&self.machines[leader], other, end, segment_size)?;
        }
        Ok(())
    }
}
