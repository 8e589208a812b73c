"""Replicas with their engines and NameServers, all in one process: roles, registration, topics, hand-over, stop."""

import asyncio
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from support.ports import free_block
from support.speaker import CREATE_TOPIC, PULL, SEND, pull_fields, send_fields
from ternmq.broker import BrokerApp
from ternmq.config import BrokerConfig, Topology, broker_config, generate_topology, nameserver_config, read_broker_conf
from ternmq.errors import ConfigError, MQError
from ternmq.namesrv import NameServerApp
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.routes import decode_route
from ternmq.remoting import Answer, Endpoint, open_endpoint

pytestmark = pytest.mark.asyncio

CREATE = {"topic": "orders", "readQueueNums": "8", "writeQueueNums": "8", "perm": "6", "order": "false"}


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait for a condition; each look is a round trip, so the loop is not a busy one."""
    async with asyncio.timeout(seconds):
        while not await condition():
            pass


class Cluster:
    """NameServers and replicas of one topology."""

    def __init__(self, topology: Topology, client: Endpoint) -> None:
        self.topology = topology
        self.client = client
        self.nameservers = [NameServerApp(nameserver_config(topology, server.id)) for server in topology.nameserver]
        self.replicas: dict[str, BrokerApp] = {}

    @property
    def addresses(self) -> list[str]:
        return [server.listen for server in self.topology.nameserver]

    async def start_replicas(self, *configs: BrokerConfig) -> None:
        for config in configs:
            self.replicas[config.advertised] = BrokerApp(config)
        await asyncio.gather(*(self.replicas[config.advertised].start() for config in configs))

    async def stop(self) -> None:
        await asyncio.gather(*(replica.stop() for replica in self.replicas.values()))
        await asyncio.gather(*(server.stop() for server in self.nameservers))
        await self.client.close()

    async def ids(self, nameserver: str) -> dict[int, str]:
        answer = await self.client.call(nameserver, 106)
        groups = decode_cluster_info(answer.body).broker_addr_table
        return next(iter(groups.values())).broker_addrs if groups else {}

    async def agreed(self, complete: Callable[[dict[int, str]], bool]) -> dict[int, str]:
        """Wait until every NameServer shows the same replicas and they are complete."""
        seen: list[dict[int, str]] = []

        async def look() -> bool:
            seen[:] = [await self.ids(address) for address in self.addresses]
            return complete(seen[0]) and all(ids == seen[0] for ids in seen)

        await until(look)
        return seen[0]

    async def has_route(self, nameserver: str, topic: str) -> bool:
        answer = await self.client.call(nameserver, 105, {"topic": topic})
        return answer.code == 0 and decode_route(answer.body).queue_datas[0].write_queue_nums == 8


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    topology = generate_topology(tmp_path, groups=1, base_port=free_block(100))
    cluster = Cluster(topology, open_endpoint())
    await asyncio.gather(*(server.start() for server in cluster.nameservers))
    yield cluster
    await cluster.stop()


def three(cluster: Cluster) -> list[BrokerConfig]:
    return [broker_config(cluster.topology, f"group-a/n{number}") for number in range(3)]


def whole(ids: dict[int, str]) -> bool:
    return len(ids) == 3 and 0 in ids


async def test_a_group_elects_and_every_nameserver_shows_leader_and_followers(cluster: Cluster) -> None:
    configs = three(cluster)
    await cluster.start_replicas(*configs)
    ids = await cluster.agreed(whole)
    followers = {config.follower_broker_id(): config.advertised for config in configs if config.advertised != ids[0]}
    assert {number: address for number, address in ids.items() if number} == followers


async def test_only_the_leader_creates_a_topic_others_say_where_it_is(
    cluster: Cluster,
) -> None:
    await cluster.start_replicas(*three(cluster))
    ids = await cluster.agreed(whole)
    for number, address in ids.items():
        answer = await cluster.client.call(address, 17, CREATE)
        assert answer.code == (14 if number else 0)
        if number:
            assert answer.fields["leaderAddr"] == ids[0]
            assert int(answer.fields["leaderTerm"]) >= 1


class Gate:
    """Stands before a NameServer; while it is shut nothing passes to it, and `knocked` says that something wants to."""

    def __init__(self) -> None:
        self.address = ""
        self.knocked = asyncio.Event()
        self._opened = asyncio.Event()
        self._opened.set()
        self._server: asyncio.Server | None = None

    async def start(self, behind: str) -> None:
        host, port = behind.rsplit(":", 1)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
            back = asyncio.create_task(self._pass(inner_reader, writer))
            await self._pass(reader, inner_writer, held=True)
            await back

        self._server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def shut(self) -> None:
        self.knocked.clear()
        self._opened.clear()

    def open(self) -> None:
        self._opened.set()

    async def stop(self) -> None:
        assert self._server is not None
        self.open()
        self._server.close()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool = False) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if held:
                    self.knocked.set()
                    await self._opened.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_topic_is_answered_as_created_when_the_nameservers_have_it(cluster: Cluster) -> None:
    """Whoever creates a topic sends to it next, and finds it, as with Apache's brokers."""
    gate = Gate()
    await gate.start(cluster.addresses[2])
    servers = (*cluster.addresses[:2], gate.address)
    await cluster.start_replicas(*(dataclasses.replace(config, nameservers=servers) for config in three(cluster)))
    ids = await cluster.agreed(whole)
    for topic in ("first", "second"):
        gate.shut()
        creating = asyncio.create_task(cluster.client.call(ids[0], 17, CREATE | {"topic": topic}))
        await until(lambda topic=topic: cluster.has_route(cluster.addresses[0], topic))  # type: ignore[misc]
        await gate.knocked.wait()
        assert not creating.done()
        gate.open()
        assert (await creating).code == 0
        assert [await cluster.has_route(nameserver, topic) for nameserver in cluster.addresses] == [True] * 3
    for replica in cluster.replicas.values():
        await replica.stop()
    cluster.replicas.clear()
    await gate.stop()


async def test_groups_and_topics_pass_through_the_engine_and_back(cluster: Cluster) -> None:
    await cluster.start_replicas(*three(cluster))
    ids = await cluster.agreed(whole)

    async def ask(code: int, fields: dict[str, str] | None = None, body: dict[str, object] | None = None) -> Answer:
        return await cluster.client.call(ids[0], code, fields or {}, json.dumps(body).encode() if body else b"")

    policy = {"exponentialRetryPolicy": {"initial": 1000, "max": 60000, "multiplier": 3}, "type": "EXPONENTIAL"}
    group: dict[str, object] = {"groupName": "billing", "retryMaxTimes": 3, "groupRetryPolicy": policy}
    topics: dict[str, object] = {"topicConfigList": [{"topicName": name} for name in ("one", "two")]}
    assert (await ask(200, body=group)).code == 0
    assert (await ask(18, body=topics)).code == 0
    shown = json.loads((await ask(352, {"group": "billing"})).body)
    assert {name: shown[name] for name in group} == group
    pauses = {"customizedRetryPolicy": {"next": [1000, 5000]}, "type": "CUSTOMIZED"}
    assert (await ask(200, body={"groupName": "other", "groupRetryPolicy": pauses})).code == 0
    other = json.loads((await ask(352, {"group": "other"})).body)
    assert (other["groupRetryPolicy"], other["retryMaxTimes"]) == (pauses, 16)
    table = json.loads((await ask(201)).body)
    assert table["subscriptionGroupTable"]["billing"] == shown
    assert {"one", "two"} <= set(json.loads((await ask(21)).body)["topicConfigTable"])
    stats = await ask(202, {"topic": "one"})
    assert stats.body.count(b'"maxOffset":0') == 16
    assert (await ask(300, {"topic": "one"})).body == b'{"groupList":[]}'
    assert (await ask(204, {"producerGroup": "nobody"})).code == 1
    assert (await ask(207, {"groupName": "billing", "cleanOffset": "true"})).code == 0
    assert (await ask(215, {"topic": "one"})).code == 0
    assert (await ask(352, {"group": "billing"})).code == 26
    assert (await ask(351, {"topic": "one"})).code == 17


async def test_topics_beyond_the_limit_are_refused_to_operators_and_to_senders(cluster: Cluster) -> None:
    limited = [dataclasses.replace(config, max_topics=40) for config in three(cluster)]
    await cluster.start_replicas(*limited)
    ids = await cluster.agreed(whole)

    async def create(topic: str) -> Answer:
        return await cluster.client.call(ids[0], 17, CREATE | {"topic": topic})

    codes = [(await create(f"t{number}")).code for number in range(40)]
    there = codes.count(0)
    assert 0 < there < 40
    assert codes == [0] * there + [29] * (40 - there)
    refused = await create("one-more")
    sent = await cluster.client.call(ids[0], SEND, send_fields("by-use", 0, {}), b"m")
    assert (refused.code, sent.code) == (29, 17)
    for answer in (refused, sent):
        assert "the broker has 40 topics and the limit is 40" in (answer.remark or "")
        assert "max_topics" in (answer.remark or "")
    assert (await cluster.client.call(ids[0], 215, {"topic": "t0"})).code == 0
    assert (await cluster.client.call(ids[0], SEND, send_fields("by-use", 0, {}), b"m")).code == 0


async def test_leadership_is_handed_over_and_every_nameserver_shows_it(cluster: Cluster) -> None:
    configs = three(cluster)
    await cluster.start_replicas(*configs)
    before = await cluster.agreed(whole)
    target = next(config for config in configs if config.advertised != before[0])
    assert (await cluster.client.call(before[0], 30_002, {"member": target.member})).code == 0
    after = await cluster.agreed(lambda ids: whole(ids) and ids[0] == target.advertised)
    status = json.loads((await cluster.client.call(after[0], 30_001)).body)
    assert (status["role"], status["leader"]) == ("leader", target.member)


async def test_a_leader_that_stops_hands_over_and_says_where_to_before_it_goes(cluster: Cluster) -> None:
    await cluster.start_replicas(*three(cluster))
    before = await cluster.agreed(whole)
    old = before[0]
    assert (await cluster.client.call(old, 17, CREATE)).code == 0
    # The first pull makes its group.
    assert (await cluster.client.call(old, PULL, pull_fields("orders", 0, 0))).code == 19
    long_poll = pull_fields("orders", 0, 0) | {"sysFlag": "6", "suspendTimeoutMillis": "20000"}
    polling = asyncio.create_task(cluster.client.call(old, PULL, long_poll, timeout=30))
    said: list[Answer] = []

    async def refused() -> bool:
        said.append(await cluster.client.call(old, SEND, send_fields("orders", 1, {}), b"m"))
        return said[-1].code == 14 and "leaderAddr" in said[-1].fields

    stopping = asyncio.create_task(cluster.replicas.pop(old).stop())
    await until(refused)
    assert {answer.code for answer in said} <= {0, 14}, "nothing is uncertain"
    leader = said[-1].fields["leaderAddr"]
    assert leader in set(before.values()) - {old}
    answer = await polling
    assert (answer.code, answer.fields.get("leaderAddr")) == (14, leader), "nobody waits until the connection breaks"
    await stopping
    after = await cluster.agreed(lambda ids: len(ids) == 2 and 0 in ids)
    assert after[0] == leader


async def test_when_the_leader_stops_its_successor_knows_the_topics(cluster: Cluster) -> None:
    await cluster.start_replicas(*three(cluster))
    before = await cluster.agreed(whole)
    assert (await cluster.client.call(before[0], 17, CREATE)).code == 0
    await cluster.replicas.pop(before[0]).stop()
    after = await cluster.agreed(lambda ids: len(ids) == 2 and 0 in ids)
    assert after[0] != before[0]
    for nameserver in cluster.addresses:
        assert await cluster.has_route(nameserver, "orders")


async def test_all_replicas_restart_with_what_they_had(cluster: Cluster) -> None:
    configs = three(cluster)
    await cluster.start_replicas(*configs)
    ids = await cluster.agreed(whole)
    assert (await cluster.client.call(ids[0], 17, CREATE)).code == 0
    await asyncio.gather(*(cluster.replicas.pop(config.advertised).stop() for config in configs))
    assert await cluster.ids(cluster.addresses[0]) == {}
    await cluster.start_replicas(*configs)
    await cluster.agreed(whole)
    await until(lambda: cluster.has_route(cluster.addresses[2], "orders"), 5.0)


async def test_a_single_master_starts_from_an_apache_file(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "broker.conf"
    path.write_text(
        "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nbrokerRole=ASYNC_MASTER\n"
        f"flushDiskType=SYNC_FLUSH\nlistenPort={free_block(10) + 2}\nstorePathRootDir={tmp_path / 'store'}\n"
        "mappedFileSizeCommitLog=67108864\nfileReservedTime=48\ndeleteWhen=04\n"
    )
    await cluster.start_replicas(read_broker_conf(path, nameservers=";".join(cluster.addresses)).config)
    ids = await cluster.agreed(lambda ids: 0 in ids)
    assert (await cluster.client.call(ids[0], 17, CREATE)).code == 0
    assert (await cluster.client.call(ids[0], 28)).code == 0


async def test_names_of_todays_clusters_with_an_at_sign_and_a_dot_serve_messages(
    cluster: Cluster, tmp_path: Path
) -> None:
    path = tmp_path / "broker.conf"
    path.write_text(
        f"brokerClusterName=beijing.mq\nbrokerName=beijing@broker.v1\nlistenPort={free_block(10) + 2}\n"
        f"storePathRootDir={tmp_path / 'store'}\nmapedFileSizeCommitLog=67108864\n"
    )
    await cluster.start_replicas(read_broker_conf(path, nameservers=";".join(cluster.addresses)).config)
    ids = await cluster.agreed(lambda ids: 0 in ids)
    assert (await cluster.client.call(ids[0], CREATE_TOPIC, CREATE)).code == 0
    await until(lambda: cluster.has_route(cluster.addresses[0], "orders"))
    assert (await cluster.client.call(ids[0], SEND, send_fields("orders", 0, {}), b"m")).code == 0
    pulled = await cluster.client.call(ids[0], PULL, pull_fields("orders", 0, 0))
    assert pulled.code == 0
    assert b"m" in pulled.body


async def test_a_broker_says_that_an_address_is_a_brokers_and_registers_with_the_others(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    configs = three(cluster)
    # Each is told that the first replica, too, is a NameServer.
    stranger = configs[0].advertised
    await cluster.start_replicas(
        *(dataclasses.replace(config, nameservers=(*config.nameservers, stranger)) for config in configs)
    )
    await cluster.agreed(whole)

    async def said() -> bool:
        await asyncio.sleep(0)
        return sum(f"{stranger} is a broker, not a NameServer" in line for line in caplog.messages) >= 3

    await until(said)


async def test_runtime_information_counts_what_clients_put_and_take(cluster: Cluster) -> None:
    await cluster.start_replicas(*three(cluster))
    ids = await cluster.agreed(whole)
    assert (await cluster.client.call(ids[0], CREATE_TOPIC, CREATE)).code == 0

    async def table(broker_id: int) -> dict[str, str]:
        runtime = await cluster.client.call(ids[broker_id], 28)
        shown: dict[str, str] = json.loads(runtime.body)["table"]
        return shown

    assert (await table(0))["earliestMessageTimeStamp"] == "-1"
    before_ms = time.time_ns() // 1_000_000
    for properties in ({}, {}, {"DELAY": "18"}):
        sent = await cluster.client.call(ids[0], SEND, send_fields("orders", 0, properties), b"m" * 100)
        assert sent.code == 0
    for queue_offset in (0, 2):
        await cluster.client.call(ids[0], PULL, pull_fields("orders", 0, queue_offset))
    shown = await table(0)
    assert shown["brokerActive"] == "true"
    assert (shown["msgPutTotalTodayNow"], shown["msgGetTotalTodayNow"]) == ("3", "2")
    assert float(shown["putMessageAverageSize"]) > 100
    assert before_ms <= int(shown["earliestMessageTimeStamp"]) <= time.time_ns() // 1_000_000
    assert shown["scheduleMessageOffset_18"] == "0,1"

    async def rated() -> bool:
        rates = await table(0)
        return all(float(rates[name].split()[2]) > 0 for name in ("putTps", "getTransferredTps", "getMissTps"))

    await until(rated)
    # Nobody sends to a follower. A follower's id is its place in the group plus one: 1 is free while the first leads.
    follower = next(broker_id for broker_id in ids if broker_id)
    assert (await table(follower))["msgPutTotalTodayNow"] == "0"


async def test_a_taken_port_is_named_with_the_setting_that_changes_it(cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="change listen of ns1"):
        await NameServerApp(nameserver_config(cluster.topology, "ns1")).start()
    configs = three(cluster)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", configs[0].port)
    async with server:
        with pytest.raises(ConfigError, match=f"{configs[0].port}"):
            await BrokerApp(configs[0]).start()


async def test_a_replica_that_waits_for_its_group_refuses_with_14_before_it_serves(cluster: Cluster) -> None:
    """One member of a new group founds nothing; an operator gets an answer all the same."""
    config = three(cluster)[0]
    await cluster.start_replicas(config)
    answers: list[Answer] = []

    async def answered() -> bool:
        try:
            answers.append(await cluster.client.call(config.advertised, 17, CREATE, timeout=1.0))
        except MQError:
            return False
        return True

    await until(answered)
    assert answers[0].code == 14
    assert await cluster.ids(cluster.addresses[0]) == {}
