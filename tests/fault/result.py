"""What a fault run is told to do, and what it has shown."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fault.faults import Tally
from fault.tern_client import SEND_TIMEOUT_SECONDS
from ternmq.chaos.check import check_all
from ternmq.chaos.figures import Repeats, counts, latest_delayed, longest_gaps, repeats
from ternmq.chaos.history import read_history
from ternmq.config.topology import Mode

# The longest time without an acknowledgement that is expected on an idle machine, in seconds: that of the fault
# catalogue plus one; a kill of all replicas has its restart in it. Longer ones are told and fail nothing, as wall time
# proves nothing on a machine that others use; one as long as a send's whole timeout does, as then clients did not find
# the master that every NameServer showed. That sends go on at all is a condition of each fault.
EXPECTED_GAP_SECONDS = {
    "calm": 2.0, "kill-follower": 2.0, "kill-nameservers": 4.0, "kill-master": 6.0,
    "kill-master-with-young-topic": 6.0, "stop-master": 6.0, "kill-all": 12.0,
}  # fmt: skip
# The same for messages that were held back: two seconds after the longest of these gaps.
EXPECTED_LATE_SECONDS = 14.0


@dataclass(frozen=True)
class Settings:
    """One run.

    Args:
        kills: how many times something is killed; a kill of several processes at once is one.
        seed: decides the order of faults.
        rate: sends a second, together; those that are held back come beside them.
        apache: run against Apache's servers, to see what the checks find there.
        plain_client: load by a client in plain Python instead of our own one.
        java_clients: releases of the official Java client; a push consumer of each reads along.
        mode: how the group replicates.
    """

    kills: int = 10
    seed: int = 1
    rate: float = 200.0
    apache: bool = False
    plain_client: bool = False
    java_clients: tuple[str, ...] = ()
    mode: Mode = "raft"


@dataclass
class Result:
    """What a run has shown."""

    settings: Settings
    tally: Tally
    sends: dict[str, int]
    lost: int
    repeats: dict[str, Repeats]
    longest_gaps: dict[str, float]
    latest_delayed: dict[str, float]
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Every check had something to look at, and nothing was wrong."""
        return not self.violations and not self.unseen

    @property
    def duplicates(self) -> int:
        """Deliveries of what the group had got before."""
        return sum(repeated.times for repeated in self.repeats.values())

    def summary(self) -> str:
        """The figures that a person asks for first."""
        faults = " · ".join(f"{count} {name}" for name, count in sorted(self.tally.injected.items()))
        times = self.tally.elections_ms
        elections = f"elections {min(times)} to {max(times)} ms · " if times else ""
        gaps = " · ".join(f"{kind} {seconds:.1f} s" for kind, seconds in sorted(self.longest_gaps.items()))
        late = " · ".join(f"{delay} {seconds:.2f} s" for delay, seconds in self.latest_delayed.items())
        lines = [
            faults,
            f"{self.tally.processes_killed} processes killed · {elections}longest gaps: {gaps}",
            f"latest of the delayed: {late}",
            f"acknowledged {self.sends['ok']} · unknown {self.sends['info']} · refused {self.sends['fail']} · "
            f"lost {self.lost} · duplicates {self.duplicates}",
            *(f"  {cause}: {repeated}" for cause, repeated in self.repeats.items()),
        ]
        return "\n".join(lines)

    def line(self) -> str:
        """The figures as one line of JSON."""
        members: dict[str, Any] = asdict(self)
        for name in ("longest_gaps", "latest_delayed"):
            members[name] = {kind: round(seconds, 2) for kind, seconds in members[name].items()}
        members["repeats"] = {cause: repeated._asdict() for cause, repeated in self.repeats.items()}
        return json.dumps({**members, "duplicates": self.duplicates, "clean": self.is_clean})


def judge(settings: Settings, tally: Tally, path: Path) -> Result:
    """Check a history."""
    history = read_history([path])
    reports = check_all(history)
    gaps = longest_gaps(history)
    result = Result(
        settings, tally, counts(history), len(reports["I1 no acknowledged loss"].violations), repeats(history), gaps,
        latest_delayed(history),
    )  # fmt: skip
    result.violations += [f"{name}: {each}" for name, report in reports.items() for each in report.violations]
    result.unseen += [name for name, report in reports.items() if report.looked_at == 0]
    if tally.acks_by_deposed:
        result.violations.append(f"a deposed master acknowledged {tally.acks_by_deposed} sends after it woke")
    if not settings.apache:
        _judge_times(result)
    return result


def _judge_times(result: Result) -> None:
    for kind, seconds in result.longest_gaps.items():
        if seconds >= SEND_TIMEOUT_SECONDS:
            result.violations.append(f"stalled: clients waited out their sends' timeout around {kind}: {seconds:.1f} s")
        expected = EXPECTED_GAP_SECONDS[kind]
        if result.settings.mode != "raft":
            # Whoever is killed has to come back: nobody takes its place, or acknowledges without it.
            expected = max(expected, EXPECTED_GAP_SECONDS["kill-all"])
        if seconds > expected:
            result.slow.append(f"slow: {seconds:.1f} s without an acknowledgement around {kind}, expected {expected}")
    result.slow += [
        f"slow: a message held back for {delay} came {seconds:.1f} s late, expected {EXPECTED_LATE_SECONDS}"
        for delay, seconds in result.latest_delayed.items()
        if seconds > EXPECTED_LATE_SECONDS
    ]
