"""NameServers and broker groups in memory: enough of a broker to show what a client does, and faults on demand."""

import asyncio
import json
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

from support.memory.network import Exchange, MemoryNetwork, MemoryTransport, Server

MAGIC = 0xDAA320A7
BORN_MS = 1_700_000_000_000
LEVELS = (1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200)
LOCK_SECONDS = 60.0


@dataclass
class Stored:
    """One message in a queue."""

    body: bytes
    properties: str
    sys_flag: int
    stored_ms: int
    flag: int = 0
    reconsume_times: int = 0
    physical_offset: int = 0


@dataclass
class Group:
    """What the members of a group agree on: one log, one leader or none."""

    name: str
    addresses: list[str]
    leader: str | None
    term: int = 1
    queues: dict[tuple[str, int], list[Stored]] = field(default_factory=lambda: defaultdict(list))
    topics: dict[str, int] = field(default_factory=dict)
    offsets: dict[tuple[str, str, int], int] = field(default_factory=dict)
    commits: list[tuple[str, str, int, int]] = field(default_factory=list)
    locks: dict[tuple[str, str, int], tuple[str, float]] = field(default_factory=dict)
    places: list[tuple[str, int, int]] = field(default_factory=list)  # by physical offset / 1000


class NameServer(Server):
    """Shows the groups that registered with it."""

    def __init__(self) -> None:
        self.shown: dict[str, dict[int, str]] = {}
        self.topics: dict[str, dict[str, int]] = {}  # topic to broker name to queues
        self.perms: dict[str, int] = {"TBW102": 7}

    def request(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        if code == 105:
            self._route(exchange, fields["topic"])
        elif code == 106:
            table = {name: self._broker_data(name) for name in self.shown}
            clusters = {"c": sorted(self.shown)} if self.shown else {}
            exchange.answer(body=json.dumps({"brokerAddrTable": table, "clusterAddrTable": clusters}).encode())
        elif code == 206:
            exchange.answer(body=json.dumps({"topicList": sorted(self.topics)}).encode())
        else:
            exchange.answer(3)

    def _route(self, exchange: Exchange, topic: str) -> None:
        groups = {name: count for name, count in self.topics.get(topic, {}).items() if name in self.shown}
        if not groups:
            exchange.answer(17, remark="No topic route info")
            return
        perm = self.perms.get(topic, 6)
        data = {
            "brokerDatas": [self._broker_data(name) for name in groups],
            "queueDatas": [
                {"brokerName": name, "perm": perm, "readQueueNums": count, "writeQueueNums": count, "topicSysFlag": 0}
                for name, count in groups.items()
            ],
            "filterServerTable": {},
        }
        exchange.answer(body=json.dumps(data).encode())

    def _broker_data(self, name: str) -> dict[str, object]:
        return {"brokerName": name, "cluster": "c", "brokerAddrs": {str(k): v for k, v in self.shown[name].items()}}


class Broker(Server):
    """One replica of a group."""

    def __init__(self, cluster: "MemoryCluster", group: Group, address: str) -> None:
        self.cluster = cluster
        self.group = group
        self.address = address
        self.send_codes: list[int] = []  # answers to the next sends instead of storing; 0 stores and does not answer
        self.back_codes: list[int] = []  # answers to the next send-backs
        self.notice_seconds = 0.0  # until members hear of a change
        self.suggests = 0  # broker id that answers to pulls name
        self.back_seconds = 0.0  # from taking a message back to the answer
        self.members: dict[str, dict[str, MemoryTransport]] = defaultdict(dict)
        self.held: list[tuple[Exchange, dict[str, str]]] = []
        self.said: dict[tuple[str, str], dict[str, object]] = {}  # by group and client id
        self.last_said: dict[str, dict[str, str]] = {}  # by group, as a broker of Apache's remembers it
        self.heartbeats: list[dict[str, object]] = []

    @property
    def leads(self) -> bool:
        return self.group.leader == self.address

    def request(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        if code == 34:
            self._heartbeat(exchange, json.loads(body))
        elif code == 35:
            self._leave(fields["clientID"], fields.get("consumerGroup"))
            exchange.answer()
        elif code == 11:
            self._pull(exchange, fields)
        elif not self.leads:
            self._refuse(exchange)
        else:
            self._lead(exchange, code, fields, body)

    def disconnected(self, transport: MemoryTransport) -> None:
        changed = False
        for members in self.members.values():
            for client, connection in tuple(members.items()):
                if connection is transport:
                    del members[client]
                    changed = True
        self.held = [(exchange, fields) for exchange, fields in self.held if exchange.transport is not transport]
        if changed:
            self._notify_all()

    def wake(self, topic: str, queue_id: int) -> None:
        """Answer the polls that wait for a queue."""
        ready = [(e, f) for e, f in self.held if (f["topic"], int(f["queueId"])) == (topic, queue_id)]
        self.held = [pair for pair in self.held if pair not in ready]
        for exchange, fields in ready:
            self._pull(exchange, fields)

    # -- what only a leader does --

    def _lead(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        if code in (310, 320):
            self._send(exchange, fields, body)
        elif code in (14, 29, 30, 31) and fields["topic"] not in self.group.topics:
            exchange.answer(17, remark=f"topic[{fields['topic']}] not exist")
        elif code == 14:
            key = (fields["consumerGroup"], fields["topic"], int(fields["queueId"]))
            stored = self.group.offsets.get(key)
            if stored is None and fields.get("setZeroIfNotFound") != "false":
                stored = 0  # as Java answers for a queue whose first message is still in memory
            exchange.answer(*((22, {}) if stored is None else (0, {"offset": str(stored)})))
        elif code == 15:
            key = (fields["consumerGroup"], fields["topic"], int(fields["queueId"]))
            self.group.offsets[key] = int(fields["commitOffset"])
            self.group.commits.append((*key, int(fields["commitOffset"])))
            exchange.answer()
        elif code in (29, 30, 31):
            queue = self.group.queues[fields["topic"], int(fields["queueId"])]
            at = {30: len(queue), 31: 0}.get(code)
            if at is None:
                at = next((i for i, m in enumerate(queue) if m.stored_ms >= int(fields["timestamp"])), len(queue))
            exchange.answer(fields={"offset": str(at)})
        elif code == 36 and self.cluster.knows_send_back:
            self._send_back(exchange, fields)
        elif code in (41, 42) and self.cluster.knows_locks:
            self._lock(exchange, code, json.loads(body))
        elif code == 38:
            members = sorted(self.members[fields["consumerGroup"]])
            if members:
                answer: dict[str, object] = {"consumerIdList": members}
                if self.cluster.tells_subscriptions and "withSubscriptions" in fields:
                    answer["setOfConsumer"] = list(range(len(members)))
                    answer["subscriptionSets"] = [self.said[fields["consumerGroup"], member] for member in members]
                exchange.answer(body=json.dumps(answer).encode())
            else:
                exchange.answer(1, remark="no consumer for this group")
        elif code == 30003 and self.cluster.makes_topics:
            topic, queues = fields["topic"], min(self.group.topics["TBW102"], int(fields["queues"]))
            if self.group.topics.setdefault(topic, queues) == queues:
                self.cluster.register(self.group.name)
            exchange.answer()
        elif code == 203:
            said = self.last_said.get(fields["consumerGroup"], {})
            table = {topic: {"topic": topic, "subString": tags} for topic, tags in said.items()}
            exchange.answer(body=json.dumps({"connectionSet": [], "subscriptionTable": table}).encode())
        elif code == 17:
            self.group.topics[fields["topic"]] = int(fields["writeQueueNums"])
            asyncio.get_running_loop().call_later(self.cluster.registers_after, self.cluster.register, self.group.name)
            exchange.answer()
        else:
            exchange.answer(3)

    def _send(self, exchange: Exchange, fields: dict[str, str], body: bytes) -> None:
        refusal = self.send_codes.pop(0) if self.send_codes else None
        if refusal:
            exchange.answer(refusal, remark="as the test asked")
            return
        topic, number = fields["b"], int(fields["e"])
        named = _properties(fields["i"])
        if topic.startswith("%RETRY%"):
            self._send_retry(exchange, fields, body, named)
            return
        if "DELAY" in named:
            level = int(named.pop("DELAY"))
            stored = Stored(body, _text(named), int(fields["f"]), virtual_wall_clock_ms())
            self._store_later(level, topic, number, stored)
            exchange.answer(fields={"msgId": "0", "queueId": str(number), "queueOffset": "0"})
            return
        if topic not in self.group.topics:
            self.group.topics[topic] = min(self.group.topics[fields["c"]], int(fields["d"]))
            asyncio.get_running_loop().call_later(self.cluster.registers_after, self.cluster.register, self.group.name)
        items = list(_batch_items(body)) if fields["m"] == "true" else [(body, fields["i"])]
        first = len(self.group.queues[topic, number])
        for content, properties in items:
            self._store(topic, number, Stored(content, properties, int(fields["f"]), 0, int(fields["h"])))
        if refusal is None:
            exchange.answer(fields={"msgId": "0", "queueId": str(number), "queueOffset": str(first)})

    def _store(self, topic: str, number: int, stored: Stored) -> None:
        stored.stored_ms = virtual_wall_clock_ms()
        queue = self.group.queues[topic, number]
        self.group.places.append((topic, number, len(queue)))
        stored.physical_offset = 1000 * len(self.group.places)
        queue.append(stored)
        for address in self.group.addresses:
            replica = self.cluster.brokers.get(address)
            if replica is not None:
                replica.wake(topic, number)

    def _store_later(self, level: int, topic: str, number: int, stored: Stored) -> None:
        self.cluster.delays.append(level)
        asyncio.get_running_loop().call_later(LEVELS[level - 1], self._store, topic, number, stored)

    def _send_back(self, exchange: Exchange, fields: dict[str, str]) -> None:
        refusal = self.back_codes.pop(0) if self.back_codes else 0
        if refusal:
            exchange.answer(refusal, remark="as the test asked")
            return
        topic, number, index = self.group.places[int(fields["offset"]) // 1000 - 1]
        stored = self.group.queues[topic, number][index]
        named = _properties(stored.properties)
        if "RETRY_TOPIC" not in named:
            named |= {"RETRY_TOPIC": topic, "TERNMQ_ORIGIN_QUEUE": f"{self.group.name}:{number}:{index}"}
        named.setdefault("ORIGIN_MESSAGE_ID", fields["originMsgId"])
        if "reason" in fields:
            named["TERNMQ_DEAD_LETTER_REASON"] = fields["reason"]
        times = max(stored.reconsume_times + 1, int(fields.get("attempts", "0")))
        again = replace(stored, properties=_text(named), reconsume_times=times)
        level, most = int(fields["delayLevel"]), int(fields["maxReconsumeTimes"])
        if level < 0 or stored.reconsume_times >= most:
            self._store(f"%DLQ%{fields['group']}", 0, again)
        else:
            self._make_retry_topic(fields["group"])
            self._store_later(level or min(18, 3 + stored.reconsume_times), f"%RETRY%{fields['group']}", 0, again)
        asyncio.get_running_loop().call_later(self.back_seconds, exchange.answer)

    def _send_retry(self, exchange: Exchange, fields: dict[str, str], body: bytes, named: dict[str, str]) -> None:
        group = fields["b"].removeprefix("%RETRY%")
        level, times = int(named.pop("DELAY", "0")), int(fields["j"])
        stored = Stored(body, _text(named), int(fields["f"]), 0, int(fields["h"]), times)
        if times > int(fields["l"]):
            self._store(f"%DLQ%{group}", 0, stored)
        else:
            self._make_retry_topic(group)
            self._store_later(level, fields["b"], 0, stored)
        exchange.answer(fields={"msgId": "0", "queueId": "0", "queueOffset": "0"})

    def _make_retry_topic(self, group: str) -> None:
        topic = f"%RETRY%{group}"
        if topic not in self.group.topics and self.cluster.knows_send_back:
            self.group.topics[topic] = 1
            asyncio.get_running_loop().call_later(self.cluster.registers_after, self.cluster.register, self.group.name)

    def _lock(self, exchange: Exchange, code: int, request: dict[str, Any]) -> None:
        locks, now, client = self.group.locks, asyncio.get_running_loop().time(), request["clientId"]
        granted = []
        for queue in request["mqSet"]:
            key = (request["consumerGroup"], queue["topic"], queue["queueId"])
            holder, since = locks.get(key, ("", 0.0))
            if code == 42:
                if holder == client:
                    del locks[key]
            elif holder in ("", client) or since + LOCK_SECONDS <= now:
                locks[key] = (client, now)
                granted.append(queue)
        exchange.answer(body=json.dumps({"lockOKMQSet": granted}).encode() if code == 41 else b"")

    def _refuse(self, exchange: Exchange) -> None:
        hint = {"leaderAddr": self.group.leader, "leaderTerm": str(self.group.term)} if self.group.leader else {}
        exchange.answer(14, hint, remark="not the leader")

    # -- what every replica does --

    def _pull(self, exchange: Exchange, fields: dict[str, str]) -> None:
        topic, number, at = fields["topic"], int(fields["queueId"]), int(fields["queueOffset"])
        queue = self.group.queues[topic, number]
        offsets = {"minOffset": "0", "maxOffset": str(len(queue)), "suggestWhichBrokerId": str(self.suggests)}
        if at > len(queue) and self.leads:
            exchange.answer(21, {**offsets, "nextBeginOffset": str(len(queue))})
        elif at >= len(queue):
            self.held.append((exchange, fields))
            wait = int(fields["suspendTimeoutMillis"]) / 1000
            asyncio.get_running_loop().call_later(
                wait, self._end_hold, exchange, {**offsets, "nextBeginOffset": str(at)}
            )
        else:
            last = min(len(queue), at + int(fields["maxMsgNums"]))
            body = b"".join(encode_record(topic, number, index, queue[index]) for index in range(at, last))
            exchange.answer(0, {**offsets, "nextBeginOffset": str(last)}, body)

    def _end_hold(self, exchange: Exchange, fields: dict[str, str]) -> None:
        if any(held is exchange for held, _ in self.held):
            self.held = [pair for pair in self.held if pair[0] is not exchange]
            exchange.answer(19, fields)

    def _heartbeat(self, exchange: Exchange, data: dict[str, object]) -> None:
        self.heartbeats.append(data)
        client = str(data["clientID"])
        changed = False
        for entry in data["consumerDataSet"]:  # type: ignore[attr-defined]
            members = self.members[entry["groupName"]]
            reads = {read["topic"]: read["subString"] for read in entry["subscriptionDataSet"]}
            said = {"sharesByTopic": entry.get("sharesByTopic", False), "subscriptions": reads}
            self.last_said[entry["groupName"]] = reads
            changed |= client not in members or self.said[entry["groupName"], client] != said
            members[client] = exchange.transport
            self.said[entry["groupName"], client] = said
            makes = self.leads and self.cluster.heartbeats_make_retry_topics
            if makes and any(read["topic"].startswith("%RETRY%") for read in entry["subscriptionDataSet"]):
                self._make_retry_topic(entry["groupName"])
        exchange.answer()
        if changed:
            self._notify_all()

    def _leave(self, client: str, group: str | None) -> None:
        if group is not None and self.members[group].pop(client, None) is not None:
            self._notify_all()

    def _notify_all(self) -> None:
        if self.leads:
            call_later = asyncio.get_running_loop().call_later
            for group, members in self.members.items():
                for transport in members.values():
                    fields = {"consumerGroup": group}
                    call_later(self.notice_seconds, self.cluster.network.push, transport, self.address, 40, fields)


class MemoryCluster:
    """NameServers ``ns1:1`` ... and groups ``a``, ``b`` ... of three replicas ``a0:1`` ...; the first replica leads."""

    def __init__(self, *, nameservers: int = 1, groups: int = 1) -> None:
        self.network = MemoryNetwork()
        self.nameservers: dict[str, NameServer] = {}
        self.groups: dict[str, Group] = {}
        self.brokers: dict[str, Broker] = {}
        self.knows_send_back = True
        self.knows_locks = True
        self.makes_topics = True  # as ours do, on request and without a send
        self.tells_subscriptions = True  # False as Apache's brokers
        self.heartbeats_make_retry_topics = True
        self.delays: list[int] = []  # levels of all that was delayed
        self.registers_after = 0.2  # seconds from the creation of a topic until the NameServers show it
        for number in range(nameservers):
            self.start_nameserver(f"ns{number + 1}:1")
        for letter in "abcdefgh"[:groups]:
            addresses = [f"{letter}{number}:1" for number in range(3)]
            self.groups[letter] = Group(letter, addresses, addresses[0])
            for address in addresses:
                self.start_broker(letter, address)
            self.register(letter)
        self.create_topic("TBW102", 8)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Addresses of the NameServers."""
        return tuple(self.nameservers)

    def start_nameserver(self, address: str) -> NameServer:
        """A NameServer that knows nothing yet."""
        server = self.nameservers[address] = NameServer()
        self.network.servers[address] = server
        return server

    def start_broker(self, group: str, address: str) -> None:
        """A replica, new or again."""
        broker = self.brokers[address] = Broker(self, self.groups[group], address)
        self.network.servers[address] = broker

    def register(self, group: str, nameservers: tuple[str, ...] | None = None) -> None:
        """Show a group's members and topics at NameServers, the leader as id 0."""
        state = self.groups[group]
        shown = {0: state.leader} if state.leader is not None else {}
        for number, address in enumerate(state.addresses):
            if address != state.leader and address in self.brokers:
                shown[number + 1] = address
        for name in nameservers or tuple(self.nameservers):
            server = self.nameservers[name]
            server.shown[group] = shown
            for topic, count in state.topics.items():
                server.topics.setdefault(topic, {})[group] = count

    def create_topic(self, topic: str, queues: int, groups: list[str] | None = None) -> None:
        """A topic on some groups, or all; registered at once."""
        for name in groups if groups is not None else self.groups:
            self.groups[name].topics[topic] = queues
            self.register(name)

    def kill(self, address: str) -> None:
        """End a process; a dead leader leaves its group without one."""
        broker = self.brokers.pop(address, None)
        if broker is not None and broker.group.leader == address:
            broker.group.leader = None
        self.network.kill(address)

    def stop(self, address: str) -> None:
        """Stop a process as SIGSTOP does: connections stay open, nothing is answered."""
        self.network.stopped.add(address)

    def elect(self, group: str, address: str, *, register: bool = True) -> None:
        """Make a replica the leader; with `register` the NameServers know at once."""
        state = self.groups[group]
        state.leader = address
        state.term += 1
        if register:
            self.register(group)

    def bodies(self, topic: str) -> list[bytes]:
        """Bodies stored on all groups, queue by queue."""
        return [
            stored.body
            for group in self.groups.values()
            for (name, _), queue in sorted(group.queues.items())
            for stored in queue
            if name == topic
        ]


def virtual_wall_clock_ms() -> int:
    """What every clock of the cluster and its clients shows."""
    return BORN_MS + round(asyncio.get_running_loop().time() * 1000)


def encode_record(topic: str, queue_id: int, queue_offset: int, stored: Stored) -> bytes:
    """One message record of version 1, as a pull answer carries it."""
    name, properties = topic.encode(), stored.properties.encode()
    host = bytes((127, 0, 0, 1)) + struct.pack(">i", 10911)
    rest = struct.pack(
        ">Iiiiqqiq8sq8siqi",
        MAGIC, zlib.crc32(stored.body) & 0x7FFFFFFF, queue_id, stored.flag, queue_offset, stored.physical_offset,
        stored.sys_flag, BORN_MS, host, stored.stored_ms, host, stored.reconsume_times, 0, len(stored.body),
    )  # fmt: skip
    rest += stored.body + bytes((len(name),)) + name + struct.pack(">h", len(properties)) + properties
    return struct.pack(">i", len(rest) + 4) + rest


def _properties(text: str) -> dict[str, str]:
    pairs = (pair.partition("\x01") for pair in text.split("\x02") if pair)
    return {name: value for name, _, value in pairs}


def _text(named: dict[str, str]) -> str:
    return "".join(f"{name}\x01{value}\x02" for name, value in named.items())


def _batch_items(body: bytes) -> list[tuple[bytes, str]]:
    items, at = [], 0
    while at < len(body):
        size, _, _, _, length = struct.unpack_from(">iiiii", body, at)
        content = body[at + 20 : at + 20 + length]
        (named,) = struct.unpack_from(">h", body, at + 20 + length)
        properties = body[at + 22 + length : at + 22 + length + named].decode()
        items.append((content, properties))
        at += size
    return items
