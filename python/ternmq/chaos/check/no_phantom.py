"""I2: nothing is read that was not sent, or was refused; what is read has the bytes that were sent."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ternmq.chaos.check.report import Report, drained, observations, sends_by_uid
from ternmq.chaos.history import Event


def check(history: Sequence[Event]) -> Report:
    """Compare every record that anybody saw with the send it claims to be."""
    seen = observations(history)
    return Report(len(seen), (*_phantoms(history, seen), *_copies(history)))


def _phantoms(history: Sequence[Event], seen: Sequence[Event]) -> Iterator[str]:
    sends = sends_by_uid(history)
    for event in seen:
        send = sends.get(event.uid or "")
        where = f"{event.uid} at {event.queue_ref}[{event.queue_offset}]"
        if send is None or send.invoke.time_ns > event.time_ns:
            yield f"{where} was never sent before it was read"
        elif send.is_refused:
            yield f"{where} was refused and is there all the same"
        elif send.invoke.digest != event.digest:
            yield f"{where} has other bytes than were sent"
        elif send.invoke.topic != event.topic:
            yield f"{where} was sent to {send.invoke.topic}"


def _copies(history: Sequence[Event]) -> Iterator[str]:
    # One attempt has one uid, and the harness's producers do not retry: a second record is nobody's send.
    positions = {(event.uid, event.queue_ref, event.queue_offset) for event in drained(history)}
    for uid, count in Counter(uid for uid, _, _ in positions).items():
        if count > 1:
            yield f"{uid} was sent once and is stored {count} times"
