"""One group with several subscriptions: several topics lose nothing, several filters are said or refused."""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator

import pytest

import ternmq
from support.cluster import Cluster
from support.processes import wait_for
from support.reading import fresh, read, until, with_client
from ternmq import Consumer, Message

_MEMBER = """
import asyncio, sys
import ternmq

async def main():
    async with ternmq.connect(sys.argv[1]) as mq, mq.consumer(sys.argv[2], sys.argv[3], filter=sys.argv[4]):
        print(mq.client_id, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


async def _two_topics(first: ternmq.Client, second: ternmq.Client, failing: bool = False) -> None:
    """One group reads one topic here and another one there; every message is to arrive, and where it belongs."""
    one, two, group = fresh("one"), fresh("two"), fresh("g")
    await first.admin.create_topic(one, queues=4)
    await first.admin.create_topic(two, queues=4)
    got: dict[str, set[int]] = {one: set(), two: set()}
    strangers: list[str] = []

    def noting(topic: str) -> Callable[[Message[bytes]], Awaitable[None]]:
        async def note(message: Message[bytes]) -> None:
            if message.topic != topic:
                strangers.append(message.topic)
            if failing and message.attempt == 1 and int(message.body) < 4:
                raise ValueError("as the test wants it")
            got[topic].add(int(message.body))

        return note

    async with (
        asyncio.TaskGroup() as tasks,
        first.consumer(group, one, start="earliest") as of_one,
        second.consumer(group, two, start="earliest") as of_two,
        first.producer("p") as out,
    ):
        running = [tasks.create_task(of_one.run(noting(one))), tasks.create_task(of_two.run(noting(two)))]
        for number in range(80):
            await out.send(one, str(number).encode())
            await out.send(two, str(number).encode())
        everything = {one: set(range(80)), two: set(range(80))}
        await until(lambda: got == everything, "every message of both topics")
        assert not strangers
        for task in running:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*running)


@pytest.mark.parametrize("failing", [False, True], ids=["all-well", "some-come-again"])
def test_two_topics_of_one_group_in_one_client_lose_nothing(cluster: Cluster, failing: bool) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        await _two_topics(mq, mq, failing)

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize("failing", [False, True], ids=["all-well", "some-come-again"])
def test_two_topics_of_one_group_in_two_clients_lose_nothing(cluster: Cluster, failing: bool) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        async with ternmq.connect(cluster.nameservers) as other:
            await _two_topics(mq, other, failing)

    with_client(cluster.nameservers, scenario)


def test_two_consumers_of_a_topic_in_one_client_share_what_it_gets(cluster: Cluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("twice"), fresh("g")
        await mq.admin.create_topic(topic, queues=8)
        async with mq.consumer(group, topic, ordered=True) as first:
            async with mq.consumer(group, topic, ordered=True) as second:
                await until(lambda: _shares(first, second) == (4, 4), "both to have four queues")
                async with ternmq.connect(cluster.nameservers) as other, other.consumer(group, topic) as third:
                    await until(lambda: len(third.queues) == 4, "the other client to have a half")
                    await until(lambda: _shares(first, second) == (2, 2), "both to share the rest")
            await until(lambda: len(first.queues) == 8, "the first to take over")
            async with mq.producer("p") as out:
                for number in range(16):
                    await out.send(topic, str(number).encode())
            assert {int(message.body) for message in await read(first, 16)} == set(range(16))

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize("same_client", [True, False])
def test_another_filter_in_the_same_process_is_refused_before_it_takes_anything(
    cluster: Cluster, same_client: bool
) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("filters"), fresh("g")
        await mq.admin.create_topic(topic, queues=4)
        async with (
            ternmq.connect(cluster.nameservers) as another,
            mq.consumer(group, topic, filter="x || y") as first,
        ):
            other = mq if same_client else another
            with pytest.raises(ternmq.ConfigError, match=r"filter 'z'.*'x \|\| y'.*group of its own"):
                await other.consumer(group, topic, filter="z").open()
            async with other.consumer(group, topic, filter="y||x") as second:  # the same one in other words
                await until(lambda: _shares(first, second) == (2, 2), "both to have two queues")

    with_client(cluster.nameservers, scenario)


def test_another_filter_in_another_process_is_a_warning_on_both_sides_that_names_them_once(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    topic, group = fresh("rolling"), fresh("g")

    async def scenario(mq: ternmq.Client) -> None:
        await mq.admin.create_topic(topic, queues=4)
        async with mq.consumer(group, topic, filter="x") as inbox:
            with _member(cluster, group, topic, "y") as theirs:
                await until(lambda: len(_warnings(caplog, group)) > 0, "a warning of the client")
                (warning,) = _warnings(caplog, group)
                assert all(word in warning for word in (theirs, mq.client_id, "'x'", "'y'", topic))
                await until(lambda: len(inbox.queues) == 2, "both to share the queues: an upgrade goes on")
                wait_for(lambda: len(_log_lines(cluster, group)) > 0, 10, "a line in the broker's log")
                (line,) = _log_lines(cluster, group)
                assert theirs in line
                assert mq.client_id in line
                for _ in range(3):
                    await mq.parts().membership.heartbeat_now()
            await until(lambda: len(inbox.queues) == 4, "to be alone again")
        assert len(_warnings(caplog, group)) == len(_log_lines(cluster, group)) == 1

    with caplog.at_level(logging.WARNING, logger="ternmq"):
        with_client(cluster.nameservers, scenario)


def test_a_member_of_another_library_with_another_topic_is_a_warning_on_both_sides(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, group = fresh("mine"), fresh("theirs"), fresh("g")

    async def scenario(mq: ternmq.Client) -> None:
        await mq.admin.create_topic(one, queues=4)
        await mq.admin.create_topic(two, queues=4)
        async with mq.consumer(group, one) as inbox, ternmq.connect(cluster.nameservers) as stranger:
            subscriptions = [{"topic": two, "subString": "*", "subVersion": 1, "expressionType": "TAG"}]
            body = {
                "clientID": "java@1",
                "consumerDataSet": [{"groupName": group, "subscriptionDataSet": subscriptions}],
                "producerDataSet": [],
            }
            for address in mq.parts().metadata.addresses_in_use():
                await stranger.parts().endpoint.call(address, 34, {}, json.dumps(body).encode(), 3.0)
            await until(lambda: len(_warnings(caplog, group)) > 0, "a warning of the client")
            assert "java@1" in _warnings(caplog, group)[0]
            assert len(inbox.queues) == 4, "all of our topic: nobody else reads it"
            wait_for(lambda: len(_log_lines(cluster, group)) > 0, 10, "a line in the broker's log")
            assert "java@1" in _log_lines(cluster, group)[0]

    with caplog.at_level(logging.WARNING, logger="ternmq"):
        with_client(cluster.nameservers, scenario)


@contextlib.contextmanager
def _member(cluster: Cluster, group: str, topic: str, tags: str) -> Iterator[str]:
    """Another process with a consumer; gives its client id."""
    process = subprocess.Popen(
        [sys.executable, "-c", _MEMBER, cluster.nameservers, group, topic, tags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("", timeout=30)
    finally:
        process.kill()
        process.wait()


def _warnings(caplog: pytest.LogCaptureFixture, group: str) -> list[str]:
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [text for record in records if f"group {group} disagree" in (text := record.getMessage())]


def _log_lines(cluster: Cluster, group: str) -> list[str]:
    """What the brokers of a cluster have written about a group's subscriptions."""
    lines = [line for path in (cluster.directory / "logs").glob("*.log") for line in path.read_text().splitlines()]
    return [line for line in lines if f"several subscriptions: {group}: " in line]


def _shares(first: Consumer[bytes], second: Consumer[bytes]) -> tuple[int, int]:
    assert not set(first.queues) & set(second.queues)
    return len(first.queues), len(second.queues)
