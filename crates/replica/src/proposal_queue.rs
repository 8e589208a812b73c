//! Proposals that wait for the leader's next frame.

use std::collections::VecDeque;

use crate::proposal::Proposal;

/// A queue that knows its weight.
#[derive(Debug)]
pub(crate) struct ProposalQueue<T> {
    proposals: VecDeque<Proposal<T>>,
    bytes: usize,
    messages: usize,
}

impl<T> ProposalQueue<T> {
    pub fn new() -> Self {
        Self {
            proposals: VecDeque::new(),
            bytes: 0,
            messages: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.proposals.len()
    }

    /// Bytes and messages, as a frame counts them.
    pub fn weight(&self) -> (usize, usize) {
        (self.bytes, self.messages)
    }

    pub fn front(&self) -> Option<&Proposal<T>> {
        self.proposals.front()
    }

    pub fn push(&mut self, proposal: Proposal<T>) {
        let (bytes, messages) = proposal.weight();
        self.bytes += bytes;
        self.messages += messages;
        self.proposals.push_back(proposal);
    }

    pub fn pop(&mut self) -> Option<Proposal<T>> {
        let proposal = self.proposals.pop_front()?;
        let (bytes, messages) = proposal.weight();
        self.bytes -= bytes;
        self.messages -= messages;
        Some(proposal)
    }
}
