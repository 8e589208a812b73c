//! Type 6, version 2: lock queues for a client, or renew its locks. In version 1 leases were measured
//! by wall clocks.
//!
//! | size | field |
//! |--:|---|
//! | 4 + length | group, string |
//! | 4 + length | client id, string |
//! | 8 | term of the leader |
//! | 8 | since when it leads, monotonic ms |
//! | 8 | now, monotonic ms |
//! | 8 | time to live, ms |
//! | rest | queues, see `queue_list.rs` |

use std::sync::Arc;

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::tables::{LeaseTime, StateTables};

use super::body::OpBody;
use super::queue_list;

/// Lock queues for a client, or renew its locks. A queue that another client holds stays with it; a
/// topic or group that does not exist is passed over, and so is the whole op if its frame has
/// another term than its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockQueues {
    /// Subscription group.
    pub group: Arc<str>,
    /// Client id.
    pub client: Arc<str>,
    /// Time of the leader.
    pub at: LeaseTime,
    /// How long the locks live, ms.
    pub ttl_ms: u64,
    /// Topics and queue ids.
    pub queues: Vec<(Arc<str>, u32)>,
}

impl OpBody for LockQueues {
    const KIND: u16 = 6;

    const VERSION: u16 = 2;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.group);
        out.string(&self.client);
        out.u64(self.at.term);
        out.u64(self.at.since_ms);
        out.u64(self.at.now_ms);
        out.u64(self.ttl_ms);
        queue_list::write(out, &self.queues);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            group: from.string()?.into(),
            client: from.string()?.into(),
            at: LeaseTime {
                term: from.u64()?,
                since_ms: from.u64()?,
                now_ms: from.u64()?,
            },
            ttl_ms: from.u64()?,
            queues: queue_list::read(from)?,
        })
    }

    fn apply(self, tables: &mut StateTables, term: u64, _changes: &mut Changes) {
        // Stamped under one leadership and appended under a later one of the same replica: what it
        // says of the time before that one began is too early for the locks found then.
        if self.at.term != term || tables.groups.by_name(&self.group).is_none() {
            return;
        }
        let queues = queue_list::known(tables, &self.queues);
        let (holder, lease) = ((&self.group, &self.client), (self.at, self.ttl_ms));
        tables.locks.lock(holder, lease, queues.into_iter());
    }
}
