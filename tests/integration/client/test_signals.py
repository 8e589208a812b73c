"""A service stops cleanly at a signal: `Consumer.run` with `stop_on`, as the README shows it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh, with_client
from ternmq import ConfigError

SERVICE = textwrap.dedent(
    """
    import asyncio, signal, sys
    import ternmq

    async def handle(msg):
        print("begins", msg.body.decode(), flush=True)
        await asyncio.sleep(float(sys.argv[4]))
        print("ends", msg.body.decode(), flush=True)

    async def main():
        async with ternmq.connect(sys.argv[1]) as mq:
            async with mq.consumer(sys.argv[3], sys.argv[2], start="earliest") as inbox:
                await inbox.run(handle, concurrency=2, stop_on=(signal.SIGTERM, signal.SIGINT))
        print("closed", flush=True)

    asyncio.run(main())
    """
)


def _fill(cluster: Cluster, topic: str, count: int) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        await mq.admin.create_topic(topic, queues=1)
        async with mq.producer("p") as out:
            for number in range(count):
                await out.send(topic, str(number).encode())

    with_client(cluster.nameservers, scenario)


def _service(cluster: Cluster, topic: str, group: str, takes_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, cluster.nameservers, topic, group, str(takes_s)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_handlers_that_run_at_a_signal_end_and_nothing_comes_twice(cluster: Cluster, number: signal.Signals) -> None:
    topic, group = fresh("service"), fresh("g")
    _fill(cluster, topic, 20)
    handled = []
    for _ in range(2):
        with _service(cluster, topic, group, 0.5) as service:
            assert service.stdout is not None
            said = [service.stdout.readline() for _ in range(2)]  # two handlers have begun
            service.send_signal(number)
            rest, errors = service.communicate(timeout=30)
        assert service.returncode == 0, errors
        said += rest.splitlines(keepends=True)
        assert said[-1] == "closed\n"
        begun = [line.split()[1] for line in said if line.startswith("begins")]
        assert sorted(begun) == sorted(line.split()[1] for line in said if line.startswith("ends"))
        handled += begun
    assert len(handled) == len(set(handled))
    assert sorted(map(int, handled)) == list(range(len(handled)))


def test_a_second_signal_does_not_wait_for_handlers(cluster: Cluster) -> None:
    topic, group = fresh("hurried"), fresh("g")
    _fill(cluster, topic, 1)
    with _service(cluster, topic, group, 600.0) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "begins 0\n"
        service.send_signal(signal.SIGTERM)
        service.send_signal(signal.SIGTERM)
        # The two may have become one: signals do not queue.
        while service.poll() is None:
            try:
                rest, errors = service.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                service.send_signal(signal.SIGTERM)
    assert service.returncode == 0, errors
    assert rest == "closed\n"


def test_one_signal_ends_all_consumers_of_a_program_and_then_means_what_it_meant(cluster: Cluster) -> None:
    topics = [fresh("first"), fresh("second")]
    for topic in topics:
        _fill(cluster, topic, 1)
    arrived = []
    signal_before = signal.signal(signal.SIGUSR1, lambda *_: arrived.append("handler of the program"))

    async def scenario(mq: ternmq.Client) -> None:
        both = asyncio.Semaphore(0)

        async def handle(_message: ternmq.Message[bytes]) -> None:
            both.release()

        async def consume(topic: str) -> None:
            async with mq.consumer(fresh("g"), topic, start="earliest") as inbox:
                await inbox.run(handle, stop_on=(signal.SIGUSR1,))

        running = [asyncio.create_task(consume(topic)) for topic in topics]
        for _ in topics:
            await asyncio.wait_for(both.acquire(), 20)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(asyncio.gather(*running), 20)

    try:
        with_client(cluster.nameservers, scenario)
        assert arrived == []
        os.kill(os.getpid(), signal.SIGUSR1)
        assert arrived == ["handler of the program"]
    finally:
        signal.signal(signal.SIGUSR1, signal_before)


def test_a_signal_that_nobody_can_catch_is_refused_before_the_first_message(cluster: Cluster) -> None:
    topic = fresh("refused")
    _fill(cluster, topic, 1)

    async def scenario(mq: ternmq.Client) -> None:
        async def handle(_message: ternmq.Message[bytes]) -> None:
            raise AssertionError("not to be called")

        async with mq.consumer(fresh("g"), topic, start="earliest") as inbox:
            with pytest.raises(ConfigError, match="stop_on"):
                await inbox.run(handle, stop_on=(signal.SIGKILL,))

    with_client(cluster.nameservers, scenario)
