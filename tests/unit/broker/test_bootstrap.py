"""A broker whose group is not founded says whom it waits for."""

import asyncio
import logging

import pytest

from support.memory.virtual_time import run
from ternmq.broker.bootstrap import log_missing_members

ADDRESSES = {"n0": "127.0.0.1:40911", "n1": "127.0.0.1:40912", "n2": "127.0.0.1:40913"}


def test_missing_members_are_named_once_and_then_every_ten_seconds_until_the_group_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    missing: list[str] | None = ["n1", "n2"]
    heard: list[tuple[float, str]] = []

    async def scenario() -> None:
        nonlocal missing
        loop = asyncio.get_running_loop()
        began = loop.time()
        told = asyncio.create_task(log_missing_members("RaftNode00", ADDRESSES, lambda: missing))
        for _ in range(250):
            await asyncio.sleep(0.1)
            if len(caplog.messages) > len(heard):
                heard.append((loop.time() - began, caplog.messages[-1]))
            if loop.time() - began > 5:
                missing = ["n1"]
        missing = None
        await told

    with caplog.at_level(logging.INFO, "ternmq.broker"):
        run(scenario())
    assert [(round(at), text) for at, text in heard] == [
        (1, "founding RaftNode00: waiting for n1 (127.0.0.1:40912), n2 (127.0.0.1:40913)"),
        (11, "founding RaftNode00: waiting for n1 (127.0.0.1:40912)"),
        (21, "founding RaftNode00: waiting for n1 (127.0.0.1:40912)"),
    ]


def test_a_group_whose_members_are_all_there_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ternmq.broker"):
        run(log_missing_members("RaftNode00", ADDRESSES, lambda: None))
    assert caplog.messages == []
