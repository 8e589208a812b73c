"""Topics and cluster views."""

import pytest

from support.memory.client import connect
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.errors import AlreadyExistsError, ConfigError, NotFoundError, RouteNotFoundError, UnreachableError


def test_a_topic_is_created_on_every_group_and_shown_when_the_call_returns() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=3)
        async with connect(cluster) as mq:
            await mq.admin.create_topic("t", queues=6, type="fifo")
            route = await mq.admin.route("t")
            assert {name: counts.write for name, counts in route.groups.items()} == {"a": 6, "b": 6, "c": 6}
            assert "t" in await mq.admin.topics()
        fields = cluster.network.sent(17)[0][1]
        assert (fields["perm"], fields["attributes"]) == ("6", "+message.type=FIFO")

    run(scenario())


def test_a_topic_that_exists_is_an_error_unless_that_is_fine() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=2)
        cluster.create_topic("t", 4, ["a"])
        async with connect(cluster) as mq:
            with pytest.raises(AlreadyExistsError, match="exists on a"):
                await mq.admin.create_topic("t")
            await mq.admin.create_topic("t", if_exists="ok")
            assert {name: counts.write for name, counts in (await mq.admin.route("t")).groups.items()} == {
                "a": 4,
                "b": 8,
            }

    run(scenario())


def test_wrong_arguments_are_refused_before_anything_is_sent() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster()
        async with connect(cluster) as mq:
            for arguments in ({"topic": "a b"}, {"queues": 0}, {"type": "delay"}, {"if_exists": "maybe"}):
                with pytest.raises(ConfigError):
                    await mq.admin.create_topic(**{"topic": "t", **arguments})  # type: ignore[arg-type]
            assert cluster.network.requests == []

    run(scenario())


def test_what_does_not_exist_is_said() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster()
        async with connect(cluster) as mq:
            with pytest.raises(RouteNotFoundError):
                await mq.admin.route("nothing")
            with pytest.raises(NotFoundError, match="elsewhere"):
                await mq.admin.create_topic("t", cluster="elsewhere")

    run(scenario())


def test_a_group_without_a_leader_ends_a_creation_in_time() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster()
        cluster.kill("a0:1")
        async with connect(cluster) as mq:
            with pytest.raises(UnreachableError, match="a0:1"):
                await mq.admin.create_topic("t")

    run(scenario(), within=12)


def test_the_view_of_each_nameserver_is_shown_apart() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(nameservers=3, groups=2)
        cluster.start_nameserver("ns2:1")
        cluster.register("b", ("ns2:1",))
        cluster.network.kill("ns3:1")
        async with connect(cluster) as mq:
            views = {view.nameserver: sorted(view.brokers) for view in await mq.admin.cluster_views()}
            assert views == {"ns1:1": ["a", "b"], "ns2:1": ["b"]}
            info = await mq.admin.cluster_info()
            assert info.brokers["b"].master == "b0:1"
            assert info.brokers["b"].cluster == "c"

    run(scenario())
