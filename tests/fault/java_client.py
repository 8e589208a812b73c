"""The official Java push consumer as the workload uses it: a process that lives through the whole run."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from fault.outcomes import Delivered
from support.battery import Battery, Endless, JavaClient

LOOK_EVERY_SECONDS = 0.05
STOP_SECONDS = 20


class JavaConsumer:
    """A stock push consumer with its default threads, which handles messages of one queue side by side.

    Args:
        home: folder for the client's own log files.
        version: release of the client.
        nameservers: the list as clients take it.
        group: consumer group.
        topic: what it reads.
    """

    def __init__(self, home: Path, version: str, nameservers: str, group: str, topic: str) -> None:
        battery = Battery(home, JavaClient(version))
        self._running: Endless = battery.start(nameservers, "long-push", topic, group)

    async def messages(self) -> AsyncIterator[Delivered]:
        """What its listener gets, for ever.

        Raises:
            AssertionError: the process has ended; carries what the client said.
        """
        while True:
            has_ended = self._running.has_ended
            for line in self._running.take():
                if line["event"] == "consumed":
                    yield Delivered(
                        line["out"]["topic"], line["broker"], line["queue"], line["queue_offset"], line["out"]["body"],
                        line["attempts"] + 1,
                    )  # fmt: skip
            if has_ended:
                raise AssertionError(f"the Java consumer has ended:\n{self._running.said()}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def close(self) -> None:
        """Tell it to leave its group, and end it."""
        try:
            await asyncio.to_thread(self._running.stop, STOP_SECONDS)
        finally:
            await asyncio.to_thread(self._running.end)
