"""One supervisor a folder: a lock that the system takes back when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from ternmq.cluster.layout import DataDir
from ternmq.errors import LaunchError


@contextlib.contextmanager
def folder_lock(data: DataDir) -> Iterator[None]:
    """Hold a cluster's folder while it is worked on.

    Raises:
        LaunchError: somebody else holds it.
    """
    descriptor = os.open(data.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LaunchError(
                f"a cluster runs in {data.root} already", f"`ternmq down --data {data.root}` stops it"
            ) from error
        yield
    finally:
        os.close(descriptor)


def is_locked(data: DataDir) -> bool:
    """Say whether a supervisor lives in this folder."""
    try:
        with folder_lock(data):
            return False
    except LaunchError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
