"""A network in memory with the surface of the engine's endpoint: addresses, delays, kills, stopped processes."""

import asyncio
import itertools
import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ternmq.remoting import Endpoint, Event, SendTuple

CallId = int | tuple[int, int]
"""Of a call; of a send, with its sender."""
Reply = tuple[int, dict[str, str], bytes]
LATENCY = 0.001


class Exchange:
    """One request that a server has and may answer once, now or later."""

    def __init__(self, transport: "MemoryTransport", call_id: CallId, address: str) -> None:
        self.transport = transport
        self.address = address
        self._call_id = call_id

    def answer(self, code: int = 0, fields: dict[str, str] | None = None, body: bytes = b"", remark: str = "") -> None:
        """Answer; lost if the caller has given up or the server died."""
        self.transport.answered(self._call_id, self.address, (code, fields or {}, body), remark)


class Server:
    """What listens at an address; replaced by a test's own."""

    def request(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        """Take one request."""
        raise NotImplementedError

    def disconnected(self, transport: "MemoryTransport") -> None:
        """A client's connection has closed."""


class MemoryNetwork:
    """Who listens where."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.stopped: set[str] = set()
        self.transports: list[MemoryTransport] = []
        self.requests: list[tuple[str, int, dict[str, str]]] = []

    def open_endpoint(self) -> Endpoint:
        """A client's endpoint on this network."""
        transport = MemoryTransport(self)
        self.transports.append(transport)
        return Endpoint(transport)

    def kill(self, address: str) -> None:
        """End a server: its connections close, new ones are refused."""
        server = self.servers.pop(address, None)
        self.stopped.discard(address)
        for transport in self.transports:
            if server is not None and address in transport.connected:
                server.disconnected(transport)
            transport.lost(address)

    def push(self, transport: "MemoryTransport", address: str, code: int, fields: dict[str, str]) -> None:
        """Have a server send a one-way request on a client's connection."""
        if address in transport.connected:
            transport.emit((5, 0, address, code, 513, fields, b""))

    def sent(self, code: int) -> list[tuple[str, dict[str, str]]]:
        """Address and fields of all requests with a code, in order."""
        return [(address, fields) for address, seen, fields in self.requests if seen == code]


class Beating(NamedTuple):
    """The heartbeat that a transport keeps sending."""

    version: int = 0
    code: int = 0
    body: bytes = b""
    interval: float = 0.0
    retry: float = 0.0
    timeout_ms: int = 0


class MemoryTransport:
    """Implements the engine's endpoint for one client."""

    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network
        self.connected: set[str] = set()
        self.latency = LATENCY
        self._loop = asyncio.get_running_loop()
        self._signal = os.eventfd(0, os.EFD_NONBLOCK)
        self._events: list[Event] = []
        self._waiting: dict[CallId, tuple[str, asyncio.TimerHandle]] = {}
        self._ids = itertools.count(1)
        self._beating = Beating()
        self._beats: dict[str, asyncio.TimerHandle] = {}  # the next one to each address
        self._beats_out: dict[int, tuple[int, str]] = {}  # by negative call id: version and address
        self._on_the_way: deque[Callable[[], None]] = deque()
        self._closed = False

    def fileno(self) -> int:
        return self._signal

    def drain(self) -> list[Event]:
        events, self._events = self._events, []
        os.eventfd_read(self._signal)
        return events

    def listen(self, host: str, port: int) -> int:
        raise NotImplementedError

    def call(self, calls: Sequence[tuple[CallId, str, int, dict[str, str], bytes, int]]) -> None:
        for call_id, address, code, fields, body, timeout_ms in calls:
            timer = self._loop.call_later(timeout_ms / 1000, self._fail, call_id, 1, "timed out")
            self._waiting[call_id] = (address, timer)
            self._travel(partial(self._deliver, call_id, address, code, dict(fields), body))

    def send(self, sender: int, sends: list[SendTuple]) -> list[str | None]:
        made = []
        for call_id, address, code, fields, queue_id, born_ms, given, properties, body, timeout_ms in sends:
            ident = f"{next(self._ids):032X}" if given is None else given
            named = f"UNIQ_KEY\x01{ident}\x02{properties}" if ident else properties
            header = {**fields, "e": str(queue_id), "g": str(born_ms), "i": named}
            self.call([((sender, call_id), address, code, header, body, timeout_ms)])
            made.append(ident if given is None else None)
        return made

    def oneway(self, calls: list[tuple[str, int, dict[str, str], bytes]]) -> None:
        for address, code, fields, body in calls:
            self._travel(partial(self._deliver, 0, address, code, dict(fields), body))

    def beat(
        self,
        version: int,
        code: int,
        body: bytes,
        addresses: list[str],
        *,
        interval_ms: int,
        retry_ms: int,
        timeout_ms: int,
    ) -> None:
        renewed = version != self._beating.version
        self._beating = Beating(version, code, body, interval_ms / 1000, retry_ms / 1000, timeout_ms)
        for address in self._beats.keys() - set(addresses):
            self._beats.pop(address).cancel()
        for address in addresses:
            if renewed or address not in self._beats:
                self._beat(address)

    def answer(self, answers: list[Any]) -> None:
        pass

    def disconnect(self, address: str) -> None:
        self.lost(address)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for beat in self._beats.values():
            beat.cancel()
        for _, timer in self._waiting.values():
            timer.cancel()
        self.network.transports.remove(self)
        for address in self.connected:
            server = self.network.servers.get(address)
            if server is not None:
                server.disconnected(self)
        os.close(self._signal)

    # -- the network's side --

    def emit(self, event: Event) -> None:
        if not self._closed:
            self._events.append(event)
            os.eventfd_write(self._signal, 1)

    def answered(self, call_id: CallId, address: str, reply: Reply, remark: str) -> None:
        def arrive() -> None:
            if call_id in self._waiting and address in self.network.servers and address not in self.network.stopped:
                self._waiting.pop(call_id)[1].cancel()
                self._answer(call_id, *reply, remark)

        self._travel(arrive)

    def _answer(self, call_id: CallId, code: int, fields: dict[str, str], body: bytes, remark: str) -> None:
        if call_id in self._beats_out:
            self._beaten(call_id, self._beating.interval, answered=True)
        elif not isinstance(call_id, tuple):
            self.emit((1, call_id, code, 513, remark or None, fields, body))
        elif code == 0 and "queueOffset" in fields:
            self.emit((6, call_id[0], [(call_id[1], int(fields["queueId"]), int(fields["queueOffset"]))]))
        else:
            self.emit((7, *call_id, code, 513, remark or None, fields, body))

    def _beat(self, address: str) -> None:
        if address in self._beats:
            self._beats[address].cancel()
        beating, call_id = self._beating, -next(self._ids)
        self._beats_out[call_id] = (beating.version, address)
        self._beats[address] = self._loop.call_later(beating.interval, self._beat, address)
        self.call([(call_id, address, beating.code, {}, beating.body, beating.timeout_ms)])

    def _beaten(self, call_id: CallId, pause: float, *, answered: bool) -> None:
        assert isinstance(call_id, int)
        version, address = self._beats_out.pop(call_id)
        if address in self._beats and version == self._beating.version:
            self._beats[address].cancel()
            self._beats[address] = self._loop.call_later(pause, self._beat, address)
        self.emit((9, version, address, answered))

    def lost(self, address: str) -> None:
        for call_id, (target, _) in tuple(self._waiting.items()):
            if target == address:
                self._fail(call_id, 2, "connection closed")
        if address in self.connected:
            self.connected.discard(address)
            if address in self._beats:
                self._beat(address)
            self.emit((4, address))

    def _travel(self, arrive: Callable[[], None]) -> None:
        """Have something arrive after the latency, in the order of departure: timers of the same moment have none."""
        self._on_the_way.append(arrive)
        self._loop.call_later(self.latency, lambda: self._on_the_way.popleft()())

    def _deliver(self, call_id: CallId, address: str, code: int, fields: dict[str, str], body: bytes) -> None:
        if self._closed or (call_id and call_id not in self._waiting):
            return
        self.network.requests.append((address, code, fields))
        server = self.network.servers.get(address)
        if address in self.network.stopped:
            return
        if server is None:
            self._fail(call_id, 0, "connection refused")
            return
        self.connected.add(address)
        server.request(Exchange(self, call_id, address), code, fields, body)

    def _fail(self, call_id: CallId, reason: int, text: str) -> None:
        waiting = self._waiting.pop(call_id, None)
        if waiting is not None:
            waiting[1].cancel()
            if call_id in self._beats_out:
                self._beaten(call_id, self._beating.retry, answered=False)
                return
            self.emit((8, *call_id, reason, text) if isinstance(call_id, tuple) else (2, call_id, reason, text))
