"""A client that is used from another event loop, as programs and test suites do by accident."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ternmq
from support.cluster import Cluster
from support.reading import fresh

_AT_ONCE_SECONDS = 1.0
_PYTEST_SECONDS = 60
_SUITE = """
import os, time
import pytest, pytest_asyncio
import ternmq

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def mq():
    async with ternmq.connect(os.environ["TERNMQ_ENDPOINTS"]) as client:
        yield client

@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def out(mq):
    async with mq.producer("p") as producer:
        await producer.send("TOPIC", b"1")
        yield producer

@pytest.mark.asyncio
async def test_send(out):
    began = time.monotonic()
    try:
        await out.send("TOPIC", b"2")
    finally:
        assert time.monotonic() - began < 1

@pytest.mark.asyncio
async def test_consume(mq):
    async with mq.consumer("g", "TOPIC"):
        pass

@pytest.mark.asyncio(loop_scope="session")
async def test_in_its_own_loop(out):
    await out.send("TOPIC", b"3")
"""


def test_a_session_fixture_in_tests_with_loops_of_their_own_is_told_what_to_do(
    cluster: Cluster, tmp_path: Path
) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(_SUITE.replace("TOPIC", fresh("suite")))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", tmp_path, suite],
        capture_output=True, text=True, check=False, timeout=_PYTEST_SECONDS, cwd=tmp_path,
        env={**os.environ, "TERNMQ_ENDPOINTS": cluster.nameservers},
    )  # fmt: skip
    assert "2 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count("ForeignLoopError: ") >= 2
    assert "give the fixture and its tests the same loop_scope" in done.stdout
    assert "attached to a different loop" not in done.stdout


def test_a_client_from_an_earlier_run_refuses_at_once_instead_of_hanging(cluster: Cluster) -> None:
    topic = fresh("runs")

    async def first() -> ternmq.Client:
        mq = await ternmq.connect(cluster.nameservers).open()
        async with mq.producer("p") as out:
            await out.send(topic, b"1")
        return mq

    async def second(mq: ternmq.Client) -> None:
        async with mq.producer("p") as out:
            await out.send(topic, b"2")

    mq = asyncio.run(first())
    began = time.monotonic()
    with pytest.raises(ternmq.ForeignLoopError, match="another event loop"):
        asyncio.run(second(mq))
    assert time.monotonic() - began < _AT_ONCE_SECONDS
