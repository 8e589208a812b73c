"""What an error says when nobody answers at an address, and when a broker's is taken for a NameServer's."""

import pytest

from support.memory.client import cluster_with_topic
from support.memory.cluster import MemoryCluster, virtual_wall_clock_ms
from support.memory.virtual_time import run
from ternmq.client.connection import Client
from ternmq.errors import ConfigError, NotWritableError, UnreachableError
from ternmq.remoting import failure

WHAT_TO_SET = (
    "NameServer ns1:1 shows this address for broker a: if it is wrong from here, set brokerIP1 in its broker.conf"
    " (advertise in a topology)"
)


def _connect(cluster: MemoryCluster, *endpoints: str) -> Client:
    return Client(endpoints or cluster.endpoints, 3.0, cluster.network.open_endpoint, virtual_wall_clock_ms)


def test_an_unreachable_address_and_its_reason_are_said_once() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster()
        async with _connect(cluster, "gone:1", "gone:2") as mq:
            with pytest.raises(UnreachableError) as caught:
                await mq.admin.topics()
        told = sorted(str(caught.value).removeprefix("no NameServer answers: ").split("; "))
        assert told == [f"gone:{port} cannot be reached: connection refused" for port in (1, 2)]
        assert caught.value.broker == "gone:1;gone:2"

    run(scenario())


def test_the_text_of_the_engine_is_put_behind_the_address_once() -> None:
    assert str(failure(0, "a:1", 105, "Connection refused")) == "a:1 cannot be reached: Connection refused"


def test_an_address_that_was_learnt_says_who_told_it_and_what_to_set() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.network.kill("a0:1")  # the NameServer goes on showing it
        async with _connect(cluster) as mq:
            with pytest.raises(UnreachableError) as created:
                await mq.admin.create_topic("another")
        async with _connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(UnreachableError) as sent:
                await out.send("t", b"x")
        for caught in (created, sent):
            assert str(caught.value) == f"a0:1 cannot be reached: connection refused; {WHAT_TO_SET}"
            assert caught.value.broker == "a0:1"

    run(scenario(), within=20)


def test_a_send_after_the_one_that_failed_does_not_only_say_that_there_is_no_leader() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.network.kill("a0:1")
        async with _connect(cluster) as mq, mq.producer("p") as out:
            with pytest.raises(UnreachableError):
                await out.send("t", b"x")
            with pytest.raises(NotWritableError) as again:
                await out.send("t", b"x")
        assert str(again.value).endswith(
            "its group has shown no leader in time; nothing was sent;"
            f" a0:1 cannot be reached: connection refused; {WHAT_TO_SET}"
        )

    run(scenario(), within=20)


def test_a_broker_is_no_nameserver() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with _connect(cluster, "a0:1") as mq:
            for call in (mq.admin.topics, mq.admin.cluster_info, lambda: mq.admin.route("t")):
                with pytest.raises(ConfigError, match=r"^a0:1 is a broker, not a NameServer; give"):
                    await call()
            async with mq.producer("p") as out:
                with pytest.raises(ConfigError, match=r"^a0:1 is a broker, not a NameServer; give"):
                    await out.send("t", b"x")

    run(scenario())


def test_a_broker_among_nameservers_is_passed_over() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with _connect(cluster, "a0:1", "ns1:1") as mq:
            for _ in range(3):
                assert "t" in await mq.admin.topics()
            assert [view.nameserver for view in await mq.admin.cluster_views()] == ["ns1:1"]

    run(scenario())


def test_a_broker_beside_a_nameserver_that_is_gone_is_named_with_it() -> None:
    async def scenario() -> None:
        async with _connect(cluster_with_topic(), "a0:1", "gone:1") as mq:
            with pytest.raises(UnreachableError) as caught:
                await mq.admin.topics()
        assert "a0:1 is a broker, not a NameServer" in str(caught.value)
        assert "gone:1 cannot be reached" in str(caught.value)

    run(scenario())
