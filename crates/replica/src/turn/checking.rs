//! What a peer's message is held against before the engine sees it: the own log. The engine compares terms alone, and
//! answers a contradiction with a panic.

use tern_log::planted::{Bug, is_planted};
use tern_log::{Fault, Frame, LogError};
use tern_replication::{MessageKind, PeerMessage};

use super::Replica;
use crate::fatal::Fatal;

impl<T> Replica<T> {
    /// A message that contradicts what this replica holds stops it, with a sentence: going on would make the difference
    /// greater, and both sides think that they are right.
    pub(super) fn check(&self, message: &PeerMessage) -> Result<(), Fatal> {
        if message.message == MessageKind::Heartbeat {
            self.check_confirmed(message)?;
        }
        let end = self.log.end().index;
        for frame in &message.frames {
            if frame.header.index > end {
                break;
            }
            self.check_known(frame, message)?;
        }
        Ok(())
    }

    /// Whether a message speaks of what a slave held before it came back with less. It has promised nothing; its master
    /// asks it anew.
    pub(super) fn is_from_before(&self, message: &PeerMessage) -> bool {
        message.message == MessageKind::Heartbeat
            && self.is_slave()
            && message.commit > self.log.end().index
    }

    /// A leader sends a commit index that the receiver has confirmed. A log that ends below it has lost something since.
    fn check_confirmed(&self, message: &PeerMessage) -> Result<(), Fatal> {
        let (end, term) = (self.log.end().index, self.engine.status().term);
        if message.commit <= end || message.term < term {
            return Ok(());
        }
        Err(Fatal::MayNotServe(format!(
            "this replica has confirmed {} frames to its leader and shows {end}: its data directory is an old copy, or its \
             disk lost what it had synced. It may not vote again under its old id. Rejoining is not there yet; put the \
             newest state of its directory back",
            message.commit
        )))
    }

    /// A frame whose index this log has (L6): the same term means the same frame, and a committed one is never replaced.
    fn check_known(&self, frame: &Frame, message: &PeerMessage) -> Result<(), Fatal> {
        let (index, term) = (frame.header.index, frame.header.term);
        // Messages of older terms are answered by the engine and change nothing.
        if message.term < self.engine.status().term {
            return Ok(());
        }
        let Some(own) = self.log.term(index)? else {
            return Ok(());
        };
        if own != term && index <= self.floor.max(self.committed) {
            return Err(Fatal::MayNotServe(format!(
                "a leader of term {} replaces frame {index}, which is committed here in term {own}, by one of term {term}: \
                 the leader lost acknowledged frames, and this replica keeps them",
                message.term
            )));
        }
        // An own header that cannot be read says nothing; reading it elsewhere will tell.
        let differs = self
            .log
            .header(index)
            .is_ok_and(|header| header.header_crc != frame.header.header_crc);
        if own == term && differs && !is_planted(Bug::DivergencePassedOver) {
            return Err(Fatal::Log(LogError::Diverged {
                index,
                position: frame.header.position,
                fault: Fault::HeaderCrc,
            }));
        }
        Ok(())
    }
}
