//! What a test does to a world, and asks of it.

use tern_replication::Phase;

use super::history::{Figures, World, WorldEvent};
use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::network::{Micros, Weather};

impl World {
    /// Virtual time, microseconds.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// Let time pass until something holds, for so long at most; answers whether it came to hold.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn run_while(
        &mut self,
        limit: Micros,
        goes_on: impl Fn(&Self) -> bool,
    ) -> Result<bool, BrokenPromise> {
        let end = self.now + limit;
        while goes_on(self) {
            if self.now >= end {
                return Ok(false);
            }
            self.run_until(self.now + 1)?;
        }
        Ok(true)
    }

    /// Kill a process; it stays dead until [`Self::start`].
    pub fn kill(&mut self, at: usize) {
        self.machines[at].kill();
        self.process_ended(at, true);
    }

    /// Start a process again.
    ///
    /// # Errors
    /// If it stops at once.
    pub fn start(&mut self, at: usize) -> Result<(), BrokenPromise> {
        self.restart(at)
    }

    /// Nothing gets from one machine to another any more.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.weather.cuts.push((from, to));
    }

    /// The network is whole again.
    pub fn mend(&mut self) {
        self.weather = Weather::fair();
    }

    /// Put an empty disk into a machine whose process is dead.
    pub fn wipe(&mut self, at: usize) {
        if !self.machines[at].is_slave() {
            self.machines[at].damage = Some("wiped disk");
        }
        self.machines[at].disk.wipe();
    }

    /// Whether a process holds frame 1 and has not started.
    pub fn is_founding(&self, at: usize) -> bool {
        let member_status = self.machines[at].member_status.as_ref();
        member_status.is_some_and(|member_status| member_status.phase().0 == Phase::Founding)
    }

    /// Whether a process takes part in its group.
    pub fn takes_part(&self, at: usize) -> bool {
        self.machines[at].any_running().is_some()
    }

    /// Tell a replica that a peer is gone, which lives.
    pub fn tell_gone(&mut self, to: usize, who: usize) {
        let life = self.machines[who].life;
        self.after(0, WorldEvent::Gone(to, who, life, true));
    }

    /// Break a connection; it is dialled again.
    pub fn break_link(&mut self, from: usize, to: usize) {
        if let Some(lives) = self.links.get(&(from, to)).copied() {
            self.after(0, WorldEvent::Lost(from, to, lives));
        }
    }

    /// Checksums of the frames' headers in the log of a process that runs; empty if none does.
    pub fn headers(&self, at: usize) -> Vec<u32> {
        let running = self.machines[at].any_running();
        running.map_or_else(Vec::new, |running| {
            let end = running.reader.end().index;
            let headers = running.reader.headers(1, end + 1).unwrap_or_default();
            headers.iter().map(|header| header.header_crc).collect()
        })
    }

    /// The greatest term that a running replica has seen.
    pub fn term(&self) -> u64 {
        let running = self.machines.iter().filter_map(Machine::any_running);
        let terms = running.map(|running| running.replica.status().term);
        terms.max().unwrap_or(0)
    }

    /// Whether every running replica knows the same leader, and that has committed an entry of its term.
    pub fn is_settled(&self) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let running = self.machines.iter().filter_map(Machine::any_running);
        let all = running.map(|running| running.replica.status());
        let id = self.machines[leader].id();
        let settled = self.machines[leader].any_running();
        settled.is_some_and(|running| running.replica.status().settled)
            && all.into_iter().all(|status| status.leader == id)
    }

    /// Whether somebody leads.
    pub fn leader(&self) -> Option<usize> {
        let leads = |machine: &Machine| machine.any_running().is_some_and(|r| r.leads().is_some());
        self.machines.iter().position(leads)
    }

    /// What happened so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}
