//! Sparse bytes: what was never written reads as zeros and costs nothing.

use std::collections::BTreeMap;

const PAGE: u64 = 4096;

/// Content of a file, by pages.
#[derive(Clone, Default)]
pub struct Pages(BTreeMap<u64, Box<[u8; PAGE as usize]>>);

impl Pages {
    /// Fills the buffer.
    pub fn read(&self, buffer: &mut [u8], offset: u64) {
        for (page, within, range) in pieces(offset, buffer.len()) {
            let length = range.len();
            match self.0.get(&page) {
                Some(content) => buffer[range].copy_from_slice(&content[within..within + length]),
                None => buffer[range].fill(0),
            }
        }
    }

    /// Overwrites bytes.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        for (page, within, range) in pieces(offset, bytes.len()) {
            let length = range.len();
            let content = self
                .0
                .entry(page)
                .or_insert_with(|| Box::new([0; PAGE as usize]));
            content[within..within + length].copy_from_slice(&bytes[range]);
        }
    }

    /// First offset at or after one that lies in a page that exists.
    pub fn next_page(&self, from: u64) -> Option<u64> {
        let (page, _) = self.0.range(from / PAGE..).next()?;
        Some(from.max(page * PAGE))
    }

    /// Forgets everything at and behind an offset.
    pub fn cut(&mut self, length: u64) {
        let kept = length.div_ceil(PAGE);
        self.0.split_off(&kept);
        if !length.is_multiple_of(PAGE)
            && let Some(content) = self.0.get_mut(&(length / PAGE))
        {
            content[(length % PAGE) as usize..].fill(0);
        }
    }
}

/// Cuts a range of a file into parts of pages: page, offset within it, range of the buffer.
fn pieces(
    offset: u64,
    length: usize,
) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == length {
            return None;
        }
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let part = (PAGE as usize - within).min(length - done);
        let range = done..done + part;
        done += part;
        Some((at / PAGE, within, range))
    })
}
