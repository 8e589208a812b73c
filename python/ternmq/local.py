"""The local cluster of a place: the folder ``.ternmq`` there or above, as git finds a repository.

Plain files and the standard library: the client looks here, too, when nobody names a NameServer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = ".ternmq"
STATE = "state.json"
MODES = ("raft", "multi-master", "async-slave", "sync-double-write")
"""How the groups of a cluster can replicate."""


def find_folder(start: Path | None = None) -> Path | None:
    """Find the nearest cluster folder at or above a place.

    Another user's folder is passed over: whoever may write above must not choose whom our programs talk to.

    Args:
        start: where to begin; the current folder if None.
    """
    here = Path.cwd() if start is None else start.absolute()
    for folder in (here, *here.parents):
        found = folder / FOLDER
        try:
            if found.is_dir() and found.stat().st_uid == os.geteuid():
                return found
        except OSError:
            continue
    return None


def nameservers(folder: Path) -> tuple[str, ...]:
    """Name the NameServers of the cluster that runs in a folder; empty if none does."""
    try:
        state = json.loads((folder / STATE).read_bytes())
        os.kill(int(state["supervisor_pid"]), 0)
        return tuple(str(node["address"]) for node in state["nodes"] if node["kind"] == "namesrv")
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError):
        return ()
