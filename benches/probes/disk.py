"""What the disk does raw: `pwrite` and `fdatasync` into a file that has its space, as a log writes."""

import os
import resource
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

FILE_BYTES = 256 << 20
SECONDS = 2.0
SMALL, LARGE = 4 << 10, 64 << 10


@dataclass(frozen=True)
class RawDisk:
    """Measured rates, MB/s of 10^6 bytes, synced writes of 4 KiB a second, and the kernel's CPU of a write and sync."""

    syncs_per_second: float
    group_64k: float
    group_1m: float
    three_writers_64k: float
    cpu_us_4k: float = 0.0
    cpu_us_64k: float = 0.0

    @property
    def rate(self) -> float:
        """The rate that a row's bytes are compared with: groups of 64 KiB, by one writer or by three at once."""
        return max(self.group_64k, self.three_writers_64k)

    def sync_cpu_us(self, written: float) -> float:
        """CPU of a sync of so many bytes, on the line through those of 4 and of 64 KiB; never less than of 4 KiB."""
        of_a_byte = (self.cpu_us_64k - self.cpu_us_4k) / (LARGE - SMALL)
        return self.cpu_us_4k + max(0.0, of_a_byte) * max(0.0, written - SMALL)

    def __str__(self) -> str:
        return (
            f"raw disk, pwrite + fdatasync: {self.syncs_per_second:,.0f}/s of 4 KiB; groups of 64 KiB "
            f"{self.group_64k:,.0f} MB/s, by three writers at once {self.three_writers_64k:,.0f} MB/s; groups of 1 MiB "
            f"{self.group_1m:,.0f} MB/s; {self.cpu_us_4k:.0f} us of CPU for 4 KiB, {self.cpu_us_64k:.0f} us for 64 KiB"
        )


def measure(folder: Path) -> RawDisk:
    """Measure in a folder of the disk that the servers use."""
    os.sync()
    small, large = _writes(folder, SMALL, 1), _writes(folder, LARGE, 1)
    return RawDisk(
        syncs_per_second=small.rate * 1e6 / SMALL,
        group_64k=large.rate,
        group_1m=_writes(folder, 1 << 20, 1).rate,
        three_writers_64k=_writes(folder, LARGE, 3).rate,
        cpu_us_4k=small.cpu_us,
        cpu_us_64k=large.cpu_us,
    )


class _Writes(NamedTuple):
    """MB/s, and the kernel's CPU of one write and sync."""

    rate: float
    cpu_us: float


def _writes(folder: Path, group: int, writers: int) -> _Writes:
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


def _write_all(descriptors: list[int], group: int) -> _Writes:
    written, cpu = [0] * len(descriptors), [0.0] * len(descriptors)

    def write(index: int, end: float) -> None:
        block = os.urandom(group)
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_stime
        while time.monotonic() < end:
            os.pwrite(descriptors[index], block, written[index] % (FILE_BYTES - group + 1))
            os.fdatasync(descriptors[index])
            written[index] += group
        cpu[index] = resource.getrusage(resource.RUSAGE_THREAD).ru_stime - before

    begin = time.monotonic()
    threads = [threading.Thread(target=write, args=(index, begin + SECONDS)) for index in range(len(descriptors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _Writes(sum(written) / (time.monotonic() - begin) / 1e6, sum(cpu) * 1e6 / (sum(written) / group))
