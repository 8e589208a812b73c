"""Reading in batches with explicit commits: pull mode."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

from ternmq.client.messages import Message
from ternmq.client.process_queue import ProcessQueue
from ternmq.errors import AlreadySettledError, SettlementLostError

T = TypeVar("T")


class Batch(Sequence[Message[T]]):
    """Messages that are acknowledged together; a sequence, never empty.

    Args:
        messages: of one or several queues, in order for each.
        process_queues: these queues, each with what is fetched of it.
        number: tells it from the other batches of the consumer.
        commit: stores the positions of queues at their brokers.
    """

    def __init__(
        self,
        messages: list[Message[T]],
        process_queues: list[ProcessQueue[Message[T]]],
        number: int,
        commit: Callable[[list[ProcessQueue[Message[T]]]], Awaitable[None]],
    ) -> None:
        self._messages = messages
        self._number = number
        self._commit = commit
        self._acked = False
        self._process_queues = process_queues

    @overload
    def __getitem__(self, index: int) -> Message[T]: ...

    @overload
    def __getitem__(self, index: slice) -> list[Message[T]]: ...

    def __getitem__(self, index: int | slice) -> Message[T] | list[Message[T]]:
        return self._messages[index]

    def __iter__(self) -> Iterator[Message[T]]:
        return iter(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    async def ack(self) -> None:
        """Store that the batch is done; returns when the brokers have answered.

        The position of a queue moves to its oldest batch that is not acknowledged: batches may end in any order. After
        an error the call may be repeated.

        Raises:
            SettlementLostError: a queue went to another consumer, or was sought elsewhere; its messages come again.
            MQError: a broker did not answer in time, or refused.
            AlreadySettledError: acknowledged before.
        """
        if self._acked:
            raise AlreadySettledError(f"a batch of {len(self)} messages was acknowledged before")
        held = [process_queue for process_queue in self._process_queues if not process_queue.dropped]
        for process_queue in held:
            process_queue.batches.pop(self._number, None)
        await self._commit(held)
        self._acked = True
        if len(held) < len(self._process_queues):
            lost = ", ".join(
                sorted(str(process_queue.queue) for process_queue in self._process_queues if process_queue.dropped)
            )
            raise SettlementLostError(f"{lost}: no longer held by this consumer; what is not acknowledged comes again")

    def __repr__(self) -> str:
        queues = ", ".join(sorted(str(process_queue.queue) for process_queue in self._process_queues))
        return f"<Batch of {len(self)} from {queues}{', acknowledged' if self._acked else ''}>"


class Batches(Generic[T]):
    """Iterates batches, for as long as the consumer is open.

    Args:
        next_batch: waits for the next; None at the end.
    """

    def __init__(self, next_batch: Callable[[], Awaitable[Batch[T] | None]]) -> None:
        self._next_batch = next_batch

    def __aiter__(self) -> Batches[T]:
        return self

    async def __anext__(self) -> Batch[T]:
        batch = await self._next_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch
