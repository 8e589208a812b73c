//! What must hold in every history: remembered across the crashes of replicas, and told by nobody but clients and logs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tern_log::{Frame, FrameHeader, LogReader};
use tern_replica::StoredRecords;
use tern_replication::{Configuration, MessageKind, PeerKind, PeerMessage, ReplicaId};
use tern_state::delay::{SCHEDULE_TOPIC, delay_ms};
use tern_state::{DelayProgress, Op};
use tern_wire::record::Record;

use crate::network::Micros;
use crate::process::TOPIC;

/// How long after its time a message may wait in a healed group, microseconds.
const LATE: Micros = 2_000_000;

/// A broken promise, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenPromise(pub String);

/// A message as a client sends it.
#[derive(Debug, Clone)]
pub struct Send {
    pub uid: u64,
    pub topic: Arc<str>,
    pub queue_id: u32,
    /// Delay level, 0 for none.
    pub level: u16,
    pub length: usize,
}

/// What the outside knows of one send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// Code 0, with where it is stored.
    Stored(StoredRecords),
    /// Code 2 or 14: never appended.
    Refused,
    /// Code 1, or no answer: anything may be.
    Unknown,
}

/// One send of a client.
#[derive(Debug, Clone)]
struct SentMessage {
    answer: SendOutcome,
    topic: Arc<str>,
    queue_id: u32,
    level: u16,
    at: Micros,
    /// Greatest queue offset of this queue that was acknowledged before this send began (I10).
    floor: Option<u64>,
}

/// What a read that begins now has to show.
#[derive(Debug, Clone, Copy)]
pub struct ReadPromise {
    /// Offset that the group committed.
    pub offset: Option<u64>,
    /// End of the queue.
    pub next: u64,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Term and header checksum by index.
    committed: Vec<Option<(u64, u32)>>,
    last_committed: u64,
    /// Header checksum by index and term: one frame for each.
    frames: HashMap<(u64, u64), u32>,
    leaders: BTreeMap<u64, usize>,
    /// By replica and term.
    votes: BTreeMap<(ReplicaId, u64), u64>,
    /// Ids whose memory is lost.
    lost: BTreeSet<ReplicaId>,
    /// Configurations by the index of the frame that made them.
    configurations: BTreeMap<u64, Configuration>,
    hashes: HashMap<u64, u64>,
    sends: BTreeMap<u64, SentMessage>,
    /// Greatest acknowledged queue offset, by queue of [`TOPIC`].
    acknowledged: HashMap<u32, u64>,
    /// Greatest acknowledged consumer offset, by group and queue.
    offsets: HashMap<(u32, u32), u64>,
    /// Who was given a queue last, and when it had asked for it.
    locks: HashMap<u32, (u32, Micros)>,
    /// What readers saw: by topic id, queue and queue offset.
    seen: HashMap<(u32, u32, u64), (u64, u32)>,
    /// What was committed and is void, as an operator had another replica go on without it.
    void: HashMap<u64, (u64, u32)>,
    /// Replicas that still show it, until they hear of their new master.
    astray: BTreeSet<usize>,
}

impl Ledger {
    /// A replica leads in a term.
    pub fn leads(&mut self, node: usize, term: u64) -> Result<(), BrokenPromise> {
        let known = *self.leaders.entry(term).or_insert(node);
        if known == node {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "nodes {known} and {node} both lead in term {term}"
        )))
    }

    /// Whether anybody ever led.
    pub fn has_led(&self) -> bool {
        !self.leaders.is_empty()
    }

    /// A message left a replica: it may be a vote.
    pub fn sent(&mut self, node: usize, message: &PeerMessage) -> Result<(), BrokenPromise> {
        let promises = matches!(
            message.message,
            MessageKind::Vote | MessageKind::VoteAnswer | MessageKind::AppendAnswer
        );
        if message.kind == PeerKind::Raft && promises && self.lost.contains(&message.from) {
            return Err(BrokenPromise(format!(
                "node {node} votes or acknowledges as {:#x}, whose memory is lost",
                message.from
            )));
        }
        let candidate = match (message.kind, message.message) {
            (PeerKind::Raft, MessageKind::Vote) => message.from,
            (PeerKind::Raft, MessageKind::VoteAnswer) if !message.reject => message.to,
            _ => return Ok(()),
        };
        let key = (message.from, message.term);
        let known = *self.votes.entry(key).or_insert(candidate);
        if known == candidate {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "node {node} voted for {known:#x} and for {candidate:#x} in term {}",
            message.term
        )))
    }

    /// A disk was emptied: what was said under this id is forgotten.
    pub fn loses(&mut self, id: ReplicaId) {
        self.lost.insert(id);
    }

    /// Whether what was said under this id is forgotten.
    pub fn is_lost(&self, id: ReplicaId) -> bool {
        self.lost.contains(&id)
    }

    /// Whether the newest configuration that is in force anywhere has a replica.
    pub fn has_member(&self, id: ReplicaId) -> bool {
        let newest = self.configurations.last_key_value();
        newest.is_none_or(|(_, configuration)| configuration.contains(id))
    }

    /// The members that a group was founded with.
    pub fn founded(&mut self, configuration: Configuration) {
        self.configurations.insert(1, configuration);
    }

    /// A configuration is in force on a replica.
    pub fn configured(
        &mut self,
        node: usize,
        index: u64,
        configuration: &Configuration,
    ) -> Result<(), BrokenPromise> {
        let known = self
            .configurations
            .entry(index)
            .or_insert_with(|| configuration.clone());
        if known == configuration {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "frame {index} makes {known:?}, and {configuration:?} on node {node}"
        )))
    }

    /// The configurations of which one has a majority that holds frame `index`, if it is committed: the one in force at it;
    /// the one before, as long as the step from there was on its way; and every later one, as machines of the earlier ones
    /// may have been emptied since.
    pub fn counted_by(&self, index: u64) -> Vec<&Configuration> {
        let before = self.configurations.range(..index).rev().take(2);
        let later = self.configurations.range(index..);
        let all = before.chain(later);
        all.map(|(_, configuration)| configuration).collect()
    }

    /// A frame is in a replica's log: the only one of its index and term, wherever and whenever.
    pub fn holds(&mut self, node: usize, header: &FrameHeader) -> Result<(), BrokenPromise> {
        let key = (header.index, header.term);
        let known = *self.frames.entry(key).or_insert(header.header_crc);
        if known == header.header_crc {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "node {node} holds another frame {} of term {} than somebody before",
            header.index, header.term
        )))
    }

    /// A replica learnt that everything up to `commit` is committed; `from` is what it knew before.
    pub fn commits(
        &mut self,
        node: usize,
        from: u64,
        commit: u64,
        log: &LogReader,
    ) -> Result<(), BrokenPromise> {
        if commit <= from {
            return Ok(());
        }
        let end = log.end().index;
        if end < commit {
            return Err(BrokenPromise(format!(
                "node {node} committed {commit} and has frames up to {end}"
            )));
        }
        // What cannot be read at the moment, or is damaged, is there all the same; the end of the history tells.
        for header in log.headers(from + 1, commit + 1).unwrap_or_default() {
            let index = header.index;
            let here = (header.term, header.header_crc);
            if self.void.get(&index) == Some(&here) {
                self.astray.insert(node);
                return Ok(());
            }
            let at = index as usize;
            if self.committed.len() <= at {
                self.committed.resize(at + 1, None);
            }
            let known = *self.committed[at].get_or_insert(here);
            if known != here {
                return Err(BrokenPromise(format!(
                    "index {index} is committed as {known:?} and, on node {node}, as {here:?}"
                )));
            }
        }
        self.last_committed = self.last_committed.max(commit);
        Ok(())
    }

    /// Whether a log has the newest frame that is committed, and so all before it.
    pub fn is_committed(&self, log: &LogReader) -> bool {
        let known = self.committed.get(self.last_committed as usize);
        let header = log.header(self.last_committed).ok();
        header.is_some_and(|header| known == Some(&Some((header.term, header.header_crc))))
    }

    /// Greatest index that anybody knew to be committed.
    pub fn last_committed(&self) -> u64 {
        self.last_committed
    }

    /// State hashes at an index are equal wherever they were seen.
    pub fn hashed(&mut self, node: usize, index: u64, hash: u64) -> Result<(), BrokenPromise> {
        if self.is_astray(node) {
            return Ok(());
        }
        let known = *self.hashes.entry(index).or_insert(hash);
        if known == hash {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "state of node {node} at {index} has hash {hash:x}, elsewhere {known:x}"
        )))
    }

    /// An operator has a slave go on without what its master alone had: everything behind this index. What was told of
    /// that is void, and nothing else is.
    pub fn forget_after(&mut self, index: u64) {
        let committed = self.committed.iter().enumerate().skip(index as usize + 1);
        let void = committed.filter_map(|(at, frame)| Some((at as u64, (*frame)?)));
        self.void.extend(void);
        self.committed.truncate(index as usize + 1);
        self.last_committed = self.last_committed.min(index);
        self.hashes.retain(|at, _| *at <= index);
        self.acknowledged.clear();
        for sent in self.sends.values_mut() {
            let SendOutcome::Stored(stored) = &sent.answer else {
                continue;
            };
            if stored.index > index {
                sent.answer = SendOutcome::Unknown;
            } else if sent.level == 0 && &*sent.topic == TOPIC {
                let greatest = self.acknowledged.entry(sent.queue_id).or_default();
                *greatest = (*greatest).max(stored.queue_offset);
            }
        }
        // Commits of offsets, locks, and what readers saw of the lost part, are not known by their index.
        self.offsets.clear();
        self.locks.clear();
        self.seen.clear();
    }

    /// Whether a replica still shows what is void.
    pub fn is_astray(&self, node: usize) -> bool {
        self.astray.contains(&node)
    }

    /// It has heard of its new master.
    pub fn found(&mut self, node: usize) {
        self.astray.remove(&node);
    }

    /// Sends that were acknowledged in frames behind an index.
    pub fn acknowledged_after(&self, index: u64) -> u64 {
        let sends = self.sends.values();
        let lost = sends.filter(|sent| match &sent.answer {
            SendOutcome::Stored(stored) => stored.index > index,
            SendOutcome::Refused | SendOutcome::Unknown => false,
        });
        lost.count() as u64
    }

    /// A client sends.
    pub fn sends(&mut self, send: &Send, now: Micros) {
        let floor = if send.level == 0 && &*send.topic == TOPIC {
            self.acknowledged.get(&send.queue_id).copied()
        } else {
            None
        };
        self.sends.insert(
            send.uid,
            SentMessage {
                answer: SendOutcome::Unknown,
                topic: Arc::clone(&send.topic),
                queue_id: send.queue_id,
                level: send.level,
                at: now,
                floor,
            },
        );
    }

    /// A client got an answer to a send.
    pub fn answered(&mut self, uid: u64, answer: SendOutcome) -> Result<(), BrokenPromise> {
        let sent = self.sends.get_mut(&uid).expect("it was sent");
        if let SendOutcome::Stored(stored) = &answer
            && sent.level == 0
            && &*sent.topic == TOPIC
        {
            if sent.floor.is_some_and(|floor| stored.queue_offset <= floor) {
                return Err(BrokenPromise(format!(
                    "send {uid} is at offset {} of queue {}, an earlier one was acknowledged at {:?}",
                    stored.queue_offset, sent.queue_id, sent.floor
                )));
            }
            let greatest = self.acknowledged.entry(sent.queue_id).or_default();
            *greatest = (*greatest).max(stored.queue_offset);
        }
        sent.answer = answer;
        Ok(())
    }

    /// Whether a send after a uid was acknowledged.
    pub fn has_fresh(&self, after: u64) -> bool {
        self.sends
            .range(after..)
            .any(|(_, sent)| matches!(sent.answer, SendOutcome::Stored(_)))
    }

    /// A value that a group may commit for a queue; none if nothing was acknowledged there.
    pub fn committable(&self, group: u32, queue_id: u32, chance: u64) -> Option<u64> {
        let most = self.acknowledged.get(&queue_id)? + 1;
        let least = self.offsets.get(&(group, queue_id)).copied().unwrap_or(0);
        Some(least.min(most) + chance % (most - least.min(most) + 1))
    }

    /// What a read has to show that begins now.
    pub fn read(&self, group: u32, queue_id: u32) -> ReadPromise {
        ReadPromise {
            offset: self.offsets.get(&(group, queue_id)).copied(),
            next: self.acknowledged.get(&queue_id).map_or(0, |at| at + 1),
        }
    }

    /// A commit of a consumer offset was acknowledged.
    pub fn committed_offset(&mut self, group: u32, queue_id: u32, offset: u64) {
        let known = self.offsets.entry((group, queue_id)).or_default();
        *known = (*known).max(offset);
    }

    /// A client was given a queue, for so long from when it asked: nobody else's lease lasts on (I10). A twentieth is
    /// allowed for clocks that run at different speeds.
    pub fn locked(
        &mut self,
        queue_id: u32,
        (client, asked): (u32, Micros),
        now: Micros,
        ttl: Micros,
    ) -> Result<(), BrokenPromise> {
        let before = self.locks.insert(queue_id, (client, asked));
        match before {
            Some((other, since)) if other != client && now < since + ttl - ttl / 20 => {
                Err(BrokenPromise(format!(
                    "queue {queue_id} was given to client {client}, client {other} has it for {} ms more",
                    (since + ttl - now) / 1000
                )))
            }
            _ => Ok(()),
        }
    }

    /// A reader got a record: every later reader of that position gets the same one (I5), and it was sent (I2).
    pub fn saw(
        &mut self,
        position: (u32, u32, u64),
        record: &Record<'_>,
    ) -> Result<(), BrokenPromise> {
        let (uid, crc) = (uid(record), record.body_crc());
        if !self.sends.contains_key(&uid) {
            return Err(BrokenPromise(format!(
                "a reader got send {uid}, which was never made"
            )));
        }
        let known = *self.seen.entry(position).or_insert((uid, crc));
        if known == (uid, crc) {
            return Ok(());
        }
        Err(BrokenPromise(format!(
            "a reader got send {uid} at {position:?}, another one got send {}",
            known.0
        )))
    }

    /// The end of a history: every promise against one healed replica's log, which has everything that was committed.
    /// Answers how many sends were acknowledged.
    pub fn settle(&self, log: &LogReader) -> Result<u64, BrokenPromise> {
        let commit = self.last_committed;
        self.delays(log, commit)?;
        let found = uids(log, commit)?;
        let mut acknowledged = 0;
        for (uid, sent) in &self.sends {
            match (&sent.answer, found.get(uid)) {
                (SendOutcome::Stored(stored), Some(positions)) => {
                    acknowledged += 1;
                    let said = (
                        stored.index,
                        stored.queue_offset,
                        stored.physical_offsets[0],
                    );
                    if !positions.contains(&said) {
                        return Err(BrokenPromise(format!(
                            "send {uid} was said to be at {said:?}, it is at {positions:?}"
                        )));
                    }
                }
                (SendOutcome::Stored(stored), None) => {
                    return Err(BrokenPromise(format!(
                        "acknowledged send {uid} at {} is lost",
                        stored.index
                    )));
                }
                (SendOutcome::Refused, Some(positions)) => {
                    return Err(BrokenPromise(format!(
                        "send {uid} was refused before append, and is at {positions:?}"
                    )));
                }
                (SendOutcome::Refused, None) | (SendOutcome::Unknown, _) => {}
            }
        }
        match found.keys().find(|uid| !self.sends.contains_key(uid)) {
            Some(phantom) => Err(BrokenPromise(format!("send {phantom} was never made"))),
            None => Ok(acknowledged),
        }
    }

    /// Every delayed message up to its level's progress stands in its topic once, and none beyond it; no message stands
    /// in its topic twice.
    fn delays(&self, log: &LogReader, commit: u64) -> Result<(), BrokenPromise> {
        let mut delayed = Vec::new();
        let mut puts: BTreeMap<u64, u64> = BTreeMap::new();
        let mut progress: BTreeMap<u16, u64> = BTreeMap::new();
        for frame in frames(log, commit)? {
            for record in tern_wire::record::iter(frame.records()) {
                let record = record.map_err(|error| BrokenPromise(error.to_string()))?;
                if record.topic() == SCHEDULE_TOPIC {
                    let level = record.queue_id() as u16 + 1;
                    delayed.push((level, record.queue_offset(), uid(&record)));
                } else {
                    *puts.entry(uid(&record)).or_default() += 1;
                }
            }
            for op in Op::decode_all(frame.ops()).map_err(|e| BrokenPromise(e.to_string()))? {
                if let Op::DelayProgress(DelayProgress { level, to, .. }) = op {
                    progress.insert(level, to);
                }
            }
        }
        if let Some((uid, count)) = puts.iter().find(|(_, count)| **count > 1) {
            return Err(BrokenPromise(format!(
                "send {uid} stands in its topic {count} times"
            )));
        }
        for (level, queue_offset, uid) in delayed {
            let is_over = queue_offset < progress.get(&level).copied().unwrap_or(0);
            let is_put = puts.contains_key(&uid);
            let topic = self.sends.get(&uid).map(|sent| &*sent.topic);
            if is_over != is_put && topic == Some(TOPIC) {
                return Err(BrokenPromise(format!(
                    "delayed send {uid} of level {level} is {}, but the progress says otherwise",
                    if is_over {
                        "not in its topic"
                    } else {
                        "in its topic"
                    }
                )));
            }
        }
        Ok(())
    }

    /// A delayed message that was acknowledged and should have been put by now, and its level; the puts are looked up in
    /// a log.
    pub fn overdue(&self, progress: impl Fn(u16) -> u64, now: Micros) -> Option<(u64, u16)> {
        self.sends.iter().find_map(|(uid, sent)| {
            let SendOutcome::Stored(stored) = &sent.answer else {
                return None;
            };
            let delay = delay_ms(sent.level.max(1))? * 1000;
            let is_due = sent.level > 0 && sent.at + delay + LATE < now;
            (is_due && stored.queue_offset >= progress(sent.level)).then_some((*uid, sent.level))
        })
    }
}

/// The uid that a body begins with.
pub fn uid(record: &Record<'_>) -> u64 {
    let uid = record.body()[..8].try_into();
    u64::from_be_bytes(uid.expect("bodies start with a uid"))
}

/// The frames of a log up to an index.
fn frames(log: &LogReader, commit: u64) -> Result<Vec<Frame>, BrokenPromise> {
    let mut frames: Vec<Frame> = Vec::new();
    while (frames.len() as u64) < commit {
        let next = frames.len() as u64 + 1;
        let some = log.frames(next, 1 << 20);
        frames.extend(some.map_err(|error| BrokenPromise(error.to_string()))?);
    }
    frames.truncate(commit as usize);
    Ok(frames)
}

/// Index, queue offset and physical offset of every record with a uid.
type Places = BTreeMap<u64, Vec<(u64, u64, u64)>>;

/// Where each uid stands: index, queue offset, physical offset.
fn uids(log: &LogReader, commit: u64) -> Result<Places, BrokenPromise> {
    let mut found: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for frame in frames(log, commit)? {
        let FrameHeader { index, .. } = frame.header;
        for record in tern_wire::record::iter(frame.records()) {
            let record = record.map_err(|error| BrokenPromise(error.to_string()))?;
            let position = (index, record.queue_offset(), record.physical_offset());
            found.entry(uid(&record)).or_default().push(position);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_replication::replica_id;

    #[test]
    fn two_leaders_of_a_term_are_a_violation() {
        let mut ledger = Ledger::default();
        ledger.leads(0, 5).unwrap();
        ledger.leads(0, 5).unwrap();
        assert!(ledger.leads(1, 5).is_err());
    }

    #[test]
    fn two_votes_of_a_replica_in_a_term_are_a_violation() {
        let mut ledger = Ledger::default();
        let vote = |to: u32| {
            let mut vote =
                PeerMessage::raft(MessageKind::VoteAnswer, replica_id(1, 1), replica_id(to, 1));
            vote.term = 7;
            vote
        };
        ledger.sent(0, &vote(2)).unwrap();
        ledger.sent(0, &vote(2)).unwrap();
        assert!(ledger.sent(0, &vote(3)).is_err());
    }

    #[test]
    fn two_hashes_at_an_index_are_a_violation() {
        let mut ledger = Ledger::default();
        ledger.hashed(0, 9, 1).unwrap();
        assert!(ledger.hashed(1, 9, 2).is_err());
    }

    #[test]
    fn an_offset_below_an_acknowledged_one_is_a_violation() {
        let mut ledger = Ledger::default();
        let send = |uid| Send {
            uid,
            topic: TOPIC.into(),
            queue_id: 1,
            level: 0,
            length: 0,
        };
        let stored = |queue_offset| {
            SendOutcome::Stored(StoredRecords {
                index: 1,
                queue_offset,
                physical_offsets: smallvec::smallvec![0],
            })
        };
        ledger.sends(&send(1), 0);
        ledger.answered(1, stored(5)).unwrap();
        ledger.sends(&send(2), 1);
        assert!(ledger.answered(2, stored(5)).is_err());
        ledger.sends(&send(3), 2);
        ledger.answered(3, stored(6)).unwrap();
    }
}
