//! Streams between replicas: connections, and messages on their way.

use tern_replica::{DiskReport, Fatal, MemberStatus};
use tern_replication::{MessageKind, PeerKind, PeerMessage, PeerStream};

use super::history::{MILLISECOND, SILENCE, World, WorldEvent};
use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::network::{Packet, node_of, pack, unpack};

impl World {
    pub(super) fn arrive(&mut self, packet: &Packet) -> Result<(), BrokenPromise> {
        self.trace(packet.bytes.len() as u64 ^ (packet.to as u64) << 32);
        let (from, to) = (packet.from, packet.to);
        if self.links.get(&(from, to)) != Some(&packet.lives) {
            return Ok(());
        }
        let message = unpack(packet);
        if self.machines[to].process.is_none() {
            return Ok(());
        }
        if self.machines[to].paused {
            self.mail[to].push_back(message);
            return Ok(());
        }
        self.deliver(to, message)
    }

    pub(super) fn deliver(&mut self, at: usize, message: PeerMessage) -> Result<(), BrokenPromise> {
        if message.kind == PeerKind::Status && DiskReport::decode(&message.context).is_none() {
            let (seed, now) = (self.random.number(), self.now);
            match self.machines[at].hear(&message, seed, now) {
                Ok(Some(answer)) => self.post(at, vec![answer]),
                Ok(None) => {}
                Err(fatal) => return self.stopped(at, &fatal),
            }
            let member_status = self.machines[at].member_status.as_ref();
            let asked = member_status.map(MemberStatus::take_asked);
            if let Some(running) = self.machines[at].running() {
                running.inbox.joins.extend(asked.into_iter().flatten());
            }
            return Ok(());
        }
        match self.machines[at].running() {
            Some(running) => running.receive(message),
            None => return Ok(()),
        }
        self.turn(at)
    }

    /// Queue messages: each leaves when its stream writes it, and appends get their frames then.
    pub(crate) fn post(&mut self, at: usize, messages: Vec<PeerMessage>) {
        for message in messages {
            if self.loses_handovers && message.message == MessageKind::TimeoutNow {
                continue;
            }
            let to = node_of(message.to);
            let Some(lives) = self.links.get(&(at, to)).copied() else {
                continue;
            };
            // A connection is one of two ids.
            let is_elsewhere = message.to != self.machines[to].id();
            if message.kind == PeerKind::Raft && is_elsewhere {
                continue;
            }
            let is_bulk = message.stream() == PeerStream::Bulk;
            let delay = if is_bulk { self.random.below(500) } else { 0 };
            let last = self.written.entry((at, to, is_bulk)).or_default();
            let moment = (self.now + delay).max(*last);
            *last = moment;
            if moment == self.now {
                self.write(message, lives);
            } else {
                let event = WorldEvent::Write(Box::new(message), lives);
                self.after(moment - self.now, event);
            }
        }
    }

    pub(super) fn write(&mut self, message: PeerMessage, lives: (u64, u64)) {
        let from = node_of(message.from);
        if self.machines[from].life != lives.0 {
            return;
        }
        let reader = self.machines[from].any_running().map(|r| r.reader.clone());
        let append_bytes = [2 << 10, 64 << 10, 1 << 20][self.random.below(3) as usize];
        let (packets, damage) = pack(message, lives, reader.as_ref(), append_bytes);
        for packet in packets {
            let copies = 1 + u64::from(self.random.chance(self.weather.doubles));
            for _ in 0..copies {
                self.travel(packet.clone());
            }
        }
        if let Some(error) = damage
            && let Some(running) = self.machines[from].any_running()
        {
            running.serving.views.damage.note(0, &error);
        }
    }

    pub(super) fn travel(&mut self, packet: Packet) {
        let arrival = self
            .weather
            .arrival(self.now, packet.from, packet.to, &mut self.random);
        let Some(arrival) = arrival else { return };
        let is_bulk = packet.stream == PeerStream::Bulk;
        let stream = (packet.from, packet.to, is_bulk);
        let last = self.arrived.entry(stream).or_default();
        // What touches progress keeps its order (L40): the engine relies on it.
        let overtakes = !is_bulk && self.random.chance(self.weather.overtakes);
        let arrival = if overtakes {
            arrival
        } else {
            arrival.max(*last)
        };
        *last = arrival.max(*last);
        self.after(arrival - self.now, WorldEvent::Arrive(packet));
    }

    /// One end dials the other: both say what they are, and both judge.
    pub(crate) fn dial(&mut self, from: usize, to: usize) -> Result<(), BrokenPromise> {
        let lives = (self.machines[from].life, self.machines[to].life);
        let is_linked = self.links.get(&(from, to)) == Some(&lives);
        let alive = |machine: &Machine| machine.process.is_some() && !machine.paused;
        let reachable = alive(&self.machines[from])
            && alive(&self.machines[to])
            && !self.weather.is_cut(from, to)
            && !self.weather.is_cut(to, from);
        if is_linked || !reachable {
            return Ok(());
        }
        let (ours, theirs) = (&self.machines[from], &self.machines[to]);
        let (Some(our_standing), Some(their_standing)) =
            (&ours.member_status, &theirs.member_status)
        else {
            return Ok(());
        };
        let log = |machine: &Machine| {
            machine
                .any_running()
                .map(|r| (r.reader.clone(), r.applied()))
        };
        let (our_log, their_log) = (log(ours), log(theirs));
        let confirmed = our_standing.confirmed(to as u32 + 1);
        let our_hello = our_standing.hello(our_log.as_ref().map(|(log, commit)| (log, *commit)));
        let their_hello =
            their_standing.hello(their_log.as_ref().map(|(log, commit)| (log, *commit)));
        let by_them = their_standing.judge(&our_hello, 0, their_log.as_ref().map(|(log, _)| log));
        let by_us = our_standing.judge(
            &their_hello,
            confirmed,
            our_log.as_ref().map(|(log, _)| log),
        );
        if let Err(why) = by_them {
            if let Some(sentence) = our_standing.refused(to as u32 + 1, why) {
                return self.stopped(from, &Fatal::MayNotServe(sentence));
            }
            return Ok(());
        }
        if let Err(why) = by_us {
            if let Some(sentence) = their_standing.refused(from as u32 + 1, why) {
                return self.stopped(to, &Fatal::MayNotServe(sentence));
            }
            return Ok(());
        }
        let before = self.links.insert((from, to), lives);
        let ids = [self.machines[from].id(), self.machines[to].id()];
        if let Some(running) = self.machines[to].running() {
            let shown = our_hello.shown_term();
            running
                .inbox
                .connected
                .extend(shown.map(|term| (ids[0], term)));
        }
        let Some(running) = self.machines[from].running() else {
            return Ok(());
        };
        if before.is_some_and(|before| before.0 == lives.0) {
            // The connection to the life before had ended.
            running.inbox.unreachable.push(ids[1]);
        }
        running
            .inbox
            .connected
            .push((ids[1], their_hello.last_term));
        self.turn(from)
    }

    /// A connection is found broken by the end that sends on it.
    pub(super) fn lost(
        &mut self,
        from: usize,
        to: usize,
        lives: (u64, u64),
    ) -> Result<(), BrokenPromise> {
        if self.links.get(&(from, to)) != Some(&lives) {
            return Ok(());
        }
        self.links.remove(&(from, to));
        if self.machines[from].life != lives.0 {
            return Ok(());
        }
        let peer = self.machines[to].id();
        let Some(running) = self.machines[from].running() else {
            return Ok(());
        };
        running.inbox.unreachable.push(peer);
        self.turn(from)
    }

    /// A process has ended. Where its kernel lives, the others learn of it at once, and by how its port answers, that it
    /// is gone; else after a time of silence.
    pub(crate) fn process_ended(&mut self, at: usize, kernel_lives: bool) {
        self.mail[at].clear();
        for other in (0..self.swarm.machines()).filter(|other| *other != at) {
            let cut = self.weather.is_cut(at, other) || self.weather.is_cut(other, at);
            let at_once = kernel_lives && !cut;
            let delay = if at_once {
                self.random.between(MILLISECOND, 8 * MILLISECOND)
            } else {
                SILENCE
            };
            for (from, to) in [(other, at), (at, other)] {
                if let Some(lives) = self.links.get(&(from, to)).copied() {
                    self.after(delay, WorldEvent::Lost(from, to, lives));
                }
            }
            if at_once {
                // Behind the last message of each of its streams.
                let last = |bulk| self.arrived.get(&(at, other, bulk)).copied().unwrap_or(0);
                let moment = (self.now + delay).max(last(true)).max(last(false));
                let life = self.machines[at].life;
                let event = WorldEvent::Gone(other, at, life, false);
                self.after(moment - self.now + 1, event);
            }
        }
    }

    pub(super) fn gone(
        &mut self,
        to: usize,
        who: usize,
        life: u64,
        falsely: bool,
    ) -> Result<(), BrokenPromise> {
        // It has been heard of again: whoever told it was wrong about this life.
        let lives_again = self.machines[who].life != life || self.machines[who].process.is_some();
        if lives_again && !falsely {
            return Ok(());
        }
        let peer = self.machines[who].id();
        let Some(running) = self.machines[to].running() else {
            return Ok(());
        };
        let before = running.inbox.peers.len();
        running.inbox.gone.push((before, peer));
        self.turn(to)
    }

    pub(super) fn wake(&mut self, at: usize, life: u64) -> Result<(), BrokenPromise> {
        if self.machines[at].life != life || !self.machines[at].paused {
            return Ok(());
        }
        self.machines[at].paused = false;
        // What was in its sockets is there before its clock is looked at.
        while let Some(message) = self.mail[at].pop_front() {
            if message.kind == PeerKind::Raft
                && let Some(running) = self.machines[at].running()
            {
                running.receive(message);
            }
        }
        self.turn(at)
    }
}
