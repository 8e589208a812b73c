"""Clients that poll routes, each over a connection of its own, and go to the next NameServer when theirs is gone.

One thread and `epoll`, requests encoded beforehand: the load must cost less than what it measures. As a program it
reads a `Plan` as JSON from a file, says `{"event": "ready"}` when all clients are connected, polls from the first line
of its input to the second, if the plan does not end before, and says what came of it.
"""

import contextlib
import heapq
import json
import random
import select
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.speaker import ROUTE, frame

_RECEIVE_BYTES = 256 << 10
_ANSWER_SECONDS = 5.0
_TURN_SECONDS = 0.05
_SUCCESS = b'"code":0'


@dataclass(frozen=True)
class Plan:
    """What is polled.

    Args:
        addresses: NameServers; client i begins with the one at i modulo their number.
        topics: one of them at random each time.
        clients: connections.
        seconds: how long.
        rate: polls a second of all clients together, due whether or not the one before was answered in time; None:
            each client polls again when it is answered.
        pause: seconds from an answer to the next poll, without a rate.
    """

    addresses: Sequence[str]
    topics: Sequence[str]
    clients: int
    seconds: float
    rate: float | None = None
    pause: float = 0.0


@dataclass
class Polled:
    """What came of it.

    Args:
        answered: polls that were answered with a route.
        refused: polls that were answered otherwise, with the first bytes of the answers' headers.
        unanswered: polls that no NameServer answered in time.
        moved: how often a client went to the next NameServer.
        longest_body: bytes of the longest answer.
        latencies_ms: of the answered ones, from the time at which they were due by a rate, else sent.
        by_address: the answered ones by NameServer.
    """

    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    moved: int = 0
    longest_body: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    by_address: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Latency that so many polls do not exceed, ms; 0 without any."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    def figures(self) -> dict[str, object]:
        """Give the figures, latencies by their percentiles."""
        names = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
        return {
            "answered": self.answered,
            "refused": dict(self.refused),
            "unanswered": self.unanswered,
            "moved": self.moved,
            "longest_body": self.longest_body,
            "by_address": dict(self.by_address),
        } | {name: round(self.percentile(share), 2) for name, share in names.items()}


class _Client:
    """One connection; asks again elsewhere what was not answered when it closed."""

    def __init__(self, number: int, addresses: Sequence[str]) -> None:
        self.number = self.at = number
        self.addresses = addresses
        self.socket: socket.socket | None = None
        self.received = bytearray()
        self.missing = 0
        self.request = b""
        self.due = 0.0

    @property
    def address(self) -> str:
        return self.addresses[self.at % len(self.addresses)]

    def connect(self) -> bool:
        """Connect to the NameServer whose turn it is, or the next one; says whether one was there."""
        for _ in self.addresses:
            host, port = self.address.rsplit(":", 1)
            with contextlib.suppress(OSError):
                self.socket = socket.create_connection((host, int(port)), 2.0)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.received.clear()
                self.missing = 0
                return True
            self.at += 1
        return False

    def send(self) -> None:
        assert self.socket is not None
        self.socket.sendall(self.request)

    def take(self, data: bytes) -> bool:
        """Take what was received; says whether the answer is complete. The beginning of it is in `received`."""
        if not self.missing:
            self.received += data
            if len(self.received) < 4:
                return False
            self.missing = 4 + int.from_bytes(self.received[:4], "big") - len(self.received)
        else:
            self.missing -= len(data)
            if len(self.received) < 1_024:
                self.received += data
        return self.missing <= 0


class RoutePolls:
    """Drives all clients.

    Args:
        plan: what they do.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._end = 0.0
        self.polled = Polled()
        """What came of it so far."""
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._requests = [frame(ROUTE, {"topic": topic}) for topic in plan.topics]
        self._due: list[tuple[float, int, _Client]] = []
        self._waiting: set[_Client] = set()
        self._all = [_Client(number, plan.addresses) for number in range(plan.clients)]
        for client in self._all:
            if not self._connect(client):
                raise ConnectionError(f"none of {plan.addresses} answers")

    def _connect(self, client: _Client) -> bool:
        if not client.connect():
            return False
        assert client.socket is not None
        self._clients[client.socket.fileno()] = client
        self._poll.register(client.socket, select.EPOLLIN)
        return True

    def run(self) -> Polled:
        """Poll for the time that was planned, and wait for what is under way."""
        begin = time.perf_counter()
        self._end = begin + self._plan.seconds
        self._schedule(begin)
        polled = self.polled
        while (now := time.perf_counter()) < self._end:
            self._begin_due(now)
            self._turn(min(_TURN_SECONDS, self._due[0][0] - now if self._due else _TURN_SECONDS))
        while self._waiting and time.perf_counter() < self._end + _ANSWER_SECONDS:
            self._turn(_TURN_SECONDS)
        polled.unanswered += len(self._waiting)
        for client in self._all:
            if client.socket is not None:
                client.socket.close()
        self._poll.close()
        return polled

    def stop(self) -> None:
        """Begin no more polls; may be called by another thread."""
        self._end = time.perf_counter()

    def _schedule(self, begin: float) -> None:
        spread = self._plan.clients / self._plan.rate if self._plan.rate else 0.0
        for number, client in enumerate(self._all):
            self._due.append((begin + spread * number / len(self._all), number, client))

    def _begin_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            due, _, client = heapq.heappop(self._due)
            self._begin(client, due if self._plan.rate else now)

    def _begin(self, client: _Client, due: float) -> None:
        client.due = due
        client.request = random.choice(self._requests)
        self._waiting.add(client)
        self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            client.send()
        except OSError:
            self._move(client)

    def _turn(self, patience: float) -> None:
        for number, _ in self._poll.poll(max(0.0, patience)):
            client = self._clients[number]
            assert client.socket is not None
            try:
                data = client.socket.recv(_RECEIVE_BYTES)
            except OSError:
                data = b""
            if not data:
                self._move(client)
            elif client.take(data):
                self._answered(client)

    def _move(self, client: _Client) -> None:
        """Go to the next NameServer, and ask there what was not answered here."""
        if client.socket is not None:
            del self._clients[client.socket.fileno()]
            self._poll.unregister(client.socket)
            client.socket.close()
            client.socket = None
        client.at += 1
        self.polled.moved += 1
        if not self._connect(client):
            self.polled.unanswered += client in self._waiting
            self._waiting.discard(client)
        elif client in self._waiting:
            self._send(client)

    def _answered(self, client: _Client) -> None:
        now = time.perf_counter()
        polled = self.polled
        header = int.from_bytes(client.received[5:8], "big")
        said = bytes(client.received[8 : 8 + header])
        if _SUCCESS in said:
            polled.answered += 1
            polled.by_address[client.address] += 1
            polled.latencies_ms.append((now - client.due) * 1e3)
            polled.longest_body = max(polled.longest_body, int.from_bytes(client.received[:4], "big") - 4 - header)
        else:
            polled.refused[said[:120].decode(errors="replace")] += 1
        client.received.clear()
        client.missing = 0
        self._waiting.discard(client)
        if self._plan.rate is None:
            heapq.heappush(self._due, (now + self._plan.pause, client.number, client))
        else:
            heapq.heappush(self._due, (client.due + self._plan.clients / self._plan.rate, client.number, client))


def main() -> None:
    """Run one plan."""
    polls = RoutePolls(Plan(**json.loads(Path(sys.argv[1]).read_text())))
    print(json.dumps({"event": "ready"}), flush=True)
    sys.stdin.readline()

    def stop_when_told() -> None:
        sys.stdin.readline()
        polls.stop()

    threading.Thread(target=stop_when_told, daemon=True).start()
    print(json.dumps({"event": "polled"} | polls.run().figures()), flush=True)


if __name__ == "__main__":
    main()
