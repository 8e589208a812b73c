//! What goes wrong, when, and what a replica may do about it.
//!
//! The atlas: machines of a minority, chosen once for a history, may lose what their disks had promised to keep. They may
//! then stop for good, with a sentence; they may not lie. Everybody else may stop only for an error that was put in, and
//! comes back.

use std::path::{Path, PathBuf};

use tern_log::LogError;
use tern_replica::Fatal;
use tern_testdisk::Operation;

use crate::active_faults::Ending;
use crate::ledger::BrokenPromise;
use crate::network::Weather;
use crate::process::directory;
use crate::random::Random;
use crate::swarm::{FaultKind, Swarm};
use crate::world::{MILLISECOND, SECOND, World, WorldEvent};

/// Length of a sector.
const SECTOR: u64 = 512;
/// A year, ms: what a wrong clock may be off.
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

impl World {
    /// Clocks differ from the beginning, if they may.
    pub(crate) fn set_clocks(&mut self) {
        if !self.swarm.kinds.contains(&FaultKind::Clock) {
            return;
        }
        for at in 0..self.swarm.machines() {
            let (ahead, faster) = (self.random.below(400), self.random.below(40));
            let clock = &mut self.machines[at].clock;
            clock.ahead_ms = ahead.cast_signed() - 200;
            clock.faster = faster.cast_signed() - 20;
        }
    }

    fn counted(&mut self, fault: &'static str) {
        self.say(format_args!("{fault}"));
        *self.figures.faults.entry(fault).or_default() += 1;
    }

    fn anyone(&mut self) -> usize {
        self.random.below(self.swarm.machines() as u64) as usize
    }

    /// One of the machines that may lose what they promised; never the master of slaves, who decide nothing.
    fn doomed(&mut self) -> usize {
        if self.swarm.mode.has_slaves() {
            return 1;
        }
        while self.faults.doomed.len() < self.swarm.minority() {
            let at = self.anyone();
            if !self.faults.doomed.contains(&at) {
                self.faults.doomed.push(at);
            }
        }
        let choice = self.random.below(self.faults.doomed.len() as u64) as usize;
        self.faults.doomed[choice]
    }

    /// Something goes wrong.
    pub(crate) fn fault(&mut self) -> Result<(), BrokenPromise> {
        let (least, most) = self.swarm.fault_pause;
        let pause = self.random.between(least, most);
        self.after(pause, WorldEvent::Fault);
        if !self.faults.is_active {
            return Ok(());
        }
        let choice = self.random.below(self.swarm.kinds.len() as u64) as usize;
        match self.swarm.kinds[choice] {
            FaultKind::Power => self.end_some(true),
            FaultKind::Kill => self.end_some(false),
            FaultKind::Clean => return self.stop_one(),
            FaultKind::AtWrite => self.end_at_write(),
            FaultKind::Pause => self.pause_one(),
            FaultKind::Cut => self.cut_some(),
            FaultKind::Weather => self.bad_weather(),
            FaultKind::DiskError => self.disk_error(),
            FaultKind::ReadError => self.read_error(),
            FaultKind::Hang => self.hang_one(),
            FaultKind::Slow => self.slow_one(),
            FaultKind::Full => self.fill_some(),
            FaultKind::Clock => self.set_clock_wrong(),
            FaultKind::FalseGone => self.tell_falsely(),
            FaultKind::Rot => self.rot(),
            FaultKind::Sector => self.lose_sector(),
            FaultKind::Torn => self.tear(),
            FaultKind::Wipe => self.wipe_one(),
            FaultKind::OldCopy => self.copy_disk(),
        }
        Ok(())
    }

    /// One machine, two, or all of them.
    fn some(&mut self) -> Vec<usize> {
        let members = self.swarm.machines();
        let first = self.anyone();
        let count = [1, 1, 1, 2, members][self.random.below(5) as usize];
        (0..count).map(|step| (first + step) % members).collect()
    }

    fn end_some(&mut self, power: bool) {
        for at in self.some() {
            self.end_process(at, power, false);
        }
    }

    /// A process ends, and comes back after a while.
    pub(crate) fn end_process(&mut self, at: usize, power: bool, tears: bool) {
        if self.machines[at].process.is_none() {
            return;
        }
        self.say(format_args!(
            "node {at} ends: {}",
            self.machines[at].describe()
        ));
        self.counted(if power { "power" } else { "kill" });
        let seed = self.random.number();
        if power {
            self.machines[at].power_cut(seed, tears);
        } else {
            self.machines[at].kill();
        }
        self.process_ended(at, !power);
        self.come_back(at);
    }

    fn come_back(&mut self, at: usize) {
        let delay = if self.random.chance(20) {
            // Long enough for the others to leave it behind.
            self.random.between(SECOND, 8 * SECOND)
        } else {
            self.random.between(10 * MILLISECOND, 2 * SECOND)
        };
        self.after(delay, WorldEvent::Restart(at));
    }

    fn stop_one(&mut self) -> Result<(), BrokenPromise> {
        let at = self.anyone();
        let (disk, now_ns) = (self.machines[at].disk.clone(), self.clock_ns(at));
        let Some(running) = self.machines[at].running() else {
            return Ok(());
        };
        let stopped = running.stop(&disk, now_ns);
        if let Err(fatal) = stopped {
            return self.stopped(at, &fatal);
        }
        self.counted("clean stop");
        self.machines[at].kill();
        self.process_ended(at, true);
        self.come_back(at);
        Ok(())
    }

    fn end_at_write(&mut self) {
        let at = self.anyone();
        if self.machines[at].process.is_none() {
            return;
        }
        self.faults.with_power[at] = self.random.chance(60);
        let writes = self.random.between(1, 60);
        self.machines[at].disk.stop_after(writes);
    }

    /// A start is a time like any other: the power may go at any of its writes.
    pub(crate) fn may_end_while_starting(&mut self, at: usize) {
        let may = self.faults.is_active && self.swarm.kinds.contains(&FaultKind::AtWrite);
        if may && self.random.chance(15) {
            self.faults.with_power[at] = self.random.chance(60);
            let writes = self.random.between(1, 30);
            self.machines[at].disk.stop_after(writes);
        }
    }

    fn pause_one(&mut self) {
        let at = self.anyone();
        if self.machines[at].running().is_none() {
            return;
        }
        self.counted("pause");
        self.machines[at].paused = true;
        let (delay, life) = (
            self.random.between(50 * MILLISECOND, 3 * SECOND),
            self.machines[at].life,
        );
        self.after(delay, WorldEvent::Wake(at, life));
    }

    fn cut_some(&mut self) {
        self.counted("cut");
        let at = self.anyone();
        let (out, back) =
            [(true, true), (true, false), (false, true)][self.random.below(3) as usize];
        let only_one = self.random.chance(30);
        let chosen = self.anyone();
        for other in (0..self.swarm.machines()).filter(|other| *other != at) {
            if only_one && other != chosen {
                continue;
            }
            if out {
                self.weather.cuts.push((at, other));
            }
            if back {
                self.weather.cuts.push((other, at));
            }
        }
        self.fair_again();
    }

    fn bad_weather(&mut self) {
        self.counted("weather");
        let most = self.random.between(MILLISECOND, 40 * MILLISECOND);
        self.weather = Weather {
            loss: self.random.below(30),
            doubles: self.random.below(20),
            overtakes: self.random.below(30),
            delay: (50, most),
            cuts: std::mem::take(&mut self.weather.cuts),
        };
        self.fair_again();
    }

    fn fair_again(&mut self) {
        let delay = self.random.between(100 * MILLISECOND, 3 * SECOND);
        self.after(delay, WorldEvent::Fair);
    }

    fn disk_error(&mut self) {
        let at = self.anyone();
        let operation = [Operation::Write, Operation::Sync][self.random.below(2) as usize];
        let part = ["log/", "flushed.pos", "raft.state", "/views/"][self.random.below(4) as usize];
        self.counted("disk error");
        let machine = &mut self.machines[at];
        // An error of a derived file ends nobody.
        machine.injected |= part != "/views/";
        machine.disk.fail_next(operation, part);
    }

    fn read_error(&mut self) {
        let at = self.anyone();
        self.counted("read error");
        self.machines[at].injected = true;
        self.machines[at].disk.fail_next(Operation::Read, "log/");
    }

    fn hang_one(&mut self) {
        let at = self.anyone();
        self.counted("hang");
        let time = self.random.between(200 * MILLISECOND, 5 * SECOND);
        self.faults.hangs[at] = self.now + time;
    }

    fn slow_one(&mut self) {
        let at = self.anyone();
        self.counted("slow disk");
        let time = self.random.between(3 * SECOND, 12 * SECOND);
        let least = self.random.between(20 * MILLISECOND, 150 * MILLISECOND);
        self.faults.slow[at] = (self.now + time, least);
    }

    fn fill_some(&mut self) {
        self.counted("full disk");
        for at in self.some() {
            let free = self.random.below(2 * self.swarm.segment_size);
            self.machines[at].disk.set_free_bytes(Some(free));
            let time = self.random.between(500 * MILLISECOND, 6 * SECOND);
            self.after(time, WorldEvent::Ends(at, Ending::Full));
        }
    }

    fn set_clock_wrong(&mut self) {
        let at = self.anyone();
        self.counted("wrong clock");
        let most = if self.random.chance(20) {
            YEAR_MS
        } else {
            100_000
        };
        let jump = self.random.below(most).cast_signed();
        let jump = if self.random.chance(30) { -jump } else { jump };
        self.machines[at].clock.ahead_ms = jump.max(-1_000_000_000);
        let time = self.random.between(100 * MILLISECOND, 2 * SECOND);
        self.after(time, WorldEvent::Ends(at, Ending::Clock));
    }

    fn tell_falsely(&mut self) {
        let (to, who) = (self.anyone(), self.anyone());
        if to != who {
            self.counted("falsely gone");
            let life = self.machines[who].life;
            self.after(0, WorldEvent::Gone(to, who, life, true));
        }
    }

    /// The position below which a power cut would leave everything: what is damaged above it looks like a write that was
    /// never finished.
    fn certain(&self, at: usize) -> u64 {
        let mut mark = [0; 16];
        let path = directory().join("flushed.pos");
        let read = self.machines[at].disk.read_platter(&path, &mut mark, 0);
        let position: [u8; 8] = mark[8..].try_into().expect("eight bytes");
        if read == 16 {
            u64::from_be_bytes(position)
        } else {
            0
        }
    }

    /// A file and an offset in a segment below the certain position.
    fn offset_in_log(&mut self, at: usize) -> Option<(PathBuf, u64)> {
        let certain = self.certain(at);
        if certain < 4096 + SECTOR {
            return None;
        }
        let position = self.random.below(certain - SECTOR);
        let base = position - position % self.swarm.segment_size;
        let path = directory().join("log").join(format!("{base:020}"));
        Some((path, position - base))
    }

    fn rot(&mut self) {
        let at = self.doomed();
        let file = self.random.below(10);
        let found = match file {
            0 => Some((directory().join("flushed.pos"), self.random.below(28))),
            // One copy, or what of the other one is there.
            1 => Some((directory().join("raft.state"), self.random.below(4096))),
            _ => self.offset_in_log(at),
        };
        let bit = 1 << self.random.below(8);
        if let Some((path, offset)) = found
            && self.set_bit(at, &path, offset, bit)
        {
            self.counted("rot");
            self.say(format_args!("on node {at}"));
            self.machines[at].damage = Some("rot");
        }
    }

    /// Rot of one bit, if that makes no zeros: what is zero over a whole sector looks like a write that was never finished,
    /// and above what `flushed.pos` says that is what it is taken for.
    fn set_bit(&mut self, at: usize, path: &Path, offset: u64, bit: u8) -> bool {
        let mut byte = [0];
        let disk = &self.machines[at].disk;
        let there = disk.read_platter(path, &mut byte, offset) == 1;
        there && byte[0] & bit == 0 && disk.damage(path, offset, bit).is_ok()
    }

    fn lose_sector(&mut self) {
        let at = self.doomed();
        let Some((path, offset)) = self.offset_in_log(at) else {
            return;
        };
        let offset = offset - offset % SECTOR;
        let disk = &self.machines[at].disk;
        let mut bytes = vec![0; SECTOR as usize];
        if self.random.chance(50) {
            // It belongs elsewhere.
            disk.read_platter(&path, &mut bytes, offset / 2 - offset / 2 % SECTOR);
        }
        if disk.overwrite(&path, offset, &bytes).is_ok() {
            self.counted("lost sector");
            self.say(format_args!("on node {at}"));
            self.machines[at].damage = Some("lost sector");
        }
    }

    fn tear(&mut self) {
        let at = self.doomed();
        if self.machines[at].process.is_some() {
            self.counted("torn sectors");
            self.machines[at].damage = Some("torn sectors");
            self.end_process(at, true, true);
        }
    }

    fn wipe_one(&mut self) {
        let at = self.doomed();
        self.counted("wiped disk");
        if self.swarm.mode.has_slaves() {
            // A slave with an empty disk comes back and is as good as any.
            self.machines[at].forgot_until = self.now + SECOND;
        } else {
            self.machines[at].damage = Some("wiped disk");
        }
        if self.machines[at].process.is_some() {
            self.end_process(at, true, false);
        }
        self.forget(at);
    }

    /// Its disk is empty.
    pub(crate) fn forget(&mut self, at: usize) {
        self.machines[at].disk.wipe();
        if self.swarm.rejoins {
            if self.machines[at].took_part {
                self.ledger.loses(self.machines[at].id());
            }
            self.tails[at].clear();
        }
    }

    fn copy_disk(&mut self) {
        let at = self.doomed();
        if self.machines[at].any_running().is_none() || self.faults.copies[at].is_some() {
            return;
        }
        self.faults.copies[at] = Some(self.machines[at].disk.fork());
        let age = self.random.between(300 * MILLISECOND, 5 * SECOND);
        self.after(age, WorldEvent::Ends(at, Ending::OldCopy));
    }

    /// An old copy is put back, if no promise of the group depends on what it lacks, and a leader is there to see it.
    fn put_copy_back(&mut self, at: usize) -> Result<(), BrokenPromise> {
        let Some(copy) = self.faults.copies[at].take() else {
            return Ok(());
        };
        let Some(leader) = self.leader().filter(|leader| *leader != at) else {
            return Ok(());
        };
        let committed = self.ledger.last_committed();
        let others = self.machines.iter().filter(|m| m.at != at && m.is_used);
        let others_have_all = others.into_iter().all(|machine| {
            machine.damage.is_none()
                && machine.any_running().is_some_and(|running| {
                    let log = running.replica.log();
                    let header = log.header(committed);
                    header.is_ok_and(|header| header.end_position() <= log.durable())
                })
        });
        let cut = self.weather.is_cut(at, leader) || self.weather.is_cut(leader, at);
        let member_status = self.machines[leader].member_status.as_ref();
        let confirmed =
            member_status.map_or(0, |member_status| member_status.confirmed(at as u32 + 1));
        if !others_have_all || cut || self.machines[leader].paused || confirmed == 0 {
            return Ok(());
        }
        self.counted("old copy");
        let may_forget = self.swarm.mode.has_slaves();
        if may_forget {
            self.machines[at].forgot_until = self.now + SECOND;
        } else {
            self.machines[at].damage = Some("old copy");
        }
        if self.machines[at].process.is_some() {
            self.machines[at].kill();
            self.process_ended(at, true);
        }
        self.machines[at].disk.restore(&copy);
        self.machines[at].disk.clear_failures();
        self.restart(at)?;
        let Some(running) = self.machines[at].any_running() else {
            return Ok(());
        };
        let shows = running.reader.end().index;
        self.dial(leader, at)?;
        if shows < confirmed && self.machines[at].halted.is_none() && !may_forget {
            return Err(BrokenPromise(format!(
                "node {at} shows {shows} frames, had confirmed {confirmed} to its leader, and takes part"
            )));
        }
        Ok(())
    }

    pub(crate) fn end_fault(&mut self, at: usize, ending: Ending) -> Result<(), BrokenPromise> {
        match ending {
            Ending::Full => self.machines[at].disk.set_free_bytes(None),
            Ending::Clock => self.machines[at].clock.ahead_ms = 0,
            Ending::OldCopy if self.faults.is_active => return self.put_copy_back(at),
            Ending::OldCopy => {}
        }
        Ok(())
    }

    /// Nothing goes wrong any more, and what has lasted ends.
    pub(crate) fn end_faults(&mut self) {
        self.faults.is_active = false;
        for at in 0..self.swarm.machines() {
            self.faults.hangs[at] = 0;
            self.faults.slow[at] = (0, 0);
            self.machines[at].clock.ahead_ms = 0;
            self.machines[at].disk.set_free_bytes(None);
            self.machines[at].disk.clear_failures();
        }
    }

    /// A process has ended by an error of its own.
    ///
    /// # Errors
    /// If nothing that was put in explains it.
    pub(crate) fn stopped(&mut self, at: usize, fatal: &Fatal) -> Result<(), BrokenPromise> {
        let was_running = self.machines[at].any_running().is_some();
        self.say(format_args!("node {at} stops: {fatal}"));
        let machine = &mut self.machines[at];
        if machine.disk.has_stopped() {
            self.crash_at_write(at);
            return Ok(());
        }
        if let Fatal::Superseded(_) = fatal {
            machine.kill();
            self.counted("superseded");
            self.ledger.found(at);
            self.process_ended(at, true);
            self.come_back(at);
            return Ok(());
        }
        let is_disk_error = matches!(
            fatal,
            Fatal::Log(
                LogError::Write { .. }
                    | LogError::Sync { .. }
                    | LogError::Failed
                    | LogError::Io { .. }
            )
        );
        let id = self.machines[at].id();
        let is_out = self.swarm.rejoins && !self.ledger.has_member(id);
        if is_out && matches!(fatal, Fatal::MayNotServe(_)) {
            // It was taken out, and has heard so.
            let machine = &mut self.machines[at];
            machine.kill();
            machine.is_used = false;
            self.counted("taken out");
            self.process_ended(at, true);
            return Ok(());
        }
        let machine = &mut self.machines[at];
        let no_space = matches!(fatal, Fatal::Log(LogError::NoSpace { .. }));
        let met_rot = matches!(fatal, Fatal::Log(LogError::Rotted { .. }));
        // On its way back it is started again like everybody else.
        let comes_back = self.swarm.rejoins && machine.damage == Some("wiped disk");
        let is_explained = machine.injected && is_disk_error;
        if machine.damage.is_some() && !(met_rot && was_running) && !(comes_back && is_explained) {
            machine.halted = Some(fatal.to_string());
            machine.kill();
            self.figures.halted += 1;
            self.process_ended(at, true);
            return Ok(());
        }
        // What has never begun cannot begin on a full disk; it is tried again.
        if is_explained || (no_space && !was_running) {
            machine.kill();
            self.counted("stopped by a disk error");
            self.process_ended(at, true);
            self.come_back(at);
            return Ok(());
        }
        Err(BrokenPromise(format!("node {at} stopped: {fatal}")))
    }

    /// The process has come to the write at which it ends.
    pub(crate) fn crash_at_write(&mut self, at: usize) {
        self.counted("ended at a write");
        self.say(format_args!(
            "node {at} ends at a write: {}",
            self.machines[at].describe()
        ));
        let (power, seed) = (self.faults.with_power[at], self.random.number());
        if power {
            self.machines[at].power_cut(seed, false);
        } else {
            self.machines[at].kill();
        }
        self.process_ended(at, !power);
        self.come_back(at);
    }
}

impl Swarm {
    /// A shape with these kinds of fault alone.
    pub fn with(kinds: &[FaultKind], random: &mut Random) -> Self {
        Self {
            kinds: kinds.to_vec(),
            ..Self::draw(random)
        }
    }
}
