"""Prints what ``consume`` receives."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from ternmq.cli.messages import write_jsonl
from ternmq.cli.output import Output
from ternmq.client import Message, Start, connect


@dataclass(frozen=True)
class Reading:
    """One run of ``consume``.

    Args:
        topic: what to read.
        group: consumer group.
        from_earliest: where a new group begins; else at the end.
        tags: filter.
        count: ends the run after so many messages.
        idle_s: ends the run after so long without a message.
        jsonl: one object a line; else the bare body.
        out: for notes.
    """

    topic: str
    group: str
    from_earliest: bool
    tags: str
    count: int | None
    idle_s: float | None
    jsonl: bool
    out: Output

    async def run(self, endpoints: str) -> int:
        """Read until one of the ends is reached; return how many messages were printed."""
        printed = 0
        start: Start = "earliest" if self.from_earliest else "latest"
        async with (
            connect(endpoints) as client,
            client.consumer(self.group, self.topic, filter=self.tags, start=start) as inbox,
        ):
            self.out.note(f"{self.group} reads {self.topic}; Ctrl-C ends it")
            messages = aiter(inbox)
            while self.count is None or printed < self.count:
                try:
                    async with asyncio.timeout(self.idle_s):
                        message = await anext(messages)
                except TimeoutError:
                    break
                # Not in a settlement block: if nobody reads our output any more, that is no failure of the message.
                self._print(message)
                await message.ack()
                printed += 1
        return printed

    def _print(self, message: Message[bytes]) -> None:
        line = write_jsonl(message).encode() if self.jsonl else message.body
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
