"""The state file: which processes a local cluster consists of now. Written by the supervisor, read by anyone."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ternmq.cluster.identity import ProcessIdentity

SCHEMA = "ternmq.cluster-state/1"


class NodeState(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """One node as the supervisor last saw it.

    Args:
        name: ``ns1`` or ``group-a/n0``.
        kind: ``namesrv`` or ``broker``.
        group: the broker group; None for a NameServer.
        address: where clients reach it.
        pid: None while it does not run.
        started_at_s: start of that process, seconds since the epoch.
        held: killed on purpose; stays dead until somebody starts it.
    """

    name: str
    kind: str
    group: str | None
    address: str
    pid: int | None = None
    started_at_s: float | None = None
    held: bool = False

    @property
    def identity(self) -> ProcessIdentity | None:
        """The process, if there was one."""
        if self.pid is None or self.started_at_s is None:
            return None
        return ProcessIdentity(self.pid, self.started_at_s)


class ClusterState(msgspec.Struct, frozen=True):
    """A cluster as the supervisor last saw it.

    Args:
        supervisor_pid: the supervisor's process.
        supervisor_started_at_s: its start, seconds since the epoch.
        nodes: in the order of the topology.
        ready: every NameServer has shown the whole cluster once.
        schema: name and number of this format.
    """

    supervisor_pid: int
    supervisor_started_at_s: float
    nodes: list[NodeState]
    ready: bool = False
    schema: str = SCHEMA

    @property
    def supervisor(self) -> ProcessIdentity:
        """The supervisor's process."""
        return ProcessIdentity(self.supervisor_pid, self.supervisor_started_at_s)

    @property
    def nameservers(self) -> list[str]:
        """Addresses of all NameServers."""
        return [node.address for node in self.nodes if node.kind == "namesrv"]


def write_state(path: Path, state: ClusterState) -> None:
    """Replace the file as a whole: a reader sees the old or the new one, never half of one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
    fresh.chmod(0o600)
    fresh.replace(path)


def read_state(path: Path) -> ClusterState | None:
    """Read the file; None if there is none, or if it is not ours (another version's, or damaged)."""
    try:
        state = msgspec.json.decode(path.read_bytes(), type=ClusterState)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    return state if state.schema == SCHEMA else None
