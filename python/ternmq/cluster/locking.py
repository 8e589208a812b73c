"""One supervisor a folder: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from ternmq.cluster.layout import DataDir
from ternmq.errors import AlreadyRunningError

# A command that only asks holds the lock for a moment; a supervisor holds it for its life.
_TRIES, _BETWEEN_TRIES_S = 5, 0.02


@contextlib.contextmanager
def folder_lock(data: DataDir) -> Iterator[None]:
    """Hold a cluster's folder while it is worked on.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    descriptor = _open(data)
    try:
        for tries_left in reversed(range(_TRIES)):
            if _try(descriptor):
                break
            if not tries_left:
                raise AlreadyRunningError(
                    f"a cluster runs in {data.root} already", f"`ternmq down --data {data.root}` stops it"
                )
            time.sleep(_BETWEEN_TRIES_S)
        yield
    finally:
        os.close(descriptor)


def is_locked(data: DataDir) -> bool:
    """Say whether a supervisor lives in this folder."""
    try:
        descriptor = _open(data)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _try(descriptor)
    finally:
        os.close(descriptor)


def _open(data: DataDir) -> int:
    return os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
