"""What the demonstration measured, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ternmq.cluster.demo.meter import Gap
from ternmq.cluster.demo.verify import Verdict
from ternmq.config.topology import Mode


@dataclass(frozen=True)
class Election:
    """A master's successor.

    Args:
        group: broker group.
        killed: node that led it.
        successor: node that leads it now.
        term: Raft term in which it leads.
        duration_s: from the kill until every NameServer that lived showed the successor.
    """

    group: str
    killed: str
    successor: str
    term: int
    duration_s: float


@dataclass
class Figures:
    """All that a run found out; filled step by step.

    Args:
        mode: how the groups replicate.
        only_on_killed_master: acknowledged messages that the slave of the killed master did not have; None where there
            is no slave.
        ready_s: from the first process to a complete cluster.
        election: the new leader, and how fast it took over.
        nameservers_killed: their names.
        gaps: the longest time without acknowledgement that one producer saw, by phase.
        send_errors: sends that ended in an error and were sent again, by class.
        load_s: how long the load ran.
        sends_per_second: acknowledged, over the whole load, faults included.
        rss_bytes: resident memory of each process under load.
        verdict: what the check said.
        total_s: the whole run.
    """

    mode: Mode = "raft"
    only_on_killed_master: int | None = None
    ready_s: float = 0.0
    election: Election | None = None
    nameservers_killed: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    send_errors: dict[str, int] = field(default_factory=dict)
    load_s: float = 0.0
    sends_per_second: float = 0.0
    rss_bytes: dict[str, int] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    total_s: float = 0.0

    @property
    def longest_gap(self) -> Gap:
        """The longest of all phases."""
        return max(self.gaps, key=lambda gap: gap.seconds, default=Gap())

    def item(self) -> dict[str, Any]:
        """Write everything as plain values with units, one JSON object."""
        verdict = self.verdict
        return {
            "mode": self.mode,
            "acknowledged": verdict.acknowledged,
            "delivered": verdict.delivered,
            "lost": len(verdict.lost),
            "lost_as_allowed": verdict.lost_as_allowed,
            "duplicates": verdict.duplicates,
            "order_held": verdict.order_held,
            "altered": len(verdict.altered),
            "phantoms": len(verdict.phantoms),
            "misplaced": len(verdict.misplaced),
            "unacknowledged_delivered": verdict.unacknowledged,
            "ready_ms": _ms(self.ready_s),
            "election_ms": None if self.election is None else _ms(self.election.duration_s),
            "killed_master": None if self.election is None else self.election.killed,
            "new_master": None if self.election is None else self.election.successor,
            "new_term": None if self.election is None else self.election.term,
            "only_on_killed_master": self.only_on_killed_master,
            "killed_nameservers": self.nameservers_killed,
            "longest_gap_ms": _ms(self.longest_gap.seconds),
            "longest_gap_phase": self.longest_gap.phase,
            "longest_gap_ms_by_phase": {gap.phase: _ms(gap.seconds) for gap in self.gaps},
            "send_errors": self.send_errors,
            "sends_per_second": round(self.sends_per_second),
            "load_ms": _ms(self.load_s),
            "total_ms": _ms(self.total_s),
            "rss_bytes": self.rss_bytes,
            "rss_total_bytes": sum(self.rss_bytes.values()),
        }

    def promise(self) -> str:
        """Say what the mode promises, and what it may lose."""
        if self.mode == "async-slave":
            return (
                "async-slave: acknowledged is on the master's disk; its slave did not have"
                f" {self.only_on_killed_master} acknowledged messages when it was killed, which are lost with its disk"
            )
        if self.mode == "sync-double-write":
            return (
                "sync-double-write: acknowledged is on the disks of master and slave; its slave did not have"
                f" {self.only_on_killed_master} acknowledged messages when it was killed"
            )
        if self.mode == "multi-master":
            return "multi-master: acknowledged is on one master's disk, and waits there while that master is down"
        return "raft: acknowledged is on the disks of a majority, and a master that dies has a successor"

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept: in synchronous double write nothing may be on the master alone."""
        return self.verdict.is_clean and not (self.mode == "sync-double-write" and self.only_on_killed_master)

    def lines(self) -> list[str]:
        """Tell it to a person."""
        told = [
            f"ready in {self.ready_s:.1f} s · {self.sends_per_second:,.0f} sends/s over {self.load_s:.0f} s of load"
        ]
        if self.election is not None:
            told.append(
                f"{self.election.killed} killed: {self.election.successor} leads {self.election.group} "
                f"in term {self.election.term} after {_ms(self.election.duration_s)} ms"
            )
        told.append(self.promise())
        told += [f"longest gap a producer saw, {gap.phase}: {_ms(gap.seconds)} ms" for gap in self.gaps]
        memory = " · ".join(f"{name} {size / 1e6:.0f}" for name, size in self.rss_bytes.items())
        told.append(f"memory in MB: {memory} · together {sum(self.rss_bytes.values()) / 1e6:.0f}")
        return told


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
