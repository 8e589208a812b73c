"""I10: sends of one producer to one queue keep their order, and each group sees a queue in its order at first.

A group that handles messages side by side promises no order, and is left out of the second half.
"""

from collections.abc import Iterator, Sequence

from ternmq.chaos.check.report import Report, drained, sends_by_uid
from ternmq.chaos.history import Event, Queue


def check(history: Sequence[Event]) -> Report:
    """Check both halves of the invariant."""
    unordered = {event.group for event in history if event.operation == "subscribe" and event.side_by_side}
    deliveries = [event for event in history if event.operation == "deliver" and event.group not in unordered]
    stored = drained(history)
    wrong = (*_sends_out_of_order(history, stored), *_deliveries_out_of_order(deliveries))
    return Report(len(stored) + len(deliveries), wrong)


def _sends_out_of_order(history: Sequence[Event], stored: Sequence[Event]) -> Iterator[str]:
    positions = {event.uid: (event.queue_ref, event.queue_offset or 0) for event in stored}
    # By producer and key: one key has one unanswered send at a time, so its sends do not overlap.
    streams: dict[tuple[str, str | None, Queue], list[tuple[int, int, int, str]]] = {}
    for uid, send in sends_by_uid(history).items():
        if send.is_ok and send.outcome is not None and uid in positions:
            queue, offset = positions[uid]
            stream = streams.setdefault((send.invoke.process, send.invoke.key, queue), [])
            stream.append((send.invoke.time_ns, send.outcome.time_ns, offset, uid))
    for (process, key, queue), stream in streams.items():
        for earlier, later in _pairs_that_do_not_overlap(sorted(stream)):
            if earlier[2] >= later[2]:
                yield (
                    f"{process} sent {earlier[3]} before {later[3]} with key {key}, "
                    f"but they lie at {earlier[2]} and {later[2]} of {queue}"
                )


def _pairs_that_do_not_overlap(
    stream: Sequence[tuple[int, int, int, str]],
) -> Iterator[tuple[tuple[int, int, int, str], tuple[int, int, int, str]]]:
    # It is enough to compare each send with the highest position among those that had ended before it began.
    ended: list[tuple[int, int, int, str]] = []
    waiting = sorted(stream, key=lambda send: send[1])
    at = 0
    for send in stream:
        while at < len(waiting) and waiting[at][1] < send[0]:
            ended.append(waiting[at])
            at += 1
            ended = [max(ended, key=lambda earlier: earlier[2])]
        if ended:
            yield ended[0], send


def _deliveries_out_of_order(deliveries: Sequence[Event]) -> Iterator[str]:
    seen: dict[tuple[str | None, Queue], set[int]] = {}
    highest: dict[tuple[str | None, Queue], int] = {}
    for event in deliveries:
        stream, offset = (event.group, event.queue_ref), event.queue_offset or 0
        if offset in seen.setdefault(stream, set()):
            continue
        seen[stream].add(offset)
        if offset < highest.get(stream, 0):
            yield f"{event.group} got {event.queue_ref}[{offset}] for the first time after [{highest[stream]}]"
        highest[stream] = max(offset, highest.get(stream, 0))
