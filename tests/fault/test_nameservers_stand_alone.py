"""NameServers know nothing of each other, and one of them is enough."""

import asyncio
import contextlib
import itertools
from typing import Any

import pytest

import ternmq
from support.processes import connections, listening_ports, wait_for
from support.speaker import CLUSTER_INFO, CREATE_TOPIC, ROUTE, SpeakerError, ask, lenient_json
from support.tern import TernCluster

NAMESERVERS = ("ns1", "ns2", "ns3")
ELECTION_SECONDS = 20
FULL_AGAIN_SECONDS = 10


def make_topic(cluster: TernCluster, topic: str, queues: int = 4) -> None:
    master = cluster.master()
    assert master is not None
    made = ask(cluster.address(master), CREATE_TOPIC, {
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": str(queues), "writeQueueNums": str(queues),
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
    })  # fmt: skip
    assert made.code == 0, made.remark


def route(nameserver: str, topic: str) -> Any:
    """What a NameServer shows of a topic, in an order that does not matter; None while it shows nothing."""
    with contextlib.suppress(SpeakerError, ValueError):
        answer = ask(nameserver, ROUTE, {"topic": topic}, timeout=1)
        if answer.code == 0:
            shown = lenient_json(answer.body)
            shown["brokerDatas"].sort(key=lambda item: item["brokerName"])
            shown["queueDatas"].sort(key=lambda item: item["brokerName"])
            return shown
    return None


def groups(nameserver: str) -> Any:
    with contextlib.suppress(SpeakerError, ValueError):
        return lenient_json(ask(nameserver, CLUSTER_INFO, timeout=1).body)
    return None


async def send_and_read(nameservers: str, topic: str, body: bytes) -> bytes:
    """A client that starts now sends one message and reads it back."""
    async with ternmq.connect(nameservers) as mq:
        async with mq.producer("newcomer", timeout=20) as producer:
            await producer.send(topic, body)
        async with (
            asyncio.timeout(30),
            mq.consumer(f"group-{topic}", topic, start="earliest") as inbox,
        ):
            async for message in inbox:
                async with message:
                    return message.body
    raise AssertionError("the consumer ended without a message")


@pytest.mark.parametrize("dead", list(itertools.combinations(NAMESERVERS, 2)), ids="-".join)
def test_through_the_last_nameserver_alone_everything_goes_on(cluster: TernCluster, dead: tuple[str, str]) -> None:
    (survivor,) = set(NAMESERVERS) - set(dead)
    last = cluster.address(survivor)
    make_topic(cluster, "before")
    for name in dead:
        cluster.identity(name).kill()
    old = cluster.master()
    assert old is not None
    cluster.identity(old).kill()

    # The new master is found: by the survivor, by a client that knows it alone, by one with the dead in its list.
    wait_for(lambda: cluster.master() not in {None, old}, ELECTION_SECONDS, "the survivor to show another master")
    assert asyncio.run(send_and_read(last, "before", b"alone")) == b"alone"
    assert asyncio.run(send_and_read(cluster.nameservers, "before", b"alone")) == b"alone"

    # A new topic is made, and is seen with all its queues.
    make_topic(cluster, "after", queues=6)
    wait_for(lambda: route(last, "after") is not None, ELECTION_SECONDS, "the new topic to show")
    assert [item["writeQueueNums"] for item in route(last, "after")["queueDatas"]] == [6]
    assert asyncio.run(send_and_read(last, "after", b"new")) == b"new"

    assert not any(cluster.identity(name).is_alive() for name in (*dead, old)), "and the dead are still dead"


def test_each_nameserver_alone_gives_the_same_routes_and_none_connects_to_another(cluster: TernCluster) -> None:
    make_topic(cluster, "everywhere")
    addresses = cluster.nameserver_addresses
    wait_for(
        lambda: all(route(address, "everywhere") is not None for address in addresses),
        ELECTION_SECONDS,
        "all three to show the topic",
    )
    assert route(addresses[0], "everywhere") == route(addresses[1], "everywhere") == route(addresses[2], "everywhere")
    assert groups(addresses[0]) == groups(addresses[1]) == groups(addresses[2])

    asyncio.run(send_and_read(cluster.nameservers, "everywhere", b"traffic"))
    pids = {name: cluster.identity(name).pid for name in NAMESERVERS}
    own_ports = {name: int(cluster.address(name).rsplit(":", 1)[1]) for name in NAMESERVERS}
    for name, pid in pids.items():
        assert listening_ports(pid) == {own_ports[name]}
        seen = connections(pid)
        assert seen, "brokers are connected to it"
        outgoing = {connection for connection in seen if connection.local_port != own_ports[name]}
        assert outgoing == set(), f"{name} opened connections of its own"
        others = {port for other, port in own_ports.items() if other != name}
        assert not {connection.peer_port for connection in seen} & others


def test_a_nameserver_that_starts_empty_has_the_full_table_within_seconds(cluster: TernCluster) -> None:
    topics = [f"full-{number}" for number in range(20)]
    for topic in topics:
        make_topic(cluster, topic)
    other, emptied = cluster.address("ns1"), cluster.address("ns2")
    wait_for(lambda: route(other, topics[-1]) is not None, ELECTION_SECONDS, "the last topic to show")
    cluster.identity("ns2").kill()
    cluster.launch("ns2")
    wait_for(
        lambda: groups(emptied) == groups(other) and all(route(emptied, topic) is not None for topic in topics),
        FULL_AGAIN_SECONDS, "the restarted NameServer to know everything",
    )  # fmt: skip
    assert [route(emptied, topic) for topic in topics] == [route(other, topic) for topic in topics]
