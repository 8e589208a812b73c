"""I3: queue, offset and message id in an acknowledgement are where the message is.

A message that is held back gets its position only later: its acknowledgement names none.
"""

from collections.abc import Sequence

from ternmq.chaos.check.report import Report, drained, sends_by_uid
from ternmq.chaos.history import Event


def check(history: Sequence[Event]) -> Report:
    """Look at the position that each acknowledgement names; one that is empty is I1's or I4's to find."""
    there = {(event.queue_ref, event.queue_offset): event for event in drained(history)}
    lies = []
    looked_at = 0
    for uid, send in sends_by_uid(history).items():
        if not send.is_ok or send.outcome is None or send.outcome.queue is None:
            continue
        record = there.get((send.outcome.queue_ref, send.outcome.queue_offset))
        if record is None:
            continue
        looked_at += 1
        where = f"{send.outcome.queue_ref}[{send.outcome.queue_offset}]"
        if record.uid != uid:
            lies.append(f"{uid} was acknowledged at {where}, where {record.uid} lies")
        elif send.outcome.message_id is not None and send.outcome.message_id != record.message_id:
            lies.append(
                f"{uid} at {where} was acknowledged as {send.outcome.message_id}, stored as {record.message_id}"
            )
    return Report(looked_at, tuple(lies))
