//! A disk that hangs: the thread that waits for it is not the one that goes on.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use tern_log::DiskFile;
use tern_testdisk::{DiskHook, FileHook, ForwardingDisk, ForwardingFile, MemoryDisk};

use crate::support::{PATIENCE, SoloBroker, bodies, message, pull, pull_header, wait_for};

/// Whether syncs of the log hang, and how many hang now.
#[derive(Clone, Default)]
struct HangingSyncs(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl HangingSyncs {
    fn set(&self, hang: bool) {
        self.0.0.lock().expect("no holder panics").0 = hang;
        self.0.1.notify_all();
    }

    fn waiting(&self) -> usize {
        self.0.0.lock().expect("no holder panics").1
    }
}

/// However a test ends: a node does not stop while its disk hangs.
struct ReleasedAtEnd(HangingSyncs);

impl Drop for ReleasedAtEnd {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl DiskHook for HangingSyncs {
    fn opened(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let is_segment = path.parent().is_some_and(|folder| folder.ends_with("log"));
        if is_segment {
            ForwardingFile::over(file, self.clone())
        } else {
            file
        }
    }
}

impl FileHook for HangingSyncs {
    fn sync_data(&self, file: &Arc<dyn DiskFile>) -> io::Result<()> {
        let (state, changed) = &*self.0;
        let mut held = state.lock().expect("no holder panics");
        held.1 += 1;
        held = changed
            .wait_while(held, |(hang, _)| *hang)
            .expect("no holder panics");
        held.1 -= 1;
        drop(held);
        file.sync_data()
    }
}

#[test]
fn a_node_answers_while_its_disk_hangs_and_goes_on_when_it_does_not() {
    let syncs = HangingSyncs::default();
    let disk = ForwardingDisk {
        inner: MemoryDisk::new(),
        hook: syncs.clone(),
    };
    let broker = SoloBroker::start_on(Arc::new(disk), |_| {});
    let _released = ReleasedAtEnd(syncs.clone());
    let mut acknowledged = Vec::new();
    let send = |body: &str| broker.client.call(message("t", 0, "", body)).code;
    // Each time another thread takes the turn over, and the next time the first one does again.
    for round in 0..3 {
        // Quick syncs, for which a turn waits itself. It has stepped down while the disk hung (D13), and refuses until it
        // leads again.
        for number in 0..30 {
            let body = format!("{round}/{number}");
            wait_for("it takes messages", || send(&body) == 0);
            acknowledged.push(body);
        }
        syncs.set(true);
        let waiting = broker.client.begin(message("t", 0, "", "hangs"));
        wait_for("a sync hangs", || syncs.waiting() == 1);
        let answer = waiting.recv_timeout(PATIENCE);
        let code = answer.expect("an answer while the disk hangs").code;
        assert_ne!(code, 0, "nothing is promised");
        syncs.set(false);
    }
    let mut found = Vec::new();
    wait_for("everything acknowledged is there", || {
        let next = found.len() as i64;
        found.extend(bodies(
            &broker.client.call(pull(&pull_header("g", "t", 0, next))),
        ));
        acknowledged.iter().all(|body| found.contains(body))
    });
}
