"""Prints the messages that ``consume`` receives."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field

from ternmq.cli.messages import write_jsonl
from ternmq.cli.output import Output
from ternmq.cli.stopping import StopOrder
from ternmq.client import Client, Consumer, Message, Start, connect
from ternmq.client.reader import Reader


@dataclass
class MessagePrinter:
    """One run of ``consume``.

    Args:
        topic: what to read.
        group: consumer group, whose member it is; None reads everything and leaves nothing behind.
        from_earliest: where it begins, or a new group does; else at the end.
        tags: filter.
        count: ends the run after so many messages.
        idle_s: ends the run after so long without a message.
        jsonl: one object a line; else the bare body.
        out: for notes.
    """

    topic: str
    group: str | None
    from_earliest: bool
    tags: str
    count: int | None
    idle_s: float | None
    jsonl: bool
    out: Output
    printed: int = 0
    _reads: bool = field(default=True, init=False)

    async def run(self, endpoints: str) -> signal.Signals | None:
        """Read until one of the ends is reached or a signal comes; what was printed is committed then.

        Returns:
            The signal that ended it, if one did.
        """
        work = asyncio.create_task(self._read(endpoints))
        # Once it closes, which commits, the first signal has nothing to end.
        order = StopOrder(lambda: self._reads and work.cancel(), work.cancel)
        with order.awaited():
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()
        return order.number

    async def _read(self, endpoints: str) -> None:
        start: Start = "earliest" if self.from_earliest else "latest"
        async with connect(endpoints) as client, self._inbox(client, start) as inbox:
            self.out.note(f"{self.group or 'a viewer without a group'} reads {self.topic}; Ctrl-C ends it")
            if isinstance(inbox, Consumer) and inbox.resumed:
                self.out.note(f"{self.group} has read {self.topic} before and goes on where it stopped, not at {start}")
            try:
                await self._print_all(inbox)
            finally:
                self._reads = False

    async def _print_all(self, inbox: Consumer[bytes] | Reader) -> None:
        messages = aiter(inbox)
        while self.count is None or self.printed < self.count:
            try:
                async with asyncio.timeout(self.idle_s):
                    message = await anext(messages)
            except TimeoutError:
                return
            # Not in a settlement block: if nobody reads our output any more, that is no failure of the message.
            self._print(message)
            self.printed += 1
            if self.group is not None:
                await message.ack()

    def _inbox(self, client: Client, start: Start) -> Consumer[bytes] | Reader:
        if self.group is None:
            return Reader(client, self.topic, filter=self.tags, start=start)
        return client.consumer(self.group, self.topic, filter=self.tags, start=start)

    def _print(self, message: Message[bytes]) -> None:
        line = write_jsonl(message, self.topic).encode() if self.jsonl else message.body
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
