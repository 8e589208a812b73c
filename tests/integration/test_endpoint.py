"""The transport of the engine, seen from an event loop: a server and a client in one process."""

import asyncio
import multiprocessing
import multiprocessing.connection
import os
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from ternmq import _core

Event = tuple[Any, ...]

REQUEST, ANSWER, FAILED, CLOSED, DISCONNECTED = range(5)
UNREACHABLE, TIMED_OUT, LOST, REFUSED = range(4)
PATIENCE_S = 20.0
PATIENCE_MS = 20_000


class Side:
    """An endpoint whose events are kept as the loop drains them."""

    def __init__(self, endpoint: _core.Endpoint, on_event: Callable[[Event], None] | None = None) -> None:
        self.endpoint = endpoint
        self.events: list[Event] = []
        self._on_event = on_event
        self._more = asyncio.Event()

    def drain(self) -> None:
        for event in self.endpoint.drain():
            self.events.append(event)
            if self._on_event is not None:
                self._on_event(event)
        self._more.set()

    async def wait_for(self, count: int, kind: int) -> list[Event]:
        def found() -> list[Event]:
            return [event for event in self.events if event[0] == kind]

        await self.wait_until(lambda: len(found()) >= count)
        return found()

    async def wait_until(self, claim: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not claim():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def side(*, max_pending: int = 10_000, on_event: Callable[[Event], None] | None = None) -> AsyncIterator[Side]:
    endpoint = _core.Endpoint(max_pending=max_pending)
    made = Side(endpoint, on_event)
    loop = asyncio.get_running_loop()
    loop.add_reader(endpoint.fileno(), made.drain)
    try:
        yield made
    finally:
        loop.remove_reader(endpoint.fileno())
        endpoint.close()


@asynccontextmanager
async def echo_server() -> AsyncIterator[tuple[Side, str]]:
    """A server that answers each request with its own fields and body."""

    def answer(event: Event) -> None:
        if event[0] == REQUEST and event[1]:
            server.endpoint.answer([(event[1], 0, None, event[8], event[9])])

    async with side(on_event=answer) as server:
        yield server, f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"


def call(
    call_id: int, address: str, body: bytes = b"", timeout_ms: int = PATIENCE_MS
) -> tuple[int, str, int, dict[str, str], bytes, int]:
    return call_id, address, 105, {"topic": "TopicTest"}, body, timeout_ms


@contextmanager
def free_port() -> Iterator[str]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.asyncio
async def test_a_call_reaches_the_server_and_its_answer_comes_back() -> None:
    async with echo_server() as (server, address), side() as client:
        client.endpoint.call([call(17, address, b"\x00body\xff")])
        (answer,) = await client.wait_for(1, ANSWER)
        assert answer == (ANSWER, 17, 0, 513, None, {"topic": "TopicTest"}, b"\x00body\xff")
        (request,) = server.events
        kind, request_id, connection_id, peer, code, version, language, oneway, fields, body = request
        assert (kind, code, version, language, oneway) == (REQUEST, 105, 513, 3, False)
        assert request_id > 0
        assert connection_id > 0
        assert peer.startswith("127.0.0.1:")
        assert (fields, body) == ({"topic": "TopicTest"}, b"\x00body\xff")


@pytest.mark.asyncio
async def test_a_thousand_pipelined_calls_are_each_answered_once() -> None:
    async with echo_server() as (_, address), side() as client:
        client.endpoint.call([call(number, address, b"%d" % number) for number in range(1000)])
        answers = await client.wait_for(1000, ANSWER)
        assert {answer[1]: answer[6] for answer in answers} == {number: b"%d" % number for number in range(1000)}
        assert len(client.events) == 1000


STORED, SEND_ANSWERED, SEND_FAILED = 6, 7, 8
Send = tuple[int, str, int, dict[str, str], int, int, str | None, str, bytes, int]


def send(call_id: int, address: str, fields: dict[str, str], message_id: str | None = None) -> Send:
    return call_id, address, 310, fields, 3, 1_700_000_000_000, message_id, "k\x01v\x02", b"body", PATIENCE_MS


@pytest.mark.asyncio
async def test_sends_cross_with_a_common_header_and_what_is_stored_comes_back_as_numbers() -> None:
    def answer(event: Event) -> None:
        if event[0] == REQUEST:
            server.endpoint.answer([(event[1], 0, None, {"msgId": "m", "queueId": "5", "queueOffset": "77"}, b"")])

    async with side(on_event=answer) as server, side() as client:
        address = f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"
        constant = {"a": "g", "b": "t"}
        sends = [send(1, address, constant), send(2, address, constant, "GIVEN"), send(3, address, {"b": "u"}, "")]
        ids = client.endpoint.send(9, sends)
        assert [ident is None for ident in ids] == [False, True, True]
        requests = await server.wait_for(3, REQUEST)
        own = {"e": "3", "g": "1700000000000"}
        assert [(request[4], request[8], request[9]) for request in requests] == [
            (310, {**constant, **own, "i": f"UNIQ_KEY\x01{ids[0]}\x02k\x01v\x02"}, b"body"),
            (310, {**constant, **own, "i": "UNIQ_KEY\x01GIVEN\x02k\x01v\x02"}, b"body"),
            (310, {"b": "u", **own, "i": "k\x01v\x02"}, b"body"),
        ]
        await client.wait_until(lambda: sum(len(event[2]) for event in client.events) == 3)
        places = [place for event in client.events for place in event[2]]
        assert sorted(places) == [(1, 5, 77), (2, 5, 77), (3, 5, 77)]
        assert {event[:2] for event in client.events} == {(STORED, 9)}


@pytest.mark.asyncio
async def test_a_send_that_is_not_plainly_stored_comes_back_in_full() -> None:
    def answer(event: Event) -> None:
        if event[0] == REQUEST:
            code = int(event[8]["b"])
            server.endpoint.answer([(event[1], code, "why", {"leaderAddr": "x"}, b"")])

    async with side(on_event=answer) as server, side() as client:
        address = f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"
        with free_port() as nobody:
            client.endpoint.send(4, [send(1, address, {"b": "14"}), send(2, address, {"b": "0"})])
            client.endpoint.send(4, [send(3, nobody, {})])
            answers = await client.wait_for(2, SEND_ANSWERED)
            (failed,) = await client.wait_for(1, SEND_FAILED)
        assert [event[1:6] for event in answers] == [(4, 1, 14, 513, "why"), (4, 2, 0, 513, "why")]
        assert answers[0][6] == {"leaderAddr": "x"}
        assert failed[1:4] == (4, 3, UNREACHABLE)


@pytest.mark.asyncio
async def test_a_one_way_request_arrives_without_an_id_to_answer() -> None:
    async with echo_server() as (server, address), side() as client:
        client.endpoint.oneway([(address, 34, {}, b"beat")])
        (request,) = await server.wait_for(1, REQUEST)
        assert (request[1], request[4], request[7], request[9]) == (0, 34, True, b"beat")


@pytest.mark.asyncio
async def test_a_request_that_does_not_fit_is_answered_busy_and_the_others_are_kept() -> None:
    async with side(max_pending=10) as server, side() as client:
        address = f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"
        client.endpoint.call([call(number, address) for number in range(15)])
        busy = await client.wait_for(5, ANSWER)
        assert {answer[2] for answer in busy} == {2}
        assert {answer[4] for answer in busy} == {"[OVERLOAD]system busy, start flow control for a while"}
        kept = await server.wait_for(10, REQUEST)
        server.endpoint.answer([(request[1], 17, "no such topic", None, b"") for request in kept])
        answers = await client.wait_for(15, ANSWER)
        assert [answer[2] for answer in answers].count(17) == 10


@pytest.mark.asyncio
async def test_a_call_that_cannot_be_answered_says_why() -> None:
    async with side() as server, side() as client:
        address = f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"
        with free_port() as nobody:
            client.endpoint.call([call(1, nobody)])
            client.endpoint.call([call(2, address, timeout_ms=50)])
            failed = await client.wait_for(2, FAILED)
        assert {event[1]: event[2] for event in failed} == {1: UNREACHABLE, 2: TIMED_OUT}
        client.endpoint.call([call(3, address)])
        await server.wait_for(2, REQUEST)
        client.endpoint.disconnect(address)
        failed = await client.wait_for(3, FAILED)
        assert failed[2][1:3] == (3, LOST)
        assert (await client.wait_for(1, DISCONNECTED))[0] == (DISCONNECTED, address)
        (closed,) = await server.wait_for(1, CLOSED)
        assert closed[1] == server.events[0][2]


@pytest.mark.asyncio
async def test_calls_beyond_the_bound_are_refused_here() -> None:
    async with side() as server, side(max_pending=3) as client:
        address = f"127.0.0.1:{server.endpoint.listen('127.0.0.1', 0)}"
        client.endpoint.call([call(number, address) for number in range(5)])
        failed = await client.wait_for(2, FAILED)
        assert [event[1:3] for event in failed] == [(3, REFUSED), (4, REFUSED)]


@pytest.mark.asyncio
async def test_answers_to_unknown_requests_are_passed_over() -> None:
    async with echo_server() as (server, address), side() as client:
        server.endpoint.answer([(0, 0, None, None, b""), (2**63, 0, None, None, b"")])
        client.endpoint.call([call(1, address)])
        await client.wait_for(1, ANSWER)


@pytest.mark.asyncio
async def test_a_closed_endpoint_ends_its_calls_frees_its_port_and_refuses_new_ones() -> None:
    async with side() as server, side() as client:
        port = server.endpoint.listen("127.0.0.1", 0)
        client.endpoint.call([call(1, f"127.0.0.1:{port}")])
        await server.wait_for(1, REQUEST)
        client.endpoint.close()
        client.endpoint.close()
        assert (await client.wait_for(1, FAILED))[0][1:3] == (1, LOST)
        with pytest.raises(RuntimeError, match="closed"):
            client.endpoint.call([call(2, f"127.0.0.1:{port}")])
        with pytest.raises(RuntimeError, match="closed"):
            client.endpoint.listen("127.0.0.1", 0)
        server.endpoint.close()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
            again.listen()


@pytest.mark.asyncio
async def test_a_taken_port_is_an_os_error_with_its_number() -> None:
    async with side() as server, side() as other:
        port = server.endpoint.listen("127.0.0.1", 0)
        with pytest.raises(OSError, match=f"127.0.0.1:{port}") as refused:
            other.endpoint.listen("127.0.0.1", port)
        assert refused.value.errno == 98


def use_in_a_fork(endpoint: _core.Endpoint, said: multiprocessing.connection.Connection) -> None:
    try:
        endpoint.drain()
        said.send("no error")
    except RuntimeError as error:
        said.send(str(error))


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_an_endpoint_refuses_to_work_in_a_fork_and_goes_on_in_its_own_process() -> None:
    async with echo_server() as (_, address), side() as client:
        reading, writing = multiprocessing.Pipe(duplex=False)
        fork = multiprocessing.get_context("fork").Process(target=use_in_a_fork, args=(client.endpoint, writing))
        fork.start()
        fork.join(PATIENCE_S)
        assert fork.exitcode == 0
        assert str(os.getpid()) in reading.recv()
        client.endpoint.call([call(1, address)])
        await client.wait_for(1, ANSWER)


def test_arguments_of_the_wrong_type_are_type_errors_and_send_nothing() -> None:
    endpoint = _core.Endpoint()
    with pytest.raises(TypeError):
        endpoint.call([(1, "127.0.0.1:1", 105, {"queueId": 3}, b"", 100)])  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        endpoint.answer([(1, 0, None, None, "text")])  # type: ignore[list-item]
    with pytest.raises(OverflowError):
        endpoint.call([(1, "127.0.0.1:1", 2**31, {}, b"", 100)])
    with pytest.raises(ValueError, match="workers"):
        _core.Endpoint(workers=0)
    endpoint.close()
    assert endpoint.drain() == []


def record(body: bytes, sys_flag: int = 0, topic: bytes = b"TopicTest", properties: bytes = b"TAGS\x01A\x02") -> bytes:
    host = bytes([127, 0, 0, 1]) + struct.pack(">i", 10911)
    rest = struct.pack(">iIiiqqiq", -626843481, zlib.crc32(body) & 0x7FFFFFFF, 3, 9, 5, 4096, sys_flag, 1700000000000)
    rest += host + struct.pack(">q", 1700000000123) + host + struct.pack(">iq", 2, 0)
    rest += struct.pack(">i", len(body)) + body + bytes([len(topic)]) + topic
    rest += struct.pack(">h", len(properties)) + properties
    return struct.pack(">i", len(rest) + 4) + rest


def test_messages_of_a_pull_come_with_all_their_parts() -> None:
    records, offsets, bodies, closed = _core.decode_messages(record(b"hello") + record(b"", properties=b""), 1000)
    assert (len(records), offsets, bodies, closed) == (2, [5, 5], [b"hello", b""], [])
    assert records.details(0) == (4096, 9, 0, 1700000000000, 1700000000123, "127.0.0.1:10911", 2, {"TAGS": "A"})
    assert records.details(1)[7] == {}
    with pytest.raises(IndexError):
        records.details(2)


def test_a_compressed_body_is_inflated_up_to_the_bound_and_stays_as_it_is_beyond() -> None:
    clear = b"a" * 5000
    packed = zlib.compress(clear)
    for body, flag, bound, seen, left in (
        (packed, 0x301, 5000, clear, 0),
        (packed, 0x301, 4999, packed, 0x301),
        (b"not zlib", 0x1, 4999, b"not zlib", 0x1),
    ):
        records, _, bodies, closed = _core.decode_messages(record(b"plain") + record(body, sys_flag=flag), bound)
        assert (bodies, records.details(1)[2]) == ([b"plain", seen], left)
        assert closed == ([1] if left else [])


@pytest.mark.parametrize("damage", ["cut short", "bit flipped"])
def test_a_damaged_pull_body_is_refused(damage: str) -> None:
    body = record(b"hello")
    if damage == "cut short":
        body = body[:-1]
    else:
        at = body.index(b"hello")
        body = body[:at] + b"jello" + body[at + 5 :]
    with pytest.raises(ValueError, match=r"."):
        _core.decode_messages(body, 1000)


def test_small_codecs_agree_with_known_values() -> None:
    assert _core.encode_properties({"TAGS": "TagA", "KEYS": "k"}) == "TAGS\x01TagA\x02KEYS\x01k\x02"
    with pytest.raises(ValueError, match=r"."):
        _core.encode_properties({"a": "with \x01 inside"})
    entry = bytes.fromhex("0000001d000000000000000000000000000000026d310005") + b"a\x01b\x02c"
    assert _core.encode_batch([(0, b"m1", "a\x01b\x02c")]) == entry
    assert _core.java_hash("TagA") == 2598919
    assert _core.crc32(b"hello") == 907060870
    assert _core.offset_id("192.168.0.10", 10911, 4096) == "C0A8000A00002A9F0000000000001000"
    with pytest.raises(ValueError, match=r"."):
        _core.offset_id("localhost", 10911, 0)
    ids = {_core.unique_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(made) for made in ids} <= {32, 56}
