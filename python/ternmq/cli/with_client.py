"""One conversation with a cluster: connect, do one thing, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from ternmq.cli.endpoints import find_endpoints
from ternmq.client import Client, connect

Result = TypeVar("Result")


def with_client(endpoints: str | None, data: Path | None, work: Callable[[Client], Awaitable[Result]]) -> Result:
    """Run a piece of work with a client of the cluster that the options name.

    Args:
        endpoints: value of ``--endpoints``.
        data: value of ``--data``.
        work: takes the client.

    Raises:
        CommandError: no cluster is named.
        MQError: the work failed.
    """
    addresses = find_endpoints(endpoints, data)

    async def run() -> Result:
        async with connect(addresses) as client:
            return await work(client)

    return asyncio.run(run())
