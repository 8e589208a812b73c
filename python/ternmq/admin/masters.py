"""Requests to the masters of groups, wherever they move to meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping

from ternmq.admin.leadership import LEADER, broker_group, group_members
from ternmq.client import Client, ClusterInfo
from ternmq.errors import (
    CallTimeoutError,
    ConfigError,
    ConnectionLostError,
    MQError,
    NotFoundError,
    NotWritableError,
    UnreachableError,
)
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.responses import response_error
from ternmq.remoting import Answer, Endpoint, open_endpoint

_CALL_SECONDS = 5.0
_LOOK_EVERY_S = 0.05
_ASK_AGAIN = (ResponseCode.SERVICE_NOT_AVAILABLE, ResponseCode.SYSTEM_BUSY)


class GroupMasters:
    """The masters of a cluster's groups.

    Args:
        endpoint: the network.
        cluster: what a NameServer shows.
        within_s: longest time for one request, elections included.
    """

    def __init__(self, endpoint: Endpoint, cluster: ClusterInfo, within_s: float = 15.0) -> None:
        self._endpoint = endpoint
        self.cluster = cluster
        self._within_s = within_s
        self._known = {name: group.master for name, group in cluster.brokers.items()}

    async def ask(self, group: str, code: int, fields: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask a group's master something that does no harm when it is repeated.

        Args:
            group: broker name.
            code: request code.
            fields: header fields.
            body: body.

        Raises:
            NotFoundError: no such group.
            NotWritableError: it has no master in time.
            MQError: what the master answered, if not success.
        """
        broker_group(self.cluster, group)
        deadline = time.monotonic() + self._within_s
        while True:
            address = self._known.get(group) or await self._find(group, deadline)
            try:
                answer = await self._endpoint.call(address, code, dict(fields or {}), body, timeout=_CALL_SECONDS)
                if answer.code == ResponseCode.SUCCESS:
                    return answer
                failure: MQError = response_error(answer.code, answer.remark, broker=address)
                if answer.code not in _ASK_AGAIN:
                    raise failure
            except (UnreachableError, CallTimeoutError, ConnectionLostError) as error:
                failure = error
            if time.monotonic() >= deadline:
                raise failure
            self._known[group] = None
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _find(self, group: str, deadline: float) -> str:
        while True:
            members = await group_members(self._endpoint, self.cluster, group)
            address = next((address for address, status in members.items() if status.role == LEADER), None)
            if address is not None:
                self._known[group] = address
                return address
            if time.monotonic() >= deadline:
                raise NotWritableError(f"group {group} has shown no master in {self._within_s:g} s", broker=group)
            await asyncio.sleep(_LOOK_EVERY_S)


@contextlib.asynccontextmanager
async def group_masters(client: Client) -> AsyncIterator[GroupMasters]:
    """Give the masters of the cluster that a client knows, for the time of a block.

    Args:
        client: knows the NameServers.

    Raises:
        UnreachableError: no NameServer answers.
    """
    endpoint = open_endpoint()
    try:
        yield GroupMasters(endpoint, await client.admin.cluster_info())
    finally:
        await endpoint.close()


def cluster_groups(shown: ClusterInfo, cluster: str | None) -> list[str]:
    """Name the groups of a cluster.

    Args:
        shown: what a NameServer shows.
        cluster: its name; None where there is one.

    Raises:
        ConfigError: there are several.
        NotFoundError: no such cluster, or no broker is registered.
    """
    clusters = {group.cluster for group in shown.brokers.values()}
    if cluster is None and len(clusters) > 1:
        raise ConfigError(f"there are several clusters, name one: {', '.join(sorted(clusters))}")
    names = [name for name, group in shown.brokers.items() if cluster in (None, group.cluster)]
    if not names:
        raise NotFoundError(f"no broker is registered{f' in cluster {cluster}' if cluster else ''}")
    return names


def groups_beside(shown: ClusterInfo, group: str) -> list[str]:
    """Name the groups of a group's cluster, itself included.

    Raises:
        NotFoundError: no such group.
    """
    return cluster_groups(shown, broker_group(shown, group).cluster)


def own_names(shown: ClusterInfo) -> set[str]:
    """Name clusters and broker groups, after which topics of the brokers are called."""
    return set(shown.brokers) | {group.cluster for group in shown.brokers.values()}
