"""Load of our Python client, as a process of its own: `python_client.py ENDPOINTS SCENARIO TOPIC [--option VALUE]`.

Speaks with whoever runs it as the other load programs do: JSON lines, and a line on standard input that lets it go on.
A message counts when its send has returned a receipt; the numbers of those are left in a file, to be read back.
"""

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections import Counter, deque
from pathlib import Path

import ternmq
from ternmq.client.receipts import SendReceipt

PER_TASK = 1 << 40
"""Numbers of a task start at a multiple of this, so that no two tasks use one number."""
BATCH = 5_000
IN_FLIGHT_PER_QUEUE = 8_192
MOST_PENDING = 4_096


class Tally:
    """What came of the sends."""

    def __init__(self) -> None:
        self.acknowledged = array("Q")
        self.taken = array("d")
        self.others: Counter[str] = Counter()
        self.last = time.perf_counter()
        self.longest = 0.0
        self.since_line = 0

    def save(self, path: Path) -> None:
        """Write the numbers, 8 bytes each, big-endian."""
        numbers = self.acknowledged[:]
        if sys.byteorder == "little":
            numbers.byteswap()
        path.write_bytes(numbers.tobytes())

    def quantile_ms(self, quantile: float) -> float:
        """Of the times that were taken."""
        ordered = sorted(self.taken)
        return ordered[int((len(ordered) - 1) * quantile)] * 1000

    def measured(self, seconds: float) -> None:
        """Say what the window came to."""
        latency = {"p50_ms": self.quantile_ms(0.5), "p99_ms": self.quantile_ms(0.99)} if self.taken else {}
        say("measured", count=len(self.acknowledged), seconds=seconds, others=self.others, **latency)


def main() -> None:
    """Run one scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoints")
    parser.add_argument("scenario", choices=["send", "post", "batches", "gaps"])
    parser.add_argument("topic")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--tasks", type=int, default=32)
    parser.add_argument("--body", type=int, default=128)
    parser.add_argument("--count", type=int, default=0, help="messages of the backlog")
    parser.add_argument("--numbers", type=Path, required=True)
    options = parser.parse_args()
    run = {"send": send, "post": post, "batches": batches, "gaps": gaps}[options.scenario]
    asyncio.run(run(options))


async def send(options: argparse.Namespace) -> None:
    """Tasks that send one message at a time and wait for its receipt."""
    tally, rest = Tally(), bytes(options.body - 8)
    async with ternmq.connect(options.endpoints) as client, client.producer("bench") as out:
        await _ready(out, options.topic)
        begin = time.perf_counter()

        async def sender(number: int) -> None:
            while (since := time.perf_counter()) < begin + options.seconds:
                number += 1
                await out.send(options.topic, number.to_bytes(8, "big") + rest)
                tally.acknowledged.append(number)
                tally.taken.append(time.perf_counter() - since)

        await asyncio.gather(*(sender(at * PER_TASK) for at in range(options.tasks)))
        await _measured(tally, time.perf_counter() - begin, options.numbers)


async def post(options: argparse.Namespace) -> None:
    """One task that hands messages over as fast as they are taken, and looks at the receipts later."""
    tally, rest = Tally(), bytes(options.body - 8)
    waiting: deque[tuple[int, asyncio.Future[SendReceipt]]] = deque()

    def take() -> None:
        number, future = waiting.popleft()
        future.result()
        tally.acknowledged.append(number)

    async with (
        ternmq.connect(options.endpoints) as client,
        client.producer("bench", max_pending=MOST_PENDING) as out,
    ):
        await _ready(out, options.topic)
        begin = time.perf_counter()
        number = 0
        while time.perf_counter() < begin + options.seconds:
            for _ in range(64):
                number += 1
                future = await out.post(options.topic, number.to_bytes(8, "big") + rest)
                waiting.append((number, future))
            while waiting and waiting[0][1].done():
                take()
        while waiting:
            await waiting[0][1]
            take()
        await _measured(tally, time.perf_counter() - begin, options.numbers)


async def batches(options: argparse.Namespace) -> None:
    """A consumer in pull mode that reads a backlog and acknowledges each batch."""
    bodies: list[bytes] = []
    async with ternmq.connect(options.endpoints) as client:
        await _step("ready")
        consumer = client.consumer(
            "bench", options.topic, start="earliest", mode="pull", pull_batch=1024, max_in_flight=IN_FLIGHT_PER_QUEUE
        )
        async with consumer:
            begin = 0.0
            async for batch in consumer.batches(max_size=BATCH):
                if not bodies:
                    begin = time.perf_counter()
                    say("begin")
                    # What came before the window opened does not count in it.
                    first = len(batch)
                bodies += [message.value for message in batch]
                await batch.ack()
                if len(bodies) >= options.count:
                    break
            seconds = time.perf_counter() - begin
            distinct = len({body[:8] for body in bodies})
            say("measured", count=len(bodies) - first, seconds=seconds, records=len(bodies), distinct=distinct)
            await asyncio.to_thread(sys.stdin.readline)


async def gaps(options: argparse.Namespace) -> None:
    """Tasks that send through kills; each line on standard input asks for the longest gap since the line before."""
    tally, rest = Tally(), bytes(options.body - 8)
    async with ternmq.connect(options.endpoints) as client, client.producer("bench") as out:
        await out.send(options.topic, (PER_TASK - 1).to_bytes(8, "big") + rest)
        tally.acknowledged.append(PER_TASK - 1)
        stopped = asyncio.Event()

        async def sender(number: int) -> None:
            while not stopped.is_set():
                number += 1
                try:
                    await out.send(options.topic, number.to_bytes(8, "big") + rest)
                except ternmq.MQError as error:
                    tally.others[type(error).__name__] += 1
                    await asyncio.sleep(0.01)
                    continue
                now = time.perf_counter()
                tally.longest = max(tally.longest, now - tally.last)
                tally.last = now
                tally.since_line += 1
                tally.acknowledged.append(number)

        senders = [asyncio.create_task(sender(at * PER_TASK)) for at in range(options.tasks)]
        say("ready")
        while await asyncio.to_thread(sys.stdin.readline):
            longest = max(tally.longest, time.perf_counter() - tally.last)
            say("gap", longest_ms=longest * 1000, count=tally.since_line)
            tally.longest, tally.since_line = 0.0, 0
        stopped.set()
        await asyncio.gather(*senders)
        tally.save(options.numbers)
        tally.measured(0.0)


async def _ready(out: ternmq.Producer[bytes], topic: str) -> None:
    # The route and the connection are there before the window opens; nobody counts this message.
    await out.send(topic, bytes(8))
    await _step("ready")


async def _measured(tally: Tally, seconds: float, numbers: Path) -> None:
    tally.measured(seconds)
    tally.save(numbers)
    await asyncio.to_thread(sys.stdin.readline)


async def _step(event: str) -> None:
    say(event)
    await asyncio.to_thread(sys.stdin.readline)


def say(event: str, **members: object) -> None:
    """Print a line at once."""
    print(json.dumps({"event": event, **members}), flush=True)


if __name__ == "__main__":
    main()
