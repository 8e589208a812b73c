//! What a test does to a world, and asks of it.

use tern_log::Disk;
use tern_replica::{DiskCondition, ElectionCause, PromotionRefusal};
use tern_replication::{MessageKind, PeerMessage, Phase};
use tern_testdisk::Operation;
use tern_wire::record;

use super::history::{Figures, SECOND, World, WorldEvent};
use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::network::{Micros, Weather};
use crate::process::directory;

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

    /// The power of a machine goes; its process stays dead until [`Self::start`].
    pub fn cut_power(&mut self, at: usize) {
        let seed = self.random.number();
        self.machines[at].power_cut(seed, false);
        self.process_ended(at, false);
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
        if self.machines[at].is_slave() {
            self.machines[at].forgot_until = self.now + SECOND;
        } else {
            self.machines[at].damage = Some("wiped disk");
        }
        self.forget(at);
    }

    /// Syncs of a machine's disk that begin within this time end when it is over.
    pub fn hang(&mut self, at: usize, time: Micros) {
        self.faults.hangs[at] = self.now + time;
    }

    /// A call of this kind on a machine's disk fails, after so many on such a path that do not; its process may end by it.
    /// `errno`: in place of an input/output error.
    pub fn fail_disk(
        &mut self,
        at: usize,
        (operation, path_part): (Operation, &str),
        skip: u64,
        errno: Option<i32>,
    ) {
        let machine = &mut self.machines[at];
        machine.injected = true;
        machine.disk.fail_after(operation, path_part, skip, errno);
    }

    /// Processes that have ended by an error of their disk.
    pub fn disk_stops(&self) -> u64 {
        let faults = &self.figures.faults;
        faults.get("stopped by a disk error").copied().unwrap_or(0)
    }

    /// How often the last process of a machine tried again what its disk had failed to do; none if it met no error.
    pub fn disk_retries(&self, at: usize) -> Option<u64> {
        self.machines[at].disk.repeated_failure()
    }

    /// Each sync of a machine's disk that begins within this time takes so long at least, and twice as long at most.
    pub fn slow_down(&mut self, at: usize, time: Micros, least: Micros) {
        self.faults.slow[at] = (self.now + time, least);
    }

    /// How a running replica takes its disk to be.
    pub fn disk_condition(&self, at: usize) -> Option<DiskCondition> {
        let running = self.machines[at].any_running()?;
        Some(running.replica.disk_condition())
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

    /// An operator makes a slave the master instead of one that is gone, by force; answers how many acknowledged messages
    /// it does not have, which are lost.
    ///
    /// # Errors
    /// The refusal.
    pub fn promote(&mut self, at: usize) -> Result<u64, PromotionRefusal> {
        let Some(running) = self.machines[at].running() else {
            return Err(PromotionRefusal::NoSlave);
        };
        let promotion = running.replica.promote(true)?;
        let lost = self.ledger.acknowledged_after(promotion.last_index);
        self.ledger.forget_after(promotion.last_index);
        Ok(lost)
    }

    /// What a promotion without force is answered.
    ///
    /// # Errors
    /// The refusal.
    pub fn ask_promotion(&mut self, at: usize) -> Result<(), PromotionRefusal> {
        let running = self.machines[at].running();
        let Some(running) = running else {
            return Err(PromotionRefusal::NoSlave);
        };
        running.replica.promote(false).map(|_| ())
    }

    /// An operator has the leader hand over to another replica.
    pub fn hand_over(&mut self, to: usize) {
        let peer = self.machines[to].id();
        if let Some(leader) = self.leader()
            && let Some(running) = self.machines[leader].running()
        {
            running.inbox.transfer = Some(peer);
        }
    }

    /// A word of hand-over from one replica to another arrives, which was sent in a term and was on its way since.
    pub fn deliver_hand_over(&mut self, from: usize, to: usize, term: u64) {
        let ids = [self.machines[from].id(), self.machines[to].id()];
        if let Some(running) = self.machines[to].running() {
            let mut message = PeerMessage::raft(MessageKind::TimeoutNow, ids[0], ids[1]);
            message.term = term;
            running.inbox.peers.push(message);
        }
    }

    /// Messages that a machine has set aside, in all its files of that kind.
    pub fn set_aside(&self, at: usize) -> u64 {
        let directory = directory().join("set-aside");
        let disk = &self.machines[at].disk;
        let names = Disk::list(disk, &directory).unwrap_or_default();
        let files = names.iter().map(|name| disk.content(&directory.join(name)));
        let records = files.map(|file| record::iter(&file.unwrap_or_default()).count() as u64);
        records.sum()
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

    /// What every machine does, in words.
    pub fn describe(&self) -> String {
        let machines: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        machines.join("; ")
    }

    /// Whether somebody leads.
    pub fn leader(&self) -> Option<usize> {
        let leads = |machine: &Machine| machine.any_running().is_some_and(|r| r.leads().is_some());
        self.machines.iter().position(leads)
    }

    /// Why the leader stood for its election.
    pub fn election_cause(&self) -> Option<ElectionCause> {
        let leader = &self.machines[self.leader()?];
        leader.any_running()?.replica.election_cause()
    }

    /// Whether a replica leads.
    pub fn leads(&self, at: usize) -> bool {
        let running = self.machines[at].any_running();
        running.is_some_and(|running| running.leads().is_some())
    }

    /// What happened so far.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }
}
