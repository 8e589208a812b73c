"""Heartbeats go on whatever the event loop does."""

import asyncio
import json
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ternmq.client.leaders import Leaders
from ternmq.client.membership import Membership
from ternmq.client.metadata import Metadata
from ternmq.remoting import open_endpoint

PATIENCE_S = 20.0


class HeartbeatServer:
    """A broker on a thread of its own that answers every request with success and keeps the heartbeats."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._stopping, self._stop = socket.socketpair()
        self._selector.register(self._stopping, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._received: dict[socket.socket, bytes] = {}
        self._hang_up = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def hang_up(self) -> None:
        """Close each connection after its next request."""
        self._hang_up = True

    def close(self) -> None:
        self._stop.close()
        self._thread.join()
        for connection in (*self._received, self._listener, self._stopping):
            connection.close()
        self._selector.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if ready is self._stopping:
                    return
                if ready is self._listener:
                    connection, _ = ready.accept()
                    self._received[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                else:
                    self._read(ready)

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        held = self._received[connection] + data
        while len(held) >= 4 and len(held) >= 4 + struct.unpack(">I", held[:4])[0]:
            size = struct.unpack(">I", held[:4])[0]
            self._answer(connection, held[4 : 4 + size])
            held = held[4 + size :]
            data = b"" if self._hang_up else data
        self._received[connection] = held
        if not data:
            self._hang_up = False
            self._selector.unregister(connection)
            del self._received[connection]
            connection.close()

    def _answer(self, connection: socket.socket, frame: bytes) -> None:
        header_size = struct.unpack(">I", frame[:4])[0] & 0xFFFFFF
        header = json.loads(frame[4 : 4 + header_size])
        if header["code"] == 34:
            self.bodies.append(json.loads(frame[4 + header_size :]))
        answer = json.dumps(
            {"code": 0, "flag": 1, "opaque": header["opaque"], "language": "JAVA", "version": 0}
        ).encode()
        connection.sendall(struct.pack(">II", 4 + len(answer), len(answer)) + answer)


class OneAddress(Metadata):
    """Routes that name one broker."""

    def __init__(self, address: str) -> None:
        self.leaders = Leaders()
        self._address = address
        self._listeners = []

    def addresses_in_use(self) -> set[str]:
        return {self._address}


@contextmanager
def heartbeat_server() -> Iterator[HeartbeatServer]:
    server = HeartbeatServer()
    try:
        yield server
    finally:
        server.close()


def block_until(claim: Callable[[], bool]) -> None:
    """Hold the whole event loop up until a claim holds, as a handler does that computes or waits without `await`."""
    deadline = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.001)  # the loop is to stand still


@pytest.mark.asyncio
async def test_a_blocked_event_loop_goes_on_sending_heartbeats_over_a_lost_connection_too() -> None:
    with heartbeat_server() as server:
        endpoint = open_endpoint()
        membership = Membership(endpoint, OneAddress(server.address), "client-1", interval=0.02)
        try:
            membership.add_producer("p")
            block_until(lambda: len(server.bodies) >= 10)
            server.hang_up()
            before = len(server.bodies)
            block_until(lambda: len(server.bodies) >= before + 10)
            assert {body["clientID"] for body in server.bodies} == {"client-1"}
        finally:
            await membership.close()
            await endpoint.close()


@pytest.mark.asyncio
async def test_what_the_client_belongs_to_is_told_at_once_and_failures_are_counted() -> None:
    with heartbeat_server() as server:
        endpoint = open_endpoint()
        told: list[tuple[int, str, bool]] = []
        nobody = socket.create_server(("127.0.0.1", 0))
        dead = f"127.0.0.1:{nobody.getsockname()[1]}"
        nobody.close()

        def beat(version: int, body: bytes, retry: float = 0.01) -> None:
            endpoint.beat(
                version, 34, body, [server.address, dead], interval=3600, retry=retry, timeout=1,
                on_beaten=lambda *outcome: told.append(outcome),
            )  # fmt: skip

        beat(1, b'{"n":1}')
        async with asyncio.timeout(PATIENCE_S):
            while len(told) < 2:  # noqa: ASYNC110  # both addresses have had their turn
                await asyncio.sleep(0.001)
        assert sorted(told) == sorted([(1, server.address, True), (1, dead, False)])
        beat(1, b'{"n":1}')
        beat(2, b'{"n":2}')
        block_until(lambda: {"n": 2} in server.bodies)
        assert server.bodies == [{"n": 1}, {"n": 2}], "the same version is not sent again before its time"
        await endpoint.close()
