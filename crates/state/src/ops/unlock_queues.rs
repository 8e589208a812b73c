//! Type 7: give up the locks that a client holds.
//!
//! | size | field |
//! |--:|---|
//! | 4 + length | group, string |
//! | 4 + length | client id, string |
//! | rest | queues, see `queue_list.rs` |

use std::sync::Arc;

use crate::changes::Changes;
use crate::codec::{FieldError, FieldReader, FieldWriter};
use crate::tables::StateTables;

use super::body::OpBody;
use super::queue_list;

/// Give up the locks that a client holds; those of other clients stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockQueues {
    /// Subscription group.
    pub group: Arc<str>,
    /// Client id.
    pub client: Arc<str>,
    /// Topics and queue ids.
    pub queues: Vec<(Arc<str>, u32)>,
}

impl OpBody for UnlockQueues {
    const KIND: u16 = 7;

    fn write(&self, out: &mut FieldWriter<'_>) {
        out.string(&self.group);
        out.string(&self.client);
        queue_list::write(out, &self.queues);
    }

    fn read(from: &mut FieldReader<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            group: from.string()?.into(),
            client: from.string()?.into(),
            queues: queue_list::read(from)?,
        })
    }

    fn apply(self, tables: &mut StateTables, _term: u64, _changes: &mut Changes) {
        let queues = queue_list::known(tables, &self.queues);
        let holder = (&self.group, &*self.client);
        tables.locks.unlock(holder, queues.into_iter());
    }
}
