"""Test your own code against a real cluster on this machine: `pytest test_orders.py`; it starts within seconds."""

import asyncio
import json
import subprocess
from collections.abc import Iterator

import pytest

import ternmq


@pytest.fixture(scope="session")
def endpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """NameServers of a cluster with one broker group, which ends with the tests."""
    folder = tmp_path_factory.mktemp("cluster")

    def command(*arguments: str) -> str:
        done = subprocess.run(["ternmq", *arguments, "--data", folder], capture_output=True, text=True, check=True)
        return done.stdout

    nodes = json.loads(command("up", "--detach", "--groups", "1", "--json"))["items"]
    try:
        yield ";".join(node["address"] for node in nodes if node["kind"] == "namesrv")
    finally:
        command("down")


async def place(mq: ternmq.Client, order: str) -> None:
    """Stand in for the code under test."""
    async with mq.producer("shop", codec=ternmq.Text()) as out:
        await out.send("orders", order)


def test_an_order_that_is_placed_can_be_read(endpoints: str) -> None:
    async def scenario() -> None:
        async with ternmq.connect(endpoints) as mq:
            await place(mq, "two apples")
            async with (
                mq.consumer("test", "orders", codec=ternmq.Text(), start="earliest") as inbox,
                await anext(inbox) as msg,
            ):
                assert msg.value == "two apples"

    asyncio.run(asyncio.wait_for(scenario(), timeout=30))


# prints:
#   1 passed
