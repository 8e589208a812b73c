"""One real NameServer, and so many brokers and clients as sockets: what they ask of it, how often, and what it costs.

Brokers register their topics, and then ask every two seconds whether the NameServer has the present version (322), as
`ternmq.broker.registration` does. Clients ask for the routes of their topics every 30 s (105). Each has a connection.
"""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benches.probes.threads import threads
from support.ports import free_block
from support.processes import wait_for
from support.speaker import CLUSTER_INFO, ROUTE, SpeakerError, ask, frame, parse_answer
from support.tern import PROGRAM
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.registration import RegisterBrokerBody, body_crc32
from ternmq.protocol.routes import BrokerData, QueueData, TopicRouteData
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table

CLUSTER = "scaling"
QUEUES = 8
MEMBERS = 3
TOPIC = "orders-{:04d}"
VERSION = DataVersion(counter=1, state_version=1, timestamp=1_700_000_000_000)
START_SECONDS = 20.0
# Connections that are opened, and tables that are registered, at once.
ABREAST = 50


@dataclass(frozen=True)
class Asked:
    """What was asked in a window, and what it cost the NameServer.

    Args:
        seconds: how long.
        asks: questions for the version.
        routes: questions for a route.
        ask_bytes: of all questions for the version and their answers.
        route_bytes: of all questions for a route and their answers.
        cpu: seconds of the NameServer.
    """

    seconds: float
    asks: int
    routes: int
    ask_bytes: int
    route_bytes: int
    cpu: float


def broker_address(group: int, member: int) -> str:
    """Address of a broker, in the length that real ones have."""
    return f"10.{member}.{group // 250}.{group % 250}:10911"


def group_name(group: int) -> str:
    """Name of a group."""
    return f"broker-{group:03d}"


def route_of(groups: int) -> TopicRouteData:
    """The route of a topic that is on all groups."""
    names = [group_name(group) for group in range(groups)]
    addresses = [{member: broker_address(group, member) for member in range(MEMBERS)} for group in range(groups)]
    return TopicRouteData(
        [BrokerData(each, name, CLUSTER) for each, name in zip(addresses, names, strict=True)],
        [QueueData(name, 6, QUEUES, 0, QUEUES) for name in names],
    )


@contextlib.contextmanager
def nameserver(folder: Path) -> Iterator[tuple[str, int]]:
    """Run a NameServer for the time of a block; gives its address and its process."""
    port = free_block(1)
    file = folder / f"namesrv-{port}.conf"
    file.write_text(f"listenPort={port}\nkvConfigPath={folder}/kv-{port}.json\n")
    with (folder / f"namesrv-{port}.log").open("ab") as log:
        process = subprocess.Popen([PROGRAM, "run", "namesrv", "-c", file], stdout=log, stderr=log)
    try:
        address = f"127.0.0.1:{port}"
        wait_for(lambda: _answers(address), START_SECONDS, "a NameServer to listen")
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return ask(address, CLUSTER_INFO).code == 0
    except SpeakerError:
        return False


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, by the scheduler's nanoseconds."""
    return sum(use.cpu for use in threads(pid).values())


class Peer:
    """One connection that asks one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> "Peer":
        """Connect."""
        host, port = address.rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, code: int, fields: dict[str, str], body: bytes = b"") -> int:
        """Ask; gives the bytes of question and answer.

        Raises:
            RuntimeError: it is refused.
        """
        question = frame(code, fields, body)
        self._writer.write(question)
        length = int.from_bytes(await self._reader.readexactly(4))
        answer = parse_answer(await self._reader.readexactly(length))
        if answer.code != 0:
            raise RuntimeError(f"{code} was answered with {answer.code}: {answer.remark}")
        return len(question) + 4 + length

    def close(self) -> None:
        """Close."""
        self._writer.close()


class Crowd:
    """Brokers and clients of one NameServer.

    Args:
        address: of the NameServer.
        pid: its process.
        groups: of three brokers.
        clients: that poll this NameServer.
        topics: in all, each on every group.
    """

    def __init__(self, address: str, pid: int, groups: int, clients: int, topics: int) -> None:
        self._address = address
        self._pid = pid
        self._topics = [TOPIC.format(number) for number in range(topics)]
        self._members = [(group, member) for group in range(groups) for member in range(MEMBERS)]
        self._clients = clients
        self._brokers: list[Peer] = []
        self._pollers: list[Peer] = []

    async def come(self) -> float:
        """Connect, and register every broker; gives the CPU seconds that the NameServer took for it."""
        table = {
            topic: TopicConfig(topic_name=topic, read_queue_nums=QUEUES, write_queue_nums=QUEUES)
            for topic in self._topics
        }
        body = RegisterBrokerBody([], topic_table(table, VERSION)).encode()
        before = cpu_of(self._pid)
        self._brokers = await self._abreast([Peer.open(self._address) for _ in self._members])
        await self._abreast(
            [
                peer.ask(RequestCode.REGISTER_BROKER, _registration(*member, body), body)
                for peer, member in zip(self._brokers, self._members, strict=True)
            ]
        )
        self._pollers = await self._abreast([Peer.open(self._address) for _ in range(self._clients)])
        return cpu_of(self._pid) - before

    async def ask_all_routes(self) -> float:
        """Ask for every route once, as after a change: each is encoded and kept; gives the CPU seconds it took."""
        before = cpu_of(self._pid)
        for topic in self._topics:
            await self._pollers[0].ask(ROUTE, _route_fields(topic))
        return cpu_of(self._pid) - before

    async def live(self, seconds: float, ask_every: float | None, poll_every: float | None, routes: int) -> Asked:
        """Ask as brokers and clients do.

        Args:
            seconds: how long.
            ask_every: seconds between two questions of a broker; None for none.
            poll_every: seconds between two polls of a client; None for none.
            routes: topics of a client, one question each.
        """
        begin, before = time.monotonic(), cpu_of(self._pid)
        end = begin + seconds
        asks = [] if ask_every is None else self._asks(begin, end, ask_every)
        polls = [] if poll_every is None else self._polls(begin, end, poll_every, routes)
        counted = await asyncio.gather(*asks, *polls)
        used, took = cpu_of(self._pid) - before, time.monotonic() - begin
        of_asks, of_polls = counted[: len(asks)], counted[len(asks) :]
        return Asked(
            seconds=took,
            asks=sum(len(sizes) for sizes in of_asks),
            routes=sum(len(sizes) for sizes in of_polls),
            ask_bytes=sum(map(sum, of_asks)),
            route_bytes=sum(map(sum, of_polls)),
            cpu=used,
        )

    def leave(self) -> None:
        """Close every connection."""
        for peer in (*self._brokers, *self._pollers):
            peer.close()

    def _asks(self, begin: float, end: float, every: float) -> list[Coroutine[Any, Any, list[int]]]:
        body = VERSION.encode()
        return [
            _repeat(
                begin + every * at / len(self._brokers), end, every,
                [(peer, int(RequestCode.QUERY_DATA_VERSION), _identity(*member), body)],
            )
            for at, (peer, member) in enumerate(zip(self._brokers, self._members, strict=True))
        ]  # fmt: skip

    def _polls(self, begin: float, end: float, every: float, routes: int) -> list[Coroutine[Any, Any, list[int]]]:
        return [
            _repeat(
                begin + every * at / len(self._pollers), end, every,
                [
                    (peer, ROUTE, _route_fields(self._topics[(at * routes + each) % len(self._topics)]), b"")
                    for each in range(routes)
                ],
            )
            for at, peer in enumerate(self._pollers)
        ]  # fmt: skip

    async def _abreast(self, each: list[Coroutine[Any, Any, Any]]) -> list[Any]:
        done = []
        for at in range(0, len(each), ABREAST):
            done += await asyncio.gather(*each[at : at + ABREAST])
        return done


async def _repeat(
    first: float, end: float, every: float, questions: list[tuple[Peer, int, dict[str, str], bytes]]
) -> list[int]:
    """Ask at fixed times; gives the bytes of each."""
    sizes, due = [], first
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        for peer, code, fields, body in questions:
            sizes.append(await peer.ask(code, fields, body))
        due += every
    return sizes


def _identity(group: int, member: int) -> dict[str, str]:
    return {
        "brokerName": group_name(group),
        "brokerAddr": broker_address(group, member),
        "clusterName": CLUSTER,
        "brokerId": str(member),
    }


def _registration(group: int, member: int, body: bytes) -> dict[str, str]:
    return _identity(group, member) | {
        "haServerAddr": broker_address(group, member),
        "compressed": "false",
        "bodyCrc32": str(body_crc32(body)),
        # Longer than ours say: while costs are measured one by one, nobody keeps them alive.
        "heartbeatTimeoutMillis": "600000",
        "enableActingMaster": "false",
        "ternTerm": "1",
    }


def _route_fields(topic: str) -> dict[str, str]:
    return {"topic": topic, "acceptStandardJsonOnly": "true"}
