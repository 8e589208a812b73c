"""I11: every group gets every message of its topics that was acknowledged."""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, drained, sends_by_uid
from ternmq.chaos.history import Event


def check(history: Sequence[Event]) -> Report:
    """Look for a delivery of each acknowledged message that is stored; one that is lost is I1's to find."""
    subscriptions = {(event.group, event.topic) for event in history if event.operation == "subscribe"}
    delivered = {(event.group, event.uid) for event in history if event.operation == "deliver"}
    stored = {event.uid for event in drained(history)}
    owed = [
        (group, uid)
        for uid, send in sends_by_uid(history).items()
        if send.is_ok and uid in stored
        for group, topic in subscriptions
        if topic == send.invoke.topic
    ]
    missing = [f"{uid} never reached {group}" for group, uid in owed if (group, uid) not in delivered]
    return Report(len(owed), tuple(missing))
