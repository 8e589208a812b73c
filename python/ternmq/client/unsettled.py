"""Messages that a program took and forgot to settle: logged, before their queues stand still without a word.

Looked for every few seconds, so that a message costs nothing for it. A program that settles a message has it at hand;
so a message that the inbox alone refers to will not be settled any more. That is seen by its reference count: the
garbage collector never gets it, as the inbox keeps it until its queue goes elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import warnings
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Generic, TypeVar

from ternmq.client.fetched_message import DELIVERED
from ternmq.client.inbox import Inbox
from ternmq.client.message_queue import MessageQueue
from ternmq.client.pulling import Puller
from ternmq.wording import counted

T = TypeVar("T")

_log = logging.getLogger("ternmq.client.forgotten")  # Public: users filter by it.

CHECK_SECONDS = 5.0
FULL_SECONDS = 10.0
_LOOKED_AT = 1000
"""Most messages that one check looks at, the oldest ones; 0.1 ms."""
_HOW_TO = "settle each with `async with message:` or `await message.ack()`"


class UnsettledWatch(Generic[T]):
    """Looks at one consumer's delivered messages.

    Args:
        name: of the consumer, for people.
        inbox: its messages.
        pullers: gives what fetches them.
        is_run: whether `Consumer.run` handles them: it settles each, however long that takes.
        max_processing: seconds after which an unsettled message counts as failed.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox[T],
        pullers: Callable[[], Collection[Puller[T]]],
        is_run: Callable[[], bool],
        max_processing: float,
    ) -> None:
        self._name = name
        self._inbox = inbox
        self._pullers = pullers
        self._is_run = is_run
        self._max_processing = max_processing
        self._loop = asyncio.get_running_loop()
        self._let_go: set[int] = set()  # by id(), said already; an object with another use of it is not delivered
        self._full: dict[MessageQueue, tuple[int, int, float]] = {}  # next offset and count, and since when
        self._said: set[MessageQueue] = set()
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)

    def close(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _check(self) -> None:
        self._timer = self._loop.call_later(CHECK_SECONDS, self._check)
        self._look_for_full_queues()
        self._look_for_messages_let_go()

    def _look_for_full_queues(self) -> None:
        now, inbox = self._loop.time(), self._inbox
        full: dict[MessageQueue, tuple[int, int, float]] = {}
        for puller in self._pullers():
            process_queue = puller.process_queue
            if puller.has_room() or not process_queue.in_flight:
                continue
            seen, count, since = self._full.get(puller.queue, (-1, 0, now))
            if (seen, count) != (process_queue.next_offset, len(process_queue.in_flight)):
                since = now  # something was settled, or fetched
            full[puller.queue] = (process_queue.next_offset, len(process_queue.in_flight), since)
        self._said &= {queue for queue, (*_, since) in full.items() if since < now}
        self._full = full
        if inbox.ready_count or self._is_run():
            return
        stuck = [
            puller
            for puller in self._pullers()
            if puller.queue in full
            and puller.queue not in self._said
            and now - full[puller.queue][2] >= FULL_SECONDS
            and all(message.state == DELIVERED for message in puller.process_queue.in_flight.values())
        ]
        if stuck:
            self._said.update(puller.queue for puller in stuck)
            count = sum(len(puller.process_queue.in_flight) for puller in stuck)
            _log.warning(
                "%s: %s of %s delivered, and none of them settled for %g s; no more is fetched, as"
                " max_in_flight or max_bytes is reached: %s",
                self._name, counted(count, "message"), _few(puller.queue for puller in stuck), FULL_SECONDS, _HOW_TO,
            )  # fmt: skip

    def _look_for_messages_let_go(self) -> None:
        delivered = self._inbox.delivered
        if self._let_go:
            self._let_go &= {id(message) for message in delivered}
        counts = _reference_counts(islice(delivered, _LOOKED_AT))
        found = [
            (message.id, message.location, id(message))
            for message, count in zip(islice(delivered, _LOOKED_AT), counts, strict=True)
            if count <= _OURS and id(message) not in self._let_go
        ]
        if found:
            self._let_go.update(number for *_, number in found)
            ident, where, _ = found[0]
            text = (
                f"{self._name}: {counted(len(found), 'message')} let go without being settled, the first is {ident} at"
                f" {where}; each holds its queue's offset back until it comes again after max_processing"
                f" ({self._max_processing:g} s): {_HOW_TO}"
            )
            _log.warning("%s", text)
            warnings.warn(text, ResourceWarning, stacklevel=2)


def _reference_counts(objects: Iterable[object]) -> list[int]:
    return [sys.getrefcount(each) for each in objects]


def _counted_in_an_inbox() -> int:
    """The count of an object that two dicts hold, as the inbox does, as `_reference_counts` sees it here."""
    probe = Probe()
    delivered, in_flight = {probe: 0.0}, {0: probe}
    del probe
    (count,) = _reference_counts(islice(delivered, len(in_flight)))
    return count


class Probe:
    """An object that only two dicts hold."""


def _few(queues: Iterable[MessageQueue]) -> str:
    names = sorted(str(queue) for queue in queues)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more queues" if len(names) > 3 else "")


_OURS = _counted_in_an_inbox()
