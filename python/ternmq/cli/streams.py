"""Standard streams as a command finds them: closed, or with an encoding that lacks what we write."""

from __future__ import annotations

import io
import os
import sys


def prepare_streams() -> None:
    """Let a command read and write whatever its streams are.

    A stream that was closed (``ternmq ps >&-``) becomes the null device: else the next socket would get its number, and
    what is printed would go there. What the encoding of a stream cannot say is written with a question mark.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not writes_everything(stream):
            stream.reconfigure(errors="replace")


def writes_everything(stream: object) -> bool:
    """Whether every character can be written to a stream."""
    return str(getattr(stream, "encoding", "utf-8")).lower().replace("-", "").startswith("utf")
