"""A broker's address given as a NameServer's is recognised, by clients and commands alike."""

import logging
import subprocess

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh, with_client
from support.tern import PROGRAM
from ternmq import NotANameServerError

SENTENCE = "{} is a broker, not a NameServer"


def broker_address(cluster: Cluster) -> str:
    return cluster.address(cluster.members()[0])


def test_a_client_of_a_brokers_address_says_so_at_once(cluster: Cluster) -> None:
    address = broker_address(cluster)

    async def scenario(mq: ternmq.Client) -> None:
        async with mq.producer("p") as out:
            with pytest.raises(NotANameServerError, match=SENTENCE.format(address)):
                await out.send(fresh("topic"), b"x")
        with pytest.raises(NotANameServerError, match=SENTENCE.format(address)):
            await mq.admin.create_topic(fresh("topic"))

    with_client(address, scenario)


def test_a_brokers_address_among_nameservers_is_passed_over_with_one_warning(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    address = broker_address(cluster)

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("topic")
        await mq.admin.create_topic(topic)
        async with mq.producer("p") as out:
            await out.send(topic, b"x")

    with caplog.at_level(logging.WARNING, "ternmq"):
        # Clients begin with any of the four: of twenty some meet the broker first.
        for _ in range(20):
            caplog.clear()
            with_client(f"{address};{cluster.nameservers}", scenario)
            assert sum(SENTENCE.format(address) in line for line in caplog.messages) <= 1


@pytest.mark.parametrize("command", [["topic", "list"], ["cluster", "info"]])
def test_a_command_with_a_brokers_address_says_so_and_exits_as_for_wrong_usage(
    cluster: Cluster, command: list[str]
) -> None:
    address = broker_address(cluster)
    done = subprocess.run(
        [PROGRAM, *command, "--endpoints", address], capture_output=True, text=True, check=False, timeout=60
    )
    assert SENTENCE.format(address) in done.stderr
    assert done.returncode == 2
