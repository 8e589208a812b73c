"""What the disk does raw: `pwrite` and `fdatasync` into a file that has its space, as a log writes."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

FILE_BYTES = 256 << 20
SECONDS = 2.0


@dataclass(frozen=True)
class RawDisk:
    """Measured rates, MB/s of 10^6 bytes, and synced writes of 4 KiB a second."""

    syncs_per_second: float
    group_64k: float
    group_1m: float
    three_writers_64k: float

    @property
    def rate(self) -> float:
        """The rate that a row's bytes are compared with: groups of 64 KiB, by one writer or by three at once."""
        return max(self.group_64k, self.three_writers_64k)

    def __str__(self) -> str:
        return (
            f"raw disk, pwrite + fdatasync: {self.syncs_per_second:,.0f}/s of 4 KiB; groups of 64 KiB "
            f"{self.group_64k:,.0f} MB/s, by three writers at once {self.three_writers_64k:,.0f} MB/s; groups of 1 MiB "
            f"{self.group_1m:,.0f} MB/s"
        )


def measure(folder: Path) -> RawDisk:
    """Measure in a folder of the disk that the servers use."""
    os.sync()
    return RawDisk(
        syncs_per_second=_rate(folder, 4 << 10, 1) * 1e6 / (4 << 10),
        group_64k=_rate(folder, 64 << 10, 1),
        group_1m=_rate(folder, 1 << 20, 1),
        three_writers_64k=_rate(folder, 64 << 10, 3),
    )


def _rate(folder: Path, group: int, writers: int) -> float:
    files = [folder / f"raw-{number}" for number in range(writers)]
    descriptors = [os.open(file, os.O_RDWR | os.O_CREAT, 0o600) for file in files]
    try:
        for descriptor in descriptors:
            # Written once before: a hole's first write costs metadata that a log's preallocated segment does not.
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
            for offset in range(0, FILE_BYTES, 1 << 20):
                os.pwrite(descriptor, bytes(1 << 20), offset)
            os.fsync(descriptor)
        return _write_all(descriptors, group)
    finally:
        for descriptor, file in zip(descriptors, files, strict=True):
            os.close(descriptor)
            file.unlink()


def _write_all(descriptors: list[int], group: int) -> float:
    written = [0] * len(descriptors)

    def write(index: int, end: float) -> None:
        block = os.urandom(group)
        while time.monotonic() < end:
            os.pwrite(descriptors[index], block, written[index] % (FILE_BYTES - group + 1))
            os.fdatasync(descriptors[index])
            written[index] += group

    begin = time.monotonic()
    threads = [threading.Thread(target=write, args=(index, begin + SECONDS)) for index in range(len(descriptors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(written) / (time.monotonic() - begin) / 1e6
