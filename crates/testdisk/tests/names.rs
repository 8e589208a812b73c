//! Names keep the disk's promises.

use std::path::Path;

use tern_log::Disk;
use tern_testdisk::MemoryDisk;

#[test]
fn a_name_that_comes_back_after_a_power_cut_leads_to_its_file() {
    let disk = MemoryDisk::new();
    let directory = Path::new("/d");
    disk.create_dir(directory).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.create(&directory.join("made-and-removed")).unwrap();
    disk.unlink(&directory.join("made-and-removed")).unwrap();
    disk.kill();
    let mut came_back = 0;
    for seed in 0..64 {
        let after = disk.fork();
        after.crash(seed);
        for name in after.list(directory).unwrap() {
            came_back += 1;
            after.open(&directory.join(&name)).unwrap();
            after.unlink(&directory.join(&name)).unwrap();
        }
    }
    assert!(came_back > 0, "no seed lost the removal alone");
}
