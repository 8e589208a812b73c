"""A plain speaker of the wire, in a few lines of Python that share nothing with the product.

What a test harness says to a server, and what it believes of the answer, must not depend on the code under test.
JSON headers only; frames, records and codes as in docs/wire.md.
"""

import asyncio
import itertools
import json
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

RESPONSE = 1
ONE_WAY = 2
# The ordinal of 4.9.8: from 4.9.4 on a NameServer writes routes in standard JSON.
VERSION = 409
MAGIC_V1 = 0xDAA320A7
MAGIC_V2 = 0xDAA320AB

SEND, PULL, QUERY_OFFSET, UPDATE_OFFSET, CREATE_TOPIC = 310, 11, 14, 15, 17
ALL_TOPICS, RUNTIME, MAX_OFFSET, MIN_OFFSET, ROUTE, CLUSTER_INFO = 21, 28, 30, 31, 105, 106


class SpeakerError(Exception):
    """The peer closed, refused the connection, or did not answer in time."""


@dataclass(frozen=True)
class Answer:
    """One answer: code, remark, header fields, body."""

    opaque: int
    code: int
    remark: str
    fields: dict[str, str]
    body: bytes
    flag: int


@dataclass(frozen=True)
class StoredRecord:
    """One record of a pull answer, as stored."""

    topic: str
    queue_id: int
    queue_offset: int
    physical_offset: int
    message_id: str
    body: bytes
    properties: dict[str, str] = field(hash=False)


def frame(
    code: int, fields: dict[str, str] | None = None, body: bytes = b"", *, opaque: int = 1, flag: int = 0
) -> bytes:
    """One request frame with a JSON header."""
    header = json.dumps(
        {
            "code": code,
            "language": "JAVA",
            "version": VERSION,
            "opaque": opaque,
            "flag": flag,
            "extFields": fields or {},
        }
    ).encode()
    return raw_frame(header, body)


def raw_frame(header: bytes, body: bytes = b"", *, encoding: int = 0) -> bytes:
    """A frame around any header bytes, with true lengths."""
    return struct.pack(">II", 4 + len(header) + len(body), encoding << 24 | len(header)) + header + body


def parse_answer(after_length: bytes) -> Answer:
    """An answer from what follows the length field."""
    header_length = struct.unpack(">I", after_length[:4])[0] & 0xFFFFFF
    header = json.loads(after_length[4 : 4 + header_length])
    return Answer(
        header["opaque"],
        header["code"],
        header.get("remark") or "",
        header.get("extFields") or {},
        after_length[4 + header_length :],
        header.get("flag", 0),
    )


def read_answer(peer: socket.socket) -> Answer:
    """Read one answer from a blocking socket.

    Raises:
        SpeakerError: the peer closed before a whole answer came, or the socket's timeout passed.
    """
    (length,) = struct.unpack(">I", _read_exactly(peer, 4))
    return parse_answer(_read_exactly(peer, length))


def ask(
    address: str, code: int, fields: dict[str, str] | None = None, body: bytes = b"", timeout: float = 3.0
) -> Answer:
    """One request on a connection of its own.

    Raises:
        SpeakerError: no answer.
    """
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout) as peer:
            peer.settimeout(timeout)
            peer.sendall(frame(code, fields, body))
            return read_answer(peer)
    except OSError as error:
        raise SpeakerError(f"{address}: {error}") from error


class Speaker:
    """One asyncio connection with any number of requests under way."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._opaques = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, timeout: float = 1.0) -> "Speaker":
        """Connect; raises SpeakerError."""
        host, port = self.address.rsplit(":", 1)
        try:
            async with asyncio.timeout(timeout):
                reader, self._writer = await asyncio.open_connection(host, int(port))
        except (OSError, TimeoutError) as error:
            raise SpeakerError(f"{self.address}: cannot connect: {error}") from error
        self._reader = asyncio.create_task(self._read(reader))
        return self

    @property
    def is_open(self) -> bool:
        """Whether requests can still be answered on this connection."""
        return self._reader is not None and not self._reader.done()

    def ask_later(self, code: int, fields: dict[str, str] | None = None, body: bytes = b"") -> "asyncio.Future[Answer]":
        """Write a request; the future has the answer, or SpeakerError when the connection ends first."""
        if self._writer is None or not self.is_open:
            raise SpeakerError(f"{self.address}: not connected")
        opaque = next(self._opaques)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[opaque] = answer
        self._writer.write(frame(code, fields, body, opaque=opaque))
        return answer

    async def ask(
        self, code: int, fields: dict[str, str] | None = None, body: bytes = b"", timeout: float = 3.0
    ) -> Answer:
        """One request and its answer; raises SpeakerError."""
        try:
            async with asyncio.timeout(timeout):
                return await self.ask_later(code, fields, body)
        except TimeoutError as error:
            raise SpeakerError(f"{self.address}: no answer to {code} within {timeout} s") from error

    async def close(self) -> None:
        """Close; requests under way end with SpeakerError."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                answer = parse_answer(await reader.readexactly(length))
                waiting = self._waiting.pop(answer.opaque, None) if answer.flag & RESPONSE else None
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, EOFError):
            pass
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(SpeakerError(f"{self.address}: connection lost"))
                    waiting.exception()  # Whoever still waits sees it; nobody needs a warning about the others.
            self._waiting.clear()


def send_fields(topic: str, queue_id: int, properties: dict[str, str], group: str = "harness") -> dict[str, str]:
    """Header fields of a send (310)."""
    text = "".join(f"{name}\x01{value}\x02" for name, value in properties.items())
    return {
        "a": group, "b": topic, "c": "TBW102", "d": "4", "e": str(queue_id), "f": "0", "g": "1700000000000",
        "h": "0", "i": text, "j": "0", "k": "false", "m": "false",
    }  # fmt: skip


def pull_fields(
    topic: str, queue_id: int, queue_offset: int, group: str = "harness", count: int = 32
) -> dict[str, str]:
    """Header fields of a pull (11) that brings its subscription along and does not wait."""
    return {
        "consumerGroup": group, "topic": topic, "queueId": str(queue_id), "queueOffset": str(queue_offset),
        "maxMsgNums": str(count), "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
        "subscription": "*", "subVersion": "0", "expressionType": "TAG",
    }  # fmt: skip


def lenient_json(body: bytes) -> Any:
    """JSON as servers write it: integer keys may lack their quotes."""
    return json.loads(re.sub(rb"([{,])(-?\d+):", rb'\1"\2":', body))


def decode_records(body: bytes) -> Iterator[StoredRecord]:
    """The records of a pull body, back to back without separators."""
    at = 0
    while at < len(body):
        size, magic, _crc, queue_id, _flag = struct.unpack_from(">IIIii", body, at)
        queue_offset, physical_offset, sys_flag = struct.unpack_from(">qqi", body, at + 20)
        inside = at + 48 + (20 if sys_flag & 0x10 else 8) + 8
        host_length = 20 if sys_flag & 0x20 else 8
        store_host = body[inside : inside + host_length]
        inside += host_length + 12
        (body_length,) = struct.unpack_from(">i", body, inside)
        payload = body[inside + 4 : inside + 4 + body_length]
        inside += 4 + body_length
        if magic == MAGIC_V1:
            topic_length, inside = body[inside], inside + 1
        elif magic == MAGIC_V2:
            topic_length, inside = struct.unpack_from(">h", body, inside)[0], inside + 2
        else:
            raise ValueError(f"no record at byte {at}: magic {magic:08x}")
        topic = body[inside : inside + topic_length].decode()
        inside += topic_length
        (properties_length,) = struct.unpack_from(">h", body, inside)
        text = body[inside + 2 : inside + 2 + properties_length].decode()
        if inside + 2 + properties_length != at + size:
            raise ValueError(f"the parts of the record at byte {at} do not add up to its {size} bytes")
        pairs = (pair.split("\x01", 1) for pair in text.split("\x02") if pair)
        message_id = (store_host + struct.pack(">q", physical_offset)).hex().upper()
        yield StoredRecord(topic, queue_id, queue_offset, physical_offset, message_id, payload, dict(pairs))
        at += size


def _read_exactly(peer: socket.socket, count: int) -> bytes:
    chunks = bytearray()
    while len(chunks) < count:
        try:
            chunk = peer.recv(count - len(chunks))
        except OSError as error:
            raise SpeakerError(f"no answer: {error}") from error
        if not chunk:
            raise SpeakerError("closed by the peer")
        chunks += chunk
    return bytes(chunks)


def messages_taken(address: str) -> int:
    """Messages that clients have pulled from a broker since its start."""
    return int(lenient_json(ask(address, RUNTIME).body)["table"]["msgGetTotalTodayNow"])


def messages_shown(address: str, topic: str, *, queues: int = 4) -> int:
    """Messages of a topic that a replica shows; -1 where it does not answer, as a slave that has its master."""
    total = 0
    for queue in range(queues):
        try:
            answer = ask(address, MAX_OFFSET, {"topic": topic, "queueId": str(queue)}, timeout=2)
        except SpeakerError:
            return -1
        if answer.code != 0:
            return -1
        total += int(answer.fields["offset"])
    return total
