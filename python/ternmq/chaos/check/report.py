"""The outcome of one check."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ternmq.chaos.history import Event


@dataclass(frozen=True)
class Report:
    """What a check looked at, what it counted, what was wrong.

    Args:
        looked_at: number of facts that were checked; 0 says that the check has shown nothing.
        violations: a sentence each.
        counted: what is allowed but worth a figure, such as duplicates after a fault.
    """

    looked_at: int
    violations: tuple[str, ...] = ()
    counted: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong."""
        return not self.violations


@dataclass(frozen=True)
class Send:
    """One attempt of a send: how it began and how it ended."""

    invoke: Event
    outcome: Event | None

    @property
    def is_ok(self) -> bool:
        """Acknowledged with code 0."""
        return self.outcome is not None and self.outcome.kind == "ok"

    @property
    def is_refused(self) -> bool:
        """Proven not to be stored."""
        return self.outcome is not None and self.outcome.kind == "fail"


def sends_by_uid(history: Iterable[Event]) -> dict[str, Send]:
    """All attempts of sends; one whose end was never written is as unknown as one that ended in `info`."""
    sends: dict[str, Send] = {}
    for event in history:
        if event.operation != "send" or event.uid is None:
            continue
        if event.kind == "invoke":
            sends[event.uid] = Send(event, None)
        elif event.uid in sends:
            sends[event.uid] = Send(sends[event.uid].invoke, event)
    return sends


def observations(history: Iterable[Event], operations: Sequence[str] = ("read", "deliver", "drain")) -> list[Event]:
    """Every event that shows a record at a position."""
    return [event for event in history if event.operation in operations and event.kind == "ok"]


def drained(history: Iterable[Event]) -> list[Event]:
    """The records of the final read."""
    return observations(history, ("drain",))
