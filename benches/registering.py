"""Brokers as a NameServer sees them, each over a connection of its own: whole topic tables, questions, heartbeats."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from support.speaker import Answer, frame, read_answer
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.registration import RegisterBrokerBody, body_crc32
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table

_TIMEOUT_MS = "3600000"
_ANSWER_SECONDS = 60.0
_BEAT_SECONDS = 30.0
_BUSY = 2
_BUSY_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Shape:
    """Tables of all brokers.

    Args:
        brokers: how many, each a group of one.
        topics: different ones that there are.
        each: topics of a broker; fewer than all are a part that begins where the broker's before ends.
        spread: `range` for such parts, `random` for random ones, which no two topics have in common.
    """

    brokers: int
    topics: int
    each: int
    spread: Literal["range", "random"] = "range"

    def names(self) -> list[str]:
        """Name all topics."""
        return [f"orders-of-region-{number:05d}" for number in range(self.topics)]

    def names_of(self, broker: int) -> list[str]:
        """Name a broker's topics."""
        names = self.names()
        if self.spread == "random":
            # Another generator than `random` would do; this one is the same everywhere.
            ordered = sorted(range(self.topics), key=lambda topic: (topic * 2_654_435_761 + broker * 40_503) % 65_537)
            return [names[topic] for topic in sorted(ordered[: self.each])]
        begin = broker * self.each
        return [names[(begin + topic) % self.topics] for topic in range(self.each)]


@dataclass(frozen=True)
class Table:
    """A topic table with its version, encoded."""

    version: DataVersion
    body: bytes

    @classmethod
    def of(cls, names: Sequence[str], counter: int) -> "Table":
        """Make one."""
        version = DataVersion(counter, 1, counter)
        topics = {name: TopicConfig(topic_name=name, read_queue_nums=8, write_queue_nums=8) for name in names}
        return cls(version, RegisterBrokerBody([], topic_table(topics, version)).encode())


class SimulatedBroker:
    """One broker's connection to one NameServer, made with the first request.

    Args:
        number: which broker.
        nameserver: "host:port".
    """

    def __init__(self, number: int, nameserver: str) -> None:
        self._nameserver = nameserver
        self._peer: socket.socket | None = None
        self._fields = {
            "brokerName": f"broker-{number:03d}",
            "brokerAddr": f"10.1.{number // 250}.{number % 250}:10911",
            "clusterName": "bench",
            "brokerId": "0",
        }

    def register(self, table: Table) -> int:
        """Register, again as long as the NameServer is busy; gives how often it was.

        Raises:
            AssertionError: it was refused.
        """
        fields = self._fields | {
            "haServerAddr": "",
            "compressed": "false",
            "bodyCrc32": str(body_crc32(table.body)),
            "heartbeatTimeoutMillis": _TIMEOUT_MS,
            "enableActingMaster": "false",
            "ternTerm": "1",
        }
        busy = 0
        while True:
            answer = self._ask(RequestCode.REGISTER_BROKER, fields, table.body)
            if answer.code != _BUSY:
                assert answer.code == 0, answer.remark
                return busy
            busy += 1
            time.sleep(_BUSY_AGAIN_SECONDS)

    def is_changed(self, version: DataVersion) -> bool:
        """Ask whether it must register again."""
        answer = self._ask(RequestCode.QUERY_DATA_VERSION, self._fields, version.encode())
        assert answer.code == 0, answer.remark
        return answer.fields["changed"] == "true"

    def beat(self) -> None:
        """Send a heartbeat, or the NameServer closes the connection after two minutes."""
        assert self._ask(RequestCode.BROKER_HEARTBEAT, self._fields, b"").code == 0

    def close(self) -> None:
        """Leave."""
        if self._peer is not None:
            self._peer.close()

    def _ask(self, code: int, fields: dict[str, str], body: bytes) -> Answer:
        if self._peer is None:
            host, port = self._nameserver.rsplit(":", 1)
            self._peer = socket.create_connection((host, int(port)), 5.0)
            self._peer.settimeout(_ANSWER_SECONDS)
        self._peer.sendall(frame(code, fields, body))
        return read_answer(self._peer)


class SimulatedBrokers:
    """All brokers of a shape, connected to all NameServers.

    Args:
        shape: their tables.
        nameservers: "host:port" of each.
    """

    def __init__(self, shape: Shape, nameservers: Sequence[str]) -> None:
        self.shape = shape
        self.of = {where: [SimulatedBroker(at, where) for at in range(shape.brokers)] for where in nameservers}

    def register_all(self) -> int:
        """Register all of them everywhere, one after another at each NameServer; gives how often one was busy."""
        alike = Table.of(self.shape.names(), 1) if self.shape.each == self.shape.topics else None
        tables = [alike or Table.of(self.shape.names_of(at), 1) for at in range(self.shape.brokers)]
        busy: list[int] = []

        def at_one(brokers: list[SimulatedBroker]) -> None:
            beaten = time.monotonic()
            for at, (broker, table) in enumerate(zip(brokers, tables, strict=True)):
                busy.append(broker.register(table))
                if time.monotonic() - beaten > _BEAT_SECONDS:
                    beaten = time.monotonic()
                    for registered in brokers[:at]:
                        registered.beat()

        threads = [threading.Thread(target=at_one, args=(brokers,)) for brokers in self.of.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(busy) == self.shape.brokers * len(self.of), "a registration failed; see above"
        return sum(busy)

    def beat(self, nameservers: Sequence[str]) -> None:
        """Keep all connections to some NameServers."""
        for where in nameservers:
            for broker in self.of[where]:
                broker.beat()

    def close(self) -> None:
        """Close all connections."""
        for brokers in self.of.values():
            for broker in brokers:
                broker.close()
