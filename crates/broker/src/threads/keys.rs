//! The thread that keeps the key index: it writes and merges runs, and reads the log again if entries were lost.

use std::time::Duration;

use tern_journal::Level;
use tern_log::{LogError, NewestKey};
use tern_replica::index_keys;
use tern_requests::Views;

use super::plain::say;

/// How long to wait after an error: the disk may be full. It doubles, as each try to fill a lost index again reads some
/// 16 MB of the log before it finds no room.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Bytes of frames read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Runs until the index is closed. The replica lives without an index, so an error stops nothing.
pub(super) fn run(views: &Views) {
    let mut pause = PAUSE;
    while views.keys.wait_for_work() {
        match keep(views) {
            Ok(()) => pause = PAUSE,
            Err(error) => {
                // Once, until it works again.
                if pause == PAUSE {
                    say(
                        Level::Warning,
                        format_args!(
                            "the key index is behind, and queries by key miss messages: {error}"
                        ),
                    );
                }
                views.keys.pause(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn keep(views: &Views) -> Result<(), LogError> {
    if views.keys.needs_rebuild() {
        let upto = views.keys.begin_rebuild();
        let read = upto.map_or(Ok(true), |upto| read_again(views, upto));
        views.keys.end_rebuild(matches!(read, Ok(true)));
        read?;
    }
    while views.keys.merge_step()? {}
    Ok(())
}

/// All records from the beginning of the log up to a message; false if the index was closed meanwhile.
fn read_again(views: &Views, upto: NewestKey) -> Result<bool, LogError> {
    let mut next = views.log.first_index();
    loop {
        for frame in views.log.frames(next, CHUNK_BYTES)? {
            if frame.header.position > upto.physical_offset {
                return Ok(true);
            }
            for record in tern_wire::record::iter(frame.records()).flatten() {
                index_keys(&views.keys, &record);
            }
            next = frame.header.index + 1;
            if frame.end().position > upto.physical_offset {
                return Ok(true);
            }
        }
        while views.keys.merge_step()? {}
        if views.keys.is_closed() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ReplicaBench;
    use tern_log::KeyHasher;

    #[test]
    fn entries_that_were_lost_are_read_from_the_log_again() {
        let mut bench = ReplicaBench::new();
        let keys: Vec<String> = (0..200).map(|number| format!("k{number}")).collect();
        for key in &keys {
            bench.commit_keyed("BenchmarkTest", key, &vec![7; 20_000]);
        }
        let views = &bench.views;
        let finds = |key: &str| {
            let hash = KeyHasher::new("BenchmarkTest").hash(key);
            views
                .keys
                .find(hash, 0, u64::MAX, 9)
                .expect("readable")
                .len()
        };
        views.keys.begin_rebuild();
        views.keys.end_rebuild(false);
        assert!(views.keys.needs_rebuild() && keys.iter().all(|key| finds(key) == 0));
        keep(views).expect("the log is there");
        assert!(views.keys.is_whole() && keys.iter().all(|key| finds(key) == 1));
    }
}
