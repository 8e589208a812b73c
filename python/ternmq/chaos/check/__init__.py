"""One file for each invariant; each is a pure function of a history.

A check returns what it looked at and what was wrong. `look at` matters: a check that found nothing to look at has
shown nothing, and a run must say so.
"""

from collections.abc import Callable, Sequence

from ternmq.chaos.check import (
    acked_loss,
    at_least_once,
    consumer_offset,
    contiguity,
    delay,
    duplicates,
    immutability,
    no_phantom,
    no_regress,
    order,
    topics_survive,
    truthful_ok,
)
from ternmq.chaos.check.report import Report
from ternmq.chaos.history import Event

CHECKS: dict[str, Callable[[Sequence[Event]], Report]] = {
    "I1 no acknowledged loss": acked_loss.check,
    "I2 no phantom": no_phantom.check,
    "I3 ok tells the truth": truthful_ok.check,
    "I4 contiguity": contiguity.check,
    "I5 immutability": immutability.check,
    "I7 no regress": no_regress.check,
    "I10 order": order.check,
    "I11 at least once": at_least_once.check,
    "I12 bounded duplicates": duplicates.check,
    "I13 consumer offset": consumer_offset.check,
    "I15 delay": delay.check,
    "I19 topics survive": topics_survive.check,
}


def check_all(history: Sequence[Event]) -> dict[str, Report]:
    """Every check on one history, which is ordered by time."""
    return {name: check(history) for name, check in CHECKS.items()}
