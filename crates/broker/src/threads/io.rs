//! The io thread: prepares segments, so that a roll never waits for the disk.

use std::path::Path;
use tern_log::{Disk, prepare_segment};

use crate::mailbox::{Input, Mailbox};
use crate::post::PostBox;
use crate::replica::PreparedSegment;

pub(super) enum Request {
    Prepare(u64),
    Stop,
}

/// How long to wait before a segment that met a full disk is tried again.
const FULL_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs until told to stop.
pub(super) fn run(
    disk: &dyn Disk,
    directory: &Path,
    segment_size: u64,
    requests: &PostBox<Request>,
    mailbox: &Mailbox,
) {
    let mut asked = requests.wait();
    while let Some(Request::Prepare(base)) = asked.pop_front() {
        let file = prepare_segment(disk, directory, base, segment_size);
        if file.is_err() {
            asked.extend(requests.wait_for(FULL_PAUSE));
        }
        mailbox.tell(Input::Segment(PreparedSegment { base, file }));
        if asked.is_empty() {
            asked = requests.wait();
        }
    }
}
