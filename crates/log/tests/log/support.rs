//! Builders: records, drafts, a log with a clock of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tern_log::{Disk, Frame, FrameDraft, Log, LogError, LogOptions, RealDisk, Recovery, StopKind};
use tern_testdisk::MemoryDisk;
use tern_wire::record::{NewRecord, encode};

pub const GROUP: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
pub const DIRECTORY: &str = "/data/n0";
pub const NOW_MS: u64 = 1_700_000_000_123;

/// One encoded record with a body.
pub fn record(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let host = SocketAddr::from((Ipv4Addr::LOCALHOST, 10911));
    let new = NewRecord {
        queue_id: 3,
        flag: 9,
        sys_flag: 0,
        born_timestamp_ms: 1_699_999_999_000,
        born_host: SocketAddr::from((Ipv4Addr::new(10, 0, 0, 2), 50000)),
        store_host: host,
        reconsume_times: 2,
        prepared_transaction_offset: 0,
        body,
        topic: "T",
        properties: b"K\x01v\x02",
    };
    encode(&new, &mut out).expect("a small record");
    out
}

/// A draft with one record for each body; queue offsets count from 0.
pub fn draft(bodies: &[&[u8]]) -> FrameDraft {
    let mut draft = FrameDraft::default();
    for (queue_offset, body) in bodies.iter().enumerate() {
        draft.push_record(&record(body), queue_offset as u64);
    }
    draft
}

/// Bytes without zeros that differ from number to number.
pub fn body(number: u64, length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|at| ((number.wrapping_mul(131) + at * 7) % 255 + 1) as u8)
        .collect()
}

pub fn options(directory: &Path, segment_size: u64) -> LogOptions {
    LogOptions {
        segment_size,
        ..LogOptions::new(directory, GROUP)
    }
}

/// A log in memory and what a test needs around it.
pub struct DiskBench {
    pub disk: MemoryDisk,
    pub segment_size: u64,
}

impl DiskBench {
    pub fn new(segment_size: u64) -> Self {
        Self {
            disk: MemoryDisk::new(),
            segment_size,
        }
    }

    pub fn with_disk(disk: MemoryDisk, segment_size: u64) -> Self {
        Self { disk, segment_size }
    }

    pub fn open(&self) -> Result<(Log, Recovery), LogError> {
        self.open_after(StopKind::PowerCutPossible)
    }

    pub fn open_after(&self, stop: StopKind) -> Result<(Log, Recovery), LogError> {
        let options = LogOptions {
            stop,
            ..options(Path::new(DIRECTORY), self.segment_size)
        };
        Log::open(Arc::new(self.disk.clone()), options)
    }

    /// A second recovery changes nothing and finds the same.
    pub fn assert_recovery_is_done(&self, first: &Recovery) {
        self.disk.kill();
        let before = self.disk.operations();
        let (log, second) = self.open().expect("a recovered log opens");
        assert_eq!(log.end(), first.end);
        assert_eq!(second.rewritten, 0);
        // An empty log makes the names of its directories durable at each start.
        assert!(
            self.disk.operations() == before || log.end().position == 0,
            "a second recovery writes nothing"
        );
    }
}

/// The file of a segment.
pub fn segment(base: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("log/{base:020}"))
}

/// Sets bytes to zero, as in a sector that was never written.
pub fn erase(disk: &MemoryDisk, path: &Path, from: u64, length: u64) {
    let content = disk.content(path).expect("the file");
    for at in from..from + length {
        disk.damage(path, at, content[at as usize])
            .expect("the file");
    }
}

/// Seals and appends one frame with one record; answers it.
pub fn append_one(log: &mut Log, term: u64, body: &[u8]) -> Result<Frame, LogError> {
    let frame = draft(&[body]).seal(&log.end(), term, NOW_MS, log.segment_size())?;
    log.append(std::slice::from_ref(&frame))?;
    Ok(frame)
}

/// Seals frames that follow one another, without appending them.
pub fn seal_run(log: &Log, term: u64, bodies: &[Vec<u8>]) -> Vec<Frame> {
    let mut end = log.end();
    let seal = |body: &Vec<u8>| {
        let frame = draft(&[body])
            .seal(&end, term, NOW_MS, log.segment_size())
            .expect("a good draft");
        end = frame.end();
        frame
    };
    bodies.iter().map(seal).collect()
}

/// Both disks with an empty directory each; the guard keeps the real one.
pub fn disks() -> Vec<(Arc<dyn Disk>, PathBuf, Option<tempfile::TempDir>)> {
    let real = tempfile::tempdir().expect("a temporary directory");
    let path = real.path().join("n0");
    vec![
        (Arc::new(MemoryDisk::new()), PathBuf::from(DIRECTORY), None),
        (Arc::new(RealDisk), path, Some(real)),
    ]
}
