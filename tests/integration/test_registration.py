"""A replica keeps itself registered with every NameServer: at once on a change, again where one forgot it.

The NameServers and the transport are the real ones; only what the replica has to say is set by the test.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from ternmq.broker.registration import Registrar, RegistrationState, ReplicaIdentity
from ternmq.config import NameServerConfig
from ternmq.errors import MQError
from ternmq.namesrv import NameServerApp
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.routes import TopicRouteData, decode_route
from ternmq.protocol.topics import DataVersion, TopicConfig
from ternmq.remoting import Endpoint, open_endpoint

pytestmark = pytest.mark.asyncio

SELF = "127.0.0.1:10911"
OTHER = "127.0.0.1:10921"


class Cluster:
    """Three NameServers that can be stopped and started, and a client."""

    def __init__(self, folder: Path, client: Endpoint) -> None:
        self.folder = folder
        self.client = client
        self.apps: dict[int, NameServerApp] = {}
        self.ports = [0, 0, 0]

    async def start(self, number: int) -> None:
        data = self.folder / str(number)
        app = NameServerApp(
            NameServerConfig(
                f"ns{number}", "127.0.0.1", self.ports[number], data, data / "kv.json", scan_interval_ms=100
            )
        )
        await app.start()
        self.ports[number] = app.port
        self.apps[number] = app

    async def stop(self, number: int) -> None:
        await self.apps.pop(number).stop()

    def address(self, number: int) -> str:
        return f"127.0.0.1:{self.ports[number]}"

    @property
    def addresses(self) -> list[str]:
        return [self.address(number) for number in range(3)]

    async def route(self, number: int, topic: str = "T") -> TopicRouteData | None:
        try:
            answer = await self.client.call(self.address(number), 105, {"topic": topic})
        except MQError:
            return None
        return decode_route(answer.body) if answer.code == 0 else None

    async def ids(self, number: int) -> dict[int, str]:
        answer = await self.client.call(self.address(number), 106)
        return {
            broker_id: address
            for data in decode_cluster_info(answer.body).broker_addr_table.values()
            for broker_id, address in data.broker_addrs.items()
        }

    async def everywhere(self, expected: dict[int, str]) -> None:
        for number in self.apps:
            await until(lambda number=number: self._shows(number, expected))  # type: ignore[misc]

    async def _shows(self, number: int, expected: dict[int, str]) -> bool:
        return await self.ids(number) == expected


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait for a condition; each look is a round trip, so the loop is not a busy one."""
    async with asyncio.timeout(seconds):
        while not await condition():
            pass


class Replica:
    """What a replica has to say, set by the test."""

    def __init__(self, endpoint: Endpoint, nameservers: list[str], address: str = SELF) -> None:
        self.endpoint = endpoint
        self.standing: RegistrationState | None = None
        self.registrar = Registrar(
            endpoint, nameservers, ReplicaIdentity("c", "g", address, "h:1"), lambda: self.standing, self.topic
        )

    def topic(self, name: str) -> TopicConfig | None:
        return self.standing.topics.get(name) if self.standing is not None else None

    def says(self, broker_id: int, term: int, *topics: str) -> None:
        table = {name: TopicConfig(topic_name=name) for name in topics or ("T", "U")}
        self.standing = RegistrationState(broker_id, term, DataVersion(len(table), term, 0), table)
        self.registrar.changed()


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    client = open_endpoint()
    cluster = Cluster(tmp_path, client)
    for number in range(3):
        await cluster.start(number)
    yield cluster
    for number in list(cluster.apps):
        await cluster.stop(number)
    await client.close()


@pytest_asyncio.fixture
async def replica(cluster: Cluster) -> AsyncIterator[Replica]:
    endpoint = open_endpoint()
    replica = Replica(endpoint, cluster.addresses)
    replica.registrar.start()
    yield replica
    await replica.registrar.stop()
    await endpoint.close()


async def test_a_new_role_is_everywhere_within_a_moment(cluster: Cluster, replica: Replica) -> None:
    replica.says(1, 1)
    await cluster.everywhere({1: SELF})
    began = asyncio.get_running_loop().time()
    replica.says(0, 2)
    await cluster.everywhere({0: SELF})
    # Far below the two seconds after which it would have asked anyway.
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_nothing_is_registered_before_there_is_something_to_serve(cluster: Cluster, replica: Replica) -> None:
    replica.registrar.changed()
    await cluster.everywhere({})
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})


async def test_a_new_topic_is_in_every_route_at_once(cluster: Cluster, replica: Replica) -> None:
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    replica.says(0, 1, "T", "U", "V")
    for number in range(3):
        await until(lambda number=number: has_route(cluster, number, "V"), 1.0)  # type: ignore[misc]


async def test_what_is_shown_is_at_every_nameserver_that_is_in_order(cluster: Cluster, replica: Replica) -> None:
    replica.says(0, 1, "T", "U")
    assert await replica.registrar.wait_registered(30.0)
    replica.says(0, 1, "T", "U", "V")
    assert await replica.registrar.wait_registered(30.0)
    assert [await has_route(cluster, number, "V") for number in range(3)] == [True] * 3
    assert await replica.registrar.wait_registered(30.0)
    await cluster.stop(0)
    await cluster.stop(2)
    replica.says(0, 1, "T", "U", "V", "W")
    assert await replica.registrar.wait_registered(30.0)
    assert await has_route(cluster, 1, "W")


async def test_a_nameserver_that_never_answers_holds_up_nobody_beyond_the_time_given(cluster: Cluster) -> None:
    connected: list[asyncio.StreamWriter] = []
    mute = await asyncio.start_server(lambda _, writer: connected.append(writer), "127.0.0.1", 0)
    endpoint = open_endpoint()
    address = f"127.0.0.1:{mute.sockets[0].getsockname()[1]}"
    replica = Replica(endpoint, [*cluster.addresses, address])
    replica.registrar.start()
    replica.says(0, 1)
    await until(lambda: has_route(cluster, 2, "T"))
    assert not await replica.registrar.wait_registered(0.1)
    assert connected
    await endpoint.close()
    await replica.registrar.stop()
    for writer in connected:
        writer.close()
    mute.close()
    await mute.wait_closed()


async def has_route(cluster: Cluster, number: int, topic: str) -> bool:
    return await cluster.route(number, topic) is not None


async def test_a_restarted_empty_nameserver_has_the_table_within_seconds(cluster: Cluster, replica: Replica) -> None:
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    await cluster.stop(1)
    await cluster.start(1)
    await until(lambda: has_route(cluster, 1, "T"), 3.0)


@pytest.mark.parametrize("alive", [0, 1, 2])
async def test_two_dead_nameservers_hold_up_nothing_at_the_third(
    cluster: Cluster, replica: Replica, alive: int
) -> None:
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    for number in {0, 1, 2} - {alive}:
        await cluster.stop(number)
    replica.says(2, 2)
    await until(lambda: shows(cluster, alive, {2: SELF}), 1.0)


async def shows(cluster: Cluster, number: int, expected: dict[int, str]) -> bool:
    return await cluster.ids(number) == expected


async def test_a_nameserver_that_forgot_a_replica_behind_its_back_has_it_again(
    cluster: Cluster, replica: Replica
) -> None:
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    fields = {"brokerName": "g", "brokerAddr": SELF, "clusterName": "c", "brokerId": "0"}
    await cluster.client.call(cluster.address(1), 104, fields)
    assert await cluster.ids(1) == {}
    await until(lambda: shows(cluster, 1, {0: SELF}), 4.0)


async def test_a_deposed_leader_is_refused_and_steps_back_when_it_learns_of_it(
    cluster: Cluster, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = open_endpoint()
    newer = Replica(endpoint, cluster.addresses, OTHER)
    newer.registrar.start()
    newer.says(0, 5)
    await cluster.everywhere({0: OTHER})
    replica.says(0, 4)

    async def refused_everywhere() -> bool:
        await cluster.ids(0)
        return sum("refused id 0 in term 4" in message for message in caplog.messages) == 3

    await until(refused_everywhere)
    await cluster.everywhere({0: OTHER})
    replica.says(1, 5)
    await cluster.everywhere({0: OTHER, 1: SELF})
    await newer.registrar.stop()
    await cluster.everywhere({1: SELF})
    await endpoint.close()


async def test_a_replica_that_stops_is_gone_at_once(cluster: Cluster, replica: Replica) -> None:
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    await replica.registrar.stop()
    await cluster.everywhere({})


async def test_a_replica_whose_process_dies_is_gone_with_its_connection(cluster: Cluster) -> None:
    endpoint = open_endpoint()
    replica = Replica(endpoint, cluster.addresses)
    replica.registrar.start()
    replica.says(0, 1)
    await cluster.everywhere({0: SELF})
    await endpoint.close()
    await cluster.everywhere({})
    await replica.registrar.stop()
