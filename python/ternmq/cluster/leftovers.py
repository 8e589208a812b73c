"""What a supervisor that was killed leaves behind, and its removal."""

from __future__ import annotations

import contextlib

import psutil

from ternmq.cluster.layout import DataDir
from ternmq.cluster.state import read_state

_END_WITHIN_S = 10.0


def clear_leftovers(data: DataDir) -> list[str]:
    """End nodes of an earlier supervisor that still run, and remove its state file and socket.

    Nodes usually die with their parent; this is for those that did not. A process counts only if pid and start time
    fit what the state file says: a pid may belong to another program by now.

    Args:
        data: the cluster's folder, whose lock the caller holds, so that no supervisor lives in it.

    Returns:
        What was found, as sentences; empty after a clean stop.
    """
    found = []
    state = read_state(data.state)
    if state is not None:
        found.append(f"the supervisor of an earlier run (pid {state.supervisor_pid}) ended without stopping its nodes")
        found += _end_nodes({node.name: node.identity.find() for node in state.nodes if node.identity is not None})
    data.state.unlink(missing_ok=True)
    data.control.unlink(missing_ok=True)
    for half_written in data.root.glob(f"{data.state.name}.*.new"):
        half_written.unlink()
    return found


def _end_nodes(processes: dict[str, psutil.Process | None]) -> list[str]:
    running = {name: process for name, process in processes.items() if process is not None}
    for process in running.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    # A new node on the same ports and files may start only when the old one is gone.
    psutil.wait_procs(list(running.values()), timeout=_END_WITHIN_S)
    return [f"{name} still ran (pid {process.pid}) and was ended" for name, process in running.items()]
