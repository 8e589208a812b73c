//! The io thread: prepares segments, so that a roll never waits for the disk, and looks how much room the disk has.

use std::path::Path;
use tern_log::{Disk, SegmentNeed, prepare_segment};
use tern_replica::PreparedSegment;

use crate::channels::batch_queue::BatchReceiver;
use crate::channels::mailbox::{Input, Mailbox};

pub(super) enum IoCommand {
    Prepare(SegmentNeed),
    Look,
    Stop,
}

/// How long to wait before a segment that met a full disk is tried again.
const FULL_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs until told to stop.
pub(super) fn run(
    disk: &dyn Disk,
    directory: &Path,
    segment_size: u64,
    requests: &BatchReceiver<IoCommand>,
    mailbox: &Mailbox,
) {
    let mut asked = requests.wait();
    loop {
        match asked.pop_front() {
            Some(IoCommand::Prepare(need)) => {
                let file = prepare_segment(disk, directory, need, segment_size);
                if file.is_err() {
                    asked.extend(requests.wait_for(FULL_PAUSE));
                }
                mailbox.tell(Input::Segment(PreparedSegment {
                    base: need.base,
                    file,
                }));
            }
            // A disk that cannot be asked tells nothing.
            Some(IoCommand::Look) => {
                mailbox.tell(Input::Space(disk.space(directory).unwrap_or(None)));
            }
            Some(IoCommand::Stop) => return,
            None => asked = requests.wait(),
        }
    }
}
