"""Sends what ``produce`` reads, as fast as the client takes it."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from ternmq.cli.input_lines import read_lines
from ternmq.cli.messages import Outgoing, read_line
from ternmq.cli.output import Output
from ternmq.cli.progress import Progress
from ternmq.cli.stopping import StopOrder
from ternmq.client import Producer, connect
from ternmq.errors import OutcomeUnknownError, RejectedError

_SAY_EVERY_S = 0.5


@dataclass
class LineSender:
    """One run of ``produce``.

    Args:
        topic: where to.
        form: of a line.
        defaults: what the command line says about every message.
        out: for progress and the first error.
    """

    topic: str
    form: str
    defaults: Outgoing
    out: Output
    read: int = 0
    acknowledged: int = 0
    rejected: int = 0
    unknown: int = 0
    elapsed_s: float = 0.0

    @property
    def unacknowledged(self) -> int:
        """How many messages were refused or have an unknown outcome."""
        return self.rejected + self.unknown

    async def run(self, endpoints: str, group: str, timeout: float) -> signal.Signals | None:
        """Send until the input ends or a signal comes, and everything that was read is answered.

        Args:
            endpoints: NameServers.
            group: producer group.
            timeout: seconds for each message.

        Returns:
            The signal that ended it, if one did.

        Raises:
            MQError: nothing can be sent at all.
            CommandError: a line is no message.
        """
        stop = asyncio.Event()
        work = asyncio.create_task(self._run(endpoints, group, timeout, stop))
        order = StopOrder(stop.set, work.cancel)
        with order.awaited():
            await asyncio.wait({work})
        if not work.cancelled():
            work.result()
        return order.number

    async def _run(self, endpoints: str, group: str, timeout: float, stop: asyncio.Event) -> None:
        began = time.monotonic()
        with Progress(self.out, f"sending to {self.topic}") as progress:
            reporter = asyncio.create_task(self._report(progress))
            try:
                async with connect(endpoints) as client, client.producer(group, timeout=timeout) as producer:
                    await self._send_all(producer, stop)
            finally:
                reporter.cancel()
                self.elapsed_s = time.monotonic() - began

    async def _send_all(self, producer: Producer[bytes], stop: asyncio.Event) -> None:
        pending: set[asyncio.Future[Any]] = set()
        async for lines in read_lines(sys.stdin.fileno(), stop):
            for line in lines:
                self.read += 1
                if self.form == "jsonl" and not line.strip():
                    continue
                await self._post(producer, read_line(line, self.read, self.form, self.defaults), pending)
        while pending:
            await asyncio.wait(set(pending))

    async def _post(self, producer: Producer[bytes], message: Outgoing, pending: set[asyncio.Future[Any]]) -> None:
        try:
            future = await producer.post(
                self.topic,
                message.body,
                tag=message.tag,
                keys=message.keys,
                properties=message.properties,
                shard=message.shard,
            )
        except RejectedError as error:  # too large, for example: the next one may still pass
            self._refused(error)
            return
        pending.add(future)
        future.add_done_callback(pending.discard)
        future.add_done_callback(self._count)

    def _count(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self.unknown += 1
            return
        error = future.exception()
        if error is None:
            self.acknowledged += 1
        else:
            self._refused(error)

    def _refused(self, error: BaseException) -> None:
        if not self.unacknowledged:
            self.out.warn(str(error))
        if isinstance(error, OutcomeUnknownError):
            self.unknown += 1
        else:
            self.rejected += 1

    async def _report(self, progress: Progress) -> None:
        while True:
            await asyncio.sleep(_SAY_EVERY_S)
            progress.say(f"{self.acknowledged} acknowledged of {self.read} read")

    def summary(self) -> dict[str, Any]:
        """Sum the run up."""
        return {
            "topic": self.topic,
            "acknowledged": self.acknowledged,
            "rejected": self.rejected,
            "unknown": self.unknown,
            "elapsed_ms": round(self.elapsed_s * 1000),
        }
