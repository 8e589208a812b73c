"""Stands in for a node in tests of the supervisor: listens, may refuse to start, may ignore SIGTERM.

Usage: fake_node.py PORT DIRECTORY NAME. A file NAME.fails in DIRECTORY makes it end with that sentence; NAME.stubborn
makes it ignore SIGTERM. It notes its start and its orderly end in DIRECTORY/events.
"""

import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from ternmq.cluster.parent import die_with_parent


def main(port: int, directory: Path, name: str, parent_pid: int) -> None:
    """Run until SIGTERM."""
    die_with_parent(parent_pid)
    sentence = directory / f"{name}.fails"
    if sentence.exists():
        sys.exit(f"error: {sentence.read_text()}")
    listener = socket.create_server(("127.0.0.1", port))

    def leave(_number: int, _frame: FrameType | None) -> None:
        _note(directory, f"drained {name}")
        sys.exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if (directory / f"{name}.stubborn").exists() else leave)
    _note(directory, f"up {name}")
    while True:
        listener.accept()[0].close()


def _note(directory: Path, line: str) -> None:
    with (directory / "events").open("a") as events:
        events.write(line + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
