"""I1: every acknowledged send is in the final log."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, drained, sends_by_uid
from ternmq.chaos.history import Event


def check(history: Sequence[Event]) -> Report:
    """Look for each acknowledged uid among the records of the final read, wherever it lies."""
    found = {event.uid for event in drained(history)}
    acknowledged = {uid: send for uid, send in sends_by_uid(history).items() if send.is_ok}
    lost = [
        f"{uid} of {send.invoke.topic} was acknowledged at {send.outcome.time_ns} and is gone"
        for uid, send in acknowledged.items()
        if uid not in found and send.outcome is not None
    ]
    return Report(len(acknowledged), tuple(lost))
