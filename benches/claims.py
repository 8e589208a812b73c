"""What a row must reach, and what is said of one that does not."""

from collections.abc import Sequence
from dataclasses import dataclass

CORES_BUSY = 0.95
"""From this share on the cores bound the rate: the rest is what the scheduler leaves between two turns."""
DISK_AT_RATE = 0.85
"""From this share of the raw rate on the disk bounds it: replicas do not write in step."""


@dataclass(frozen=True)
class Claim:
    """One bound.

    Args:
        what: names the column.
        figure: what was measured.
        limit: the bound.
        at_least: whether the figure must reach the limit, or stay below it.
    """

    what: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the row is within it."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        return f"{self.what} {short(self.figure)}, not {'≥' if self.at_least else '≤'} {short(self.limit)}"


def short(figure: float) -> str:
    """Three digits of a small figure, all of a large one."""
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


def bound(busy: float | None, written: float | None, raw: float | None) -> str | None:
    """What bounds a rate: the cores, the disk, or nothing of the machine.

    Args:
        busy: share of the cores.
        written: MB/s of all servers.
        raw: MB/s of the disk, measured in the same run.
    """
    if busy is not None and busy >= CORES_BUSY:
        return "cores busy"
    if written is not None and raw and written >= DISK_AT_RATE * raw:
        return "disk at its raw rate"
    return None


def verdict(claims: Sequence[Claim], bound_by: str | None) -> str:
    """Judge a row. Where the machine bounds the rate, and nothing but the rate is missed, the CPU column decides.

    Args:
        claims: what it must reach; a CPU column is called so.
        bound_by: what bounds its rate.
    """
    missed = [claim for claim in claims if not claim.holds]
    if not claims:
        return "-"
    if not missed:
        return "met"
    has_cpu = any("CPU" in claim.what for claim in claims)
    details = "; ".join(str(claim) for claim in missed)
    if bound_by is None:
        return f"missed ({details})"
    if has_cpu and all(claim.at_least for claim in missed):
        return f"met by CPU: {bound_by} ({details})"
    return f"missed: {bound_by} ({details})"
