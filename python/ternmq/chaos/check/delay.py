"""I15: a message that is held back is never seen before its time.

That it comes at all is I1's and I11's to find, that it is not put twice I2's. How late it comes is a figure.
"""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, observations, sends_by_uid
from ternmq.chaos.history import Event

# Brokers count in whole milliseconds of the wall clock, which may be slewed against the history's clock by half a
# millisecond a second.
RESOLUTION_NS = 10_000_000


def check(history: Sequence[Event]) -> Report:
    """Compare each sight of a message that was held back with the time at which its send began."""
    due = {
        uid: send.invoke.time_ns + send.invoke.value * 1_000_000
        for uid, send in sends_by_uid(history).items()
        if send.invoke.value is not None
    }
    seen = [event for event in observations(history) if event.uid in due]
    early = [
        f"{event.uid} was due at {due[event.uid]} and seen by {event.operation} at {event.time_ns}"
        for event in seen
        if event.uid is not None and event.time_ns + RESOLUTION_NS < due[event.uid]
    ]
    return Report(len(seen), tuple(early))
