//! From waiting proposals to sealed frames: batching, queue numbers, placement.

use crate::fatal::Fatal;
use crate::next_queue_offsets::NextQueueOffsets;
use crate::proposal::{Proposal, RejectReason, StoredRecords};
use crate::tickets::PendingTicket;
use tern_log::{Frame, FrameDraft, LogEnd};
use tern_state::Precondition;
use tern_state::delay::SCHEDULE_TOPIC;

/// When a frame closes, and how much one trip takes (L8).
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameBounds {
    frame_bytes: usize,
    frame_messages: usize,
    trip_frames: usize,
    trip_bytes: usize,
    segment_size: u64,
}

impl FrameBounds {
    pub fn of_segment(segment_size: u64) -> Self {
        Self {
            frame_bytes: 256 << 10,
            frame_messages: 512,
            trip_frames: 16,
            trip_bytes: 4 << 20,
            segment_size,
        }
    }

    /// Whether this many bytes and messages make a frame that nothing more fits into.
    pub fn fills_frame(&self, (bytes, messages): (usize, usize)) -> bool {
        bytes >= self.frame_bytes || messages >= self.frame_messages
    }
}

/// A sealed frame and the tickets that wait for it.
pub(crate) struct BuiltFrame<T> {
    pub frame: Frame,
    pub tickets: Vec<PendingTicket<T>>,
}

/// A trip being built.
pub(crate) struct FrameBuilder<T> {
    end: LogEnd,
    term: u64,
    wall_ms: u64,
    limits: FrameBounds,
    draft: FrameDraft,
    tickets: Vec<PendingTicket<T>>,
    /// First record and number of records of each ticket in `tickets`.
    spans: Vec<(usize, usize)>,
    bytes: usize,
    frames: Vec<BuiltFrame<T>>,
}

impl<T> FrameBuilder<T> {
    pub fn new(end: LogEnd, term: u64, wall_ms: u64, limits: FrameBounds) -> Self {
        Self {
            end,
            term,
            wall_ms,
            limits,
            draft: FrameDraft::default(),
            tickets: Vec::new(),
            spans: Vec::new(),
            bytes: 0,
            frames: Vec::new(),
        }
    }

    /// Bytes of this trip so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether this trip takes one more. The first proposal always fits: one larger than a frame's cap is a
    /// frame of its own.
    pub fn has_space(&self, proposal: &Proposal<T>) -> bool {
        if self.bytes == 0 {
            return true;
        }
        let closes = self.closes_before(proposal.weight());
        let frames = self.frames.len() + usize::from(closes) + 1;
        frames <= self.limits.trip_frames
            && self.bytes + proposal.weight().0 <= self.limits.trip_bytes
    }

    /// Add a proposal whole: a client batch is never split over frames. One that does not fit behind what stands in
    /// the log comes back with the refusal.
    pub fn add(
        &mut self,
        proposal: Proposal<T>,
        next_offsets: &mut NextQueueOffsets,
    ) -> Result<Option<(T, RejectReason)>, Fatal> {
        // Checked before anything is counted: the offsets below are given out once, and a proposal that is refused here must
        // leave no gap in a queue.
        let preconditions = tern_state::preconditions(&proposal.ops)
            .map_err(|error| Fatal::State(format!("a proposal's ops: {error}")))?;
        if let Err(refusal) = next_offsets.check(&proposal.drafts, &preconditions) {
            return Ok(Some((proposal.ticket, refusal)));
        }
        // Closed before this proposal's offsets are taken, so that each frame has a proposal as a whole or not at all.
        if self.closes_before(proposal.weight()) {
            self.close()?;
        }
        self.bytes += proposal.weight().0;
        let first = self.draft.record_sizes.len();
        let mut first_offset = None;
        for draft in proposal.drafts {
            let count = draft.sizes.len() as u64;
            let queue_offset = next_offsets.take(&draft.topic, draft.queue_id, count);
            first_offset.get_or_insert(queue_offset);
            self.draft.records.extend_from_slice(&draft.bytes);
            if *draft.topic == *SCHEDULE_TOPIC {
                let begin = self.draft.message_count();
                self.draft.by_clock.extend(begin..begin + draft.sizes.len());
            }
            self.draft.record_sizes.extend_from_slice(&draft.sizes);
            self.draft
                .queue_offsets
                .extend(queue_offset..queue_offset + count);
        }
        self.draft.metadata.extend_from_slice(&proposal.ops);
        self.spans
            .push((first, self.draft.record_sizes.len() - first));
        self.tickets.push(PendingTicket {
            ticket: proposal.ticket,
            answer: proposal.answer,
            stored: StoredRecords {
                index: 0,
                queue_offset: first_offset.unwrap_or(0),
                physical_offsets: smallvec::SmallVec::new(),
            },
        });
        next_offsets.advance(&preconditions);
        if preconditions
            .iter()
            .any(|op| matches!(op, Precondition::Topics(_) | Precondition::Deleted(_)))
        {
            // Records of a frame are applied before its ops: what needs the topic stands behind this frame.
            self.close()?;
        }
        Ok(None)
    }

    /// Everything that one trip built.
    pub fn finish(mut self) -> Result<Vec<BuiltFrame<T>>, Fatal> {
        self.close()?;
        Ok(self.frames)
    }

    fn closes_before(&self, (bytes, messages): (usize, usize)) -> bool {
        let here = self.draft.records.len() + self.draft.metadata.len();
        !self.tickets.is_empty()
            && (here + bytes > self.limits.frame_bytes
                || self.draft.record_sizes.len() + messages > self.limits.frame_messages)
    }

    fn close(&mut self) -> Result<(), Fatal> {
        if self.tickets.is_empty() {
            return Ok(());
        }
        let frame =
            self.draft
                .seal(&self.end, self.term, self.wall_ms, self.limits.segment_size)?;
        self.end = frame.end();
        let mut tickets = std::mem::take(&mut self.tickets);
        let mut offset = frame.records_position();
        let mut offsets = Vec::with_capacity(self.draft.record_sizes.len());
        for size in &self.draft.record_sizes {
            offsets.push(offset);
            offset += u64::from(*size);
        }
        self.draft.clear();
        for (placed, (first, count)) in tickets.iter_mut().zip(self.spans.drain(..)) {
            placed.stored.index = frame.header.index;
            placed.stored.physical_offsets = offsets[first..first + count].into();
        }
        self.frames.push(BuiltFrame { frame, tickets });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{SEGMENT_SIZE, record};
    use crate::{AnswerAt, Draft};
    use tern_wire::record::{encode, iter};

    fn proposal(topics: &[&str]) -> Proposal<()> {
        let draft = |topic: &&str| {
            let mut bytes = Vec::new();
            let size = encode(&record(topic, 0, "", b"m"), &mut bytes).expect("it fits");
            Draft {
                topic: (*topic).into(),
                queue_id: 0,
                bytes,
                sizes: smallvec::smallvec![size as u32],
            }
        };
        Proposal {
            drafts: topics.iter().map(draft).collect(),
            ops: bytes::Bytes::new(),
            answer: AnswerAt::Commit,
            ticket: (),
            received_ns: 0,
        }
    }

    /// Another leader's clock was ahead by less than the log's timestamp falls for.
    #[test]
    fn what_becomes_due_carries_the_leaders_clock_and_the_rest_the_logs_timestamp() {
        let end = LogEnd {
            store_timestamp_ms: 50_000,
            ..LogEnd::default()
        };
        let mut next_offsets = NextQueueOffsets::default();
        for topic in ["orders", SCHEDULE_TOPIC] {
            next_offsets.put_topic(&topic.into());
        }
        let mut building = FrameBuilder::new(end, 1, 20_000, FrameBounds::of_segment(SEGMENT_SIZE));
        for topics in [
            &["orders"][..],
            &[SCHEDULE_TOPIC],
            &["orders", SCHEDULE_TOPIC, SCHEDULE_TOPIC, "orders"],
        ] {
            let refused = building
                .add(proposal(topics), &mut next_offsets)
                .expect("good");
            assert!(refused.is_none());
        }
        let frames = building.finish().expect("good drafts");
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].frame.header.store_timestamp_ms, 50_000);
        let stored: Vec<_> = iter(frames[0].frame.records())
            .map(|record| record.expect("a record"))
            .map(|record| (record.topic(), record.store_timestamp_ms()))
            .collect();
        let (plain, delayed) = (("orders", 50_000), (SCHEDULE_TOPIC, 20_000));
        assert_eq!(stored, [plain, delayed, plain, delayed, delayed, plain]);
    }
}
