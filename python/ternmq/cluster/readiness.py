"""What the NameServers say about a local cluster, and whether that is the whole of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ternmq.cluster.node import BROKER, NAMESRV, NodeSpec

MASTER_ID = 0

GroupTable = Mapping[str, Mapping[int, str]]
"""Group name to broker id to client address."""

AskNameServer = Callable[[str], Awaitable[GroupTable | None]]
"""Ask one NameServer (by address) for all groups; None if it does not answer."""


@dataclass(frozen=True)
class Expectation:
    """What a complete cluster looks like.

    Args:
        nameservers: name to address.
        groups: group name to the addresses of all its members.
    """

    nameservers: Mapping[str, str]
    groups: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, nodes: Iterable[NodeSpec]) -> Expectation:
        """Expect every node."""
        listed = list(nodes)
        groups: dict[str, set[str]] = {}
        for node in listed:
            if node.kind == BROKER and node.group is not None:
                groups.setdefault(node.group, set()).add(node.address)
        return cls(
            {node.name: node.address for node in listed if node.kind == NAMESRV},
            {name: frozenset(addresses) for name, addresses in groups.items()},
        )


def missing(expected: Expectation, tables: Mapping[str, GroupTable | None]) -> list[str]:
    """Say what is not there yet; an empty list means ready.

    Args:
        expected: the whole cluster.
        tables: NameServer name to what it answered.
    """
    found = []
    for nameserver in expected.nameservers:
        table = tables.get(nameserver)
        if table is None:
            found.append(f"{nameserver} does not answer")
            continue
        for group, addresses in expected.groups.items():
            shown = table.get(group, {})
            if MASTER_ID not in shown:
                found.append(f"{nameserver} shows no master of {group}")
            absent = addresses - set(shown.values())
            if absent:
                found.append(f"{nameserver} shows {len(addresses) - len(absent)} of {len(addresses)} in {group}")
    return found


def master_of(group: str, tables: Iterable[GroupTable | None]) -> str | None:
    """Name the master's address that most NameServers show; None if none shows one."""
    named = Counter(
        table[group][MASTER_ID] for table in tables if table is not None and MASTER_ID in table.get(group, {})
    )
    return named.most_common(1)[0][0] if named else None


def agreed_master(group: str, tables: Sequence[GroupTable | None]) -> str | None:
    """Name the master's address if every NameServer that was asked shows the same one."""
    named = {None if table is None else table.get(group, {}).get(MASTER_ID) for table in tables}
    return named.pop() if len(named) == 1 else None


async def ask_all(ask: AskNameServer, nameservers: Mapping[str, str]) -> dict[str, GroupTable | None]:
    """Ask several NameServers at once.

    Args:
        ask: how to ask one.
        nameservers: name to address.
    """
    answers = await asyncio.gather(*(ask(address) for address in nameservers.values()))
    return dict(zip(nameservers, answers, strict=True))
