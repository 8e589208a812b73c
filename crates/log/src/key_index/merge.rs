//! Some runs becoming one, as many entries at a time as the caller likes.

use std::sync::Arc;

use super::entry::KeyEntry;
use super::run::{RunReader, RunWriter, SortedRun};
use crate::error::LogError;

/// A merge under way.
pub struct Merge {
    inputs: Vec<Arc<SortedRun>>,
    /// What is left of them, with the next entry of each.
    sources: Vec<(KeyEntry, RunReader)>,
    writer: RunWriter,
}

impl Merge {
    /// Of runs of one level, at least one.
    pub fn begin(inputs: Vec<Arc<SortedRun>>, writer: RunWriter) -> Result<Self, LogError> {
        let mut sources = Vec::with_capacity(inputs.len());
        for run in &inputs {
            let mut reader = RunReader::new(Arc::clone(run));
            if let Some(first) = reader.next()? {
                sources.push((first, reader));
            }
        }
        Ok(Self {
            inputs,
            sources,
            writer,
        })
    }

    /// The level of the runs that are merged.
    pub fn level(&self) -> u32 {
        self.inputs[0].level
    }

    /// Merges so many entries; answers whether that was the end.
    pub fn take_on(&mut self, entries: usize) -> Result<bool, LogError> {
        for _ in 0..entries {
            // A handful of sources: a heap would compare as often.
            let Some(at) = (0..self.sources.len()).min_by_key(|at| self.sources[*at].0) else {
                return Ok(true);
            };
            let (entry, reader) = &mut self.sources[at];
            self.writer.push(*entry)?;
            match reader.next()? {
                Some(next) => *entry = next,
                None => drop(self.sources.swap_remove(at)),
            }
        }
        Ok(self.sources.is_empty())
    }

    /// What was merged, and what it became.
    pub fn finish(self) -> Result<(Vec<Arc<SortedRun>>, SortedRun), LogError> {
        let level = self.level() + 1;
        Ok((self.inputs, self.writer.finish(level)?))
    }
}
