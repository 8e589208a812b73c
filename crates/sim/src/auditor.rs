//! What the disks say, whatever the replicas think: reads the disk models.

use tern_log::Frame;

use crate::ledger::BrokenPromise;
use crate::machine::Machine;
use crate::process::directory;

/// Bytes compared at a time.
const CHUNK: usize = 64 << 10;

/// How many disks would show a frame after a power cut that takes everything which is not certain.
pub fn holders(machines: &[Machine], frame: &Frame, segment_size: u64) -> usize {
    let mut buffer = vec![0; frame.bytes.len()];
    machines
        .iter()
        .filter(|machine| holds(machine, frame, segment_size, &mut buffer))
        .count()
}

/// Whether a disk would show a frame after a power cut.
pub fn shows(machine: &Machine, frame: &Frame, segment_size: u64) -> bool {
    holds(
        machine,
        frame,
        segment_size,
        &mut vec![0; frame.bytes.len()],
    )
}

fn holds(machine: &Machine, frame: &Frame, segment_size: u64, buffer: &mut [u8]) -> bool {
    let position = frame.header.position;
    let base = position - position % segment_size;
    let path = directory().join("log").join(format!("{base:020}"));
    let read = machine.disk.read_platter(&path, buffer, position - base);
    read == buffer.len() && *buffer == frame.bytes[..]
}

/// Segment files of two machines, byte for byte up to a position.
pub fn compare_files(
    one: &Machine,
    other: &Machine,
    end: u64,
    segment_size: u64,
) -> Result<(), BrokenPromise> {
    let mut base = 0;
    while base < end {
        let path = directory().join("log").join(format!("{base:020}"));
        let length = (end - base).min(segment_size);
        let read = |machine: &Machine| machine.disk.content(&path).unwrap_or_default();
        let (a, b) = (read(one), read(other));
        let (a, b) = (part(&a, length), part(&b, length));
        if let Some(at) = a
            .chunks(CHUNK)
            .zip(b.chunks(CHUNK))
            .position(|(a, b)| a != b)
        {
            return Err(BrokenPromise(format!(
                "the disks of nodes {} and {} differ in segment {base}, near byte {}",
                one.at,
                other.at,
                at * CHUNK
            )));
        }
        if a.len() != b.len() {
            return Err(BrokenPromise(format!(
                "the disks of nodes {} and {} have other lengths of segment {base}",
                one.at, other.at
            )));
        }
        base += segment_size;
    }
    Ok(())
}

fn part(bytes: &[u8], length: u64) -> &[u8] {
    &bytes[..bytes.len().min(length as usize)]
}
