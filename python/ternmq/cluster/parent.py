"""A child's promise to end when its parent ends, however that happens."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent dies.

    The child asks for it itself: code between fork and exec would cost the parent its fast way of starting processes.
    Where the system has no such signal (outside Linux) this does nothing, and a supervisor that is killed leaves
    children behind; the next start finds and ends them.

    Args:
        parent_pid: which process the parent must be; if it died before the request was made, this process ends at once.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)
