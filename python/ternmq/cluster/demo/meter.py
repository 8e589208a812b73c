"""Figures of a running load."""

from __future__ import annotations

from dataclasses import dataclass, field

# What goes on in the cluster while the load runs.
STEADY = "undisturbed"
MASTER_DEAD = "after the master was killed"
NAMESERVERS_DEAD = "with one NameServer left"
RECOVERED = "while all came back"


@dataclass
class Gap:
    """The longest time that one producer went without an acknowledgement.

    Args:
        seconds: how long.
        phase: what was going on when it ended.
        key: which producer saw it.
    """

    seconds: float = 0.0
    phase: str = ""
    key: str = ""


@dataclass
class Meter:
    """Figures of a running load.

    Args:
        gaps: the longest gap of each phase.
        refused: sends that ended in an error, by its class; each was sent again.
        consumed: messages that the following consumer got.
        phase: what goes on now.
    """

    gaps: dict[str, Gap] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    consumed: int = 0
    phase: str = STEADY

    def acknowledged(self, key: str, since: float, now: float) -> None:
        """Note the time between two acknowledgements of one producer."""
        gap = self.gaps.setdefault(self.phase, Gap(phase=self.phase))
        if now - since > gap.seconds:
            gap.seconds, gap.key = now - since, key

    @property
    def longest(self) -> Gap:
        """The longest gap of all phases."""
        return max(self.gaps.values(), key=lambda gap: gap.seconds, default=Gap())
