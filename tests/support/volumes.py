"""Small file systems for single replicas, to be filled: loop-mounted ext4 and xfs, and tmpfs. Root only."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_MIB = 1 << 20
_MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0"),
    "xfs": ("mkfs.xfs", "-q"),
}
JUNK = "junk"


class Volume:
    """A mounted file system.

    Args:
        path: where it is mounted; made if missing.
        kind: ext4, xfs or tmpfs.
        mib: its size.
        image: the file that holds it; not used by tmpfs.
    """

    def __init__(self, path: Path, kind: str, mib: int, image: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        if kind == "tmpfs":
            _run("mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(path))
            return
        with image.open("wb") as file:
            file.truncate(mib * _MIB)
        _run(*_MAKE[kind], str(image))
        _run("mount", "-o", "loop", str(image), str(path))
        with contextlib.suppress(FileNotFoundError):
            (path / "lost+found").rmdir()

    def free(self) -> int:
        """Bytes that can still be written."""
        space = os.statvfs(self.path)
        return space.f_bavail * space.f_frsize

    def junk(self, leave: int) -> None:
        """Let a file of somebody else take all but so many bytes; with 0, to the last block."""
        junk = self.path / JUNK
        with junk.open("ab") as file:
            while (room := self.free() - leave) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), min(room, _MIB))
                except OSError:
                    break
                file.seek(0, os.SEEK_END)
        if leave == 0:
            _write_to_the_last_block(junk)

    def remove_junk(self) -> None:
        """Make room again."""
        (self.path / JUNK).unlink()

    def unmount(self) -> None:
        """Take it away, even from under a process that lives on."""
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)


def why_not(kind: str) -> str | None:
    """Why such a file system cannot be made here, for a skip by name; none if it can."""
    if os.geteuid() != 0:
        return "needs root to mount file systems"
    if kind in _MAKE and shutil.which(_MAKE[kind][0]) is None:
        return f"needs {_MAKE[kind][0]}"
    known = Path("/proc/filesystems").read_text().split()
    return None if kind in known else f"needs a kernel with {kind}"


@contextlib.contextmanager
def volumes(kind: str, mib: int, paths: list[Path], images: Path) -> Iterator[list[Volume]]:
    """A file system of its own for each path; all are unmounted at the end, whatever happened."""
    mounted: list[Volume] = []
    try:
        for number, path in enumerate(paths):
            mounted.append(Volume(path, kind, mib, images / f"{kind}-{number}.img"))
        yield mounted
    finally:
        for volume in mounted:
            volume.unmount()
        for image in images.glob(f"{kind}-*.img"):
            image.unlink()


def _write_to_the_last_block(path: Path) -> None:
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"j" * 4096)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
