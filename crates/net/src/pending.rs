//! The calls of one outgoing connection that wait for their answers, by opaque.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use tern_wire::Command;
use tokio::sync::oneshot;

use crate::error::CallError;

/// Takes the outcome of calls that were started with a number of the caller's choice.
pub trait CallSink: Send + Sync + 'static {
    /// The call `call_id` ended. Called on a net thread or on the one that started the call; must not block.
    fn done(&self, call_id: u64, outcome: Result<Command, CallError>);
}

/// Where the outcome of one call goes.
pub(crate) enum Completion {
    Future(oneshot::Sender<Result<Command, CallError>>),
    Sink {
        sink: Arc<dyn CallSink>,
        call_id: u64,
    },
}

impl Completion {
    pub(crate) fn complete(self, outcome: Result<Command, CallError>) {
        match self {
            // Nobody to tell if the future was dropped.
            Self::Future(sender) => drop(sender.send(outcome)),
            Self::Sink { sink, call_id } => sink.done(call_id, outcome),
        }
    }
}

pub(crate) struct PendingCall {
    pub(crate) completion: Completion,
    pub(crate) due_ms: u64,
    pub(crate) timeout: Duration,
}

/// The table. Opaques count from 0 and wrap, as in the stock clients.
#[derive(Default)]
pub(crate) struct PendingCalls {
    by_opaque: HashMap<i32, PendingCall>,
    next_opaque: i32,
    /// No call is due before this; lets a sweep skip the table.
    first_due_ms: u64,
}

impl PendingCalls {
    /// An opaque that no waiting call has.
    pub(crate) fn next_opaque(&mut self) -> i32 {
        loop {
            let opaque = self.next_opaque;
            self.next_opaque = opaque.wrapping_add(1);
            if !self.by_opaque.contains_key(&opaque) {
                return opaque;
            }
        }
    }

    pub(crate) fn insert(&mut self, opaque: i32, call: PendingCall) {
        if self.by_opaque.is_empty() || call.due_ms < self.first_due_ms {
            self.first_due_ms = call.due_ms;
        }
        self.by_opaque.insert(opaque, call);
    }

    pub(crate) fn remove(&mut self, opaque: i32) -> Option<PendingCall> {
        self.by_opaque.remove(&opaque)
    }

    pub(crate) fn contains(&self, opaque: i32) -> bool {
        self.by_opaque.contains_key(&opaque)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_opaque.is_empty()
    }

    /// Takes out the calls whose time is over.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<(i32, PendingCall)> {
        if self.by_opaque.is_empty() || now_ms < self.first_due_ms {
            return Vec::new();
        }
        let due = self
            .by_opaque
            .extract_if(|_, call| call.due_ms <= now_ms)
            .collect();
        self.first_due_ms = self
            .by_opaque
            .values()
            .map(|call| call.due_ms)
            .min()
            .unwrap_or(u64::MAX);
        due
    }

    pub(crate) fn take_all(&mut self) -> Vec<PendingCall> {
        std::mem::take(&mut self.by_opaque).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(due_ms: u64) -> PendingCall {
        let (sender, _) = oneshot::channel();
        PendingCall {
            completion: Completion::Future(sender),
            due_ms,
            timeout: Duration::from_millis(due_ms),
        }
    }

    #[test]
    fn only_due_calls_are_taken_and_the_rest_stays_findable() {
        let mut calls = PendingCalls::default();
        for due_ms in [30, 10, 20] {
            let opaque = calls.next_opaque();
            calls.insert(opaque, call(due_ms));
        }
        assert!(calls.take_due(9).is_empty());
        let due: Vec<_> = calls
            .take_due(20)
            .into_iter()
            .map(|(opaque, _)| opaque)
            .collect();
        assert_eq!(due.len(), 2);
        assert!(due.contains(&1) && due.contains(&2));
        assert!(calls.contains(0));
        assert_eq!(calls.take_due(30).len(), 1);
        assert!(calls.take_due(u64::MAX).is_empty());
    }

    #[test]
    fn opaques_wrap_and_skip_the_ones_still_waiting() {
        let mut calls = PendingCalls {
            next_opaque: i32::MAX,
            ..PendingCalls::default()
        };
        calls.insert(i32::MAX, call(1));
        calls.insert(i32::MIN, call(1));
        assert_eq!(calls.next_opaque(), i32::MIN + 1);
    }
}
