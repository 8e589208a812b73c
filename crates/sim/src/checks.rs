//! What must hold in every history.

use std::collections::BTreeMap;

use tern_broker::replica::Stored;
use tern_log::{FrameHeader, LogReader};
use tern_replication::{MessageKind, PeerKind, PeerMessage};
use tern_state::Op;
use tern_state::delay::SCHEDULE_TOPIC;
use tern_wire::record::Record;

/// A broken promise, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// What the outside knows of one send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Code 0, with the place.
    Stored(Stored),
    /// Code 2 or 14: never appended.
    Refused,
    /// Code 1, or no answer: anything may be.
    Unknown,
}

/// Everything that is remembered across the crashes of replicas.
#[derive(Debug, Default)]
pub struct Ledger {
    committed: BTreeMap<u64, (u64, u32)>,
    leaders: BTreeMap<u64, usize>,
    votes: BTreeMap<(usize, u64), u64>,
    hashes: BTreeMap<u64, u64>,
    /// Answers by uid of the send.
    pub answers: BTreeMap<u64, Answer>,
}

impl Ledger {
    /// A replica leads in a term.
    pub fn leads(&mut self, node: usize, term: u64) -> Result<(), Violation> {
        let known = *self.leaders.entry(term).or_insert(node);
        if known == node {
            return Ok(());
        }
        Err(Violation(format!(
            "nodes {known} and {node} both lead in term {term}"
        )))
    }

    /// A message left a replica: it may be a vote.
    pub fn sent(&mut self, node: usize, message: &PeerMessage) -> Result<(), Violation> {
        let candidate = match (message.kind, message.message) {
            (PeerKind::Raft, MessageKind::Vote) => message.from,
            (PeerKind::Raft, MessageKind::VoteAnswer) if !message.reject => message.to,
            _ => return Ok(()),
        };
        let known = *self.votes.entry((node, message.term)).or_insert(candidate);
        if known == candidate {
            return Ok(());
        }
        Err(Violation(format!(
            "node {node} voted for {known:#x} and for {candidate:#x} in term {}",
            message.term
        )))
    }

    /// A replica learnt that everything up to `commit` is committed; `from` is what it knew before.
    pub fn commits(
        &mut self,
        node: usize,
        from: u64,
        commit: u64,
        log: &LogReader,
    ) -> Result<(), Violation> {
        for index in from + 1..=commit {
            let header = log.header(index).map_err(|error| {
                Violation(format!(
                    "node {node} committed {index} without having it: {error}"
                ))
            })?;
            let here = (header.term, header.header_crc);
            let known = *self.committed.entry(index).or_insert(here);
            if known != here {
                return Err(Violation(format!(
                    "index {index} is committed as {known:?} and, on node {node}, as {here:?}"
                )));
            }
        }
        Ok(())
    }

    /// State hashes at an index are equal wherever they were seen.
    pub fn hashed(&mut self, node: usize, index: u64, hash: u64) -> Result<(), Violation> {
        let known = *self.hashes.entry(index).or_insert(hash);
        if known == hash {
            return Ok(());
        }
        Err(Violation(format!(
            "state of node {node} at {index} has hash {hash:x}, elsewhere {known:x}"
        )))
    }

    /// Greatest index that anybody knew to be committed.
    pub fn last_committed(&self) -> u64 {
        self.committed
            .last_key_value()
            .map_or(0, |(index, _)| *index)
    }

    /// The end of a history: every promise against one healed replica's log.
    pub fn settle(&self, log: &LogReader, commit: u64) -> Result<u64, Violation> {
        if commit < self.last_committed() {
            return Err(Violation(format!(
                "after healing, the commit index is {commit}, but {} was committed",
                self.last_committed()
            )));
        }
        delays(log, commit)?;
        let found = uids(log, commit)?;
        let mut acknowledged = 0;
        for (uid, answer) in &self.answers {
            match (answer, found.get(uid)) {
                (Answer::Stored(stored), Some(places)) => {
                    acknowledged += 1;
                    let said = (
                        stored.index,
                        stored.queue_offset,
                        stored.physical_offsets[0],
                    );
                    if !places.contains(&said) {
                        return Err(Violation(format!(
                            "send {uid} was said to be at {said:?}, it is at {places:?}"
                        )));
                    }
                }
                (Answer::Stored(stored), None) => {
                    return Err(Violation(format!(
                        "acknowledged send {uid} at {} is lost",
                        stored.index
                    )));
                }
                (Answer::Refused, Some(places)) => {
                    return Err(Violation(format!(
                        "send {uid} was refused before append, and is at {places:?}"
                    )));
                }
                (Answer::Refused, None) | (Answer::Unknown, _) => {}
            }
        }
        match found.keys().find(|uid| !self.answers.contains_key(uid)) {
            Some(phantom) => Err(Violation(format!("send {phantom} was never made"))),
            None => Ok(acknowledged),
        }
    }
}

/// Every delayed message up to its level's progress stands in its topic once, and none beyond it; no message stands in
/// its topic twice.
fn delays(log: &LogReader, commit: u64) -> Result<(), Violation> {
    let mut delayed = Vec::new();
    let mut puts: BTreeMap<u64, u64> = BTreeMap::new();
    let mut progress: BTreeMap<u16, u64> = BTreeMap::new();
    for index in 1..=commit {
        let frame = log
            .frame(index)
            .map_err(|error| Violation(error.to_string()))?;
        for record in tern_wire::record::iter(frame.records()) {
            let record = record.map_err(|error| Violation(error.to_string()))?;
            if record.topic() == SCHEDULE_TOPIC {
                let level = record.queue_id() as u16 + 1;
                delayed.push((level, record.queue_offset(), uid(&record)));
            } else {
                *puts.entry(uid(&record)).or_default() += 1;
            }
        }
        for op in Op::decode_all(frame.metadata()).map_err(|e| Violation(e.to_string()))? {
            if let Op::DelayProgress { level, to, .. } = op {
                progress.insert(level, to);
            }
        }
    }
    if let Some((uid, count)) = puts.iter().find(|(_, count)| **count > 1) {
        return Err(Violation(format!(
            "send {uid} stands in its topic {count} times"
        )));
    }
    for (level, queue_offset, uid) in delayed {
        let is_over = queue_offset < progress.get(&level).copied().unwrap_or(0);
        if is_over != puts.contains_key(&uid) {
            return Err(Violation(format!(
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

fn uid(record: &Record<'_>) -> u64 {
    let uid = record.body()[..8].try_into();
    u64::from_be_bytes(uid.expect("bodies start with a uid"))
}

/// Index, queue offset and physical offset of every record with a uid.
type Places = BTreeMap<u64, Vec<(u64, u64, u64)>>;

/// Where each uid stands: index, queue offset, physical offset.
fn uids(log: &LogReader, commit: u64) -> Result<Places, Violation> {
    let mut found: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for index in 1..=commit {
        let frame = log
            .frame(index)
            .map_err(|error| Violation(error.to_string()))?;
        let FrameHeader { index, .. } = frame.header;
        for record in tern_wire::record::iter(frame.records()) {
            let record = record.map_err(|error| Violation(error.to_string()))?;
            let place = (index, record.queue_offset(), record.physical_offset());
            found.entry(uid(&record)).or_default().push(place);
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
}
