"""Operations on topics and the cluster, as `client.admin`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from ternmq.client import arguments
from ternmq.client.leader_calls import LeaderCalls
from ternmq.client.metadata import Metadata
from ternmq.client.topic_route import TopicRoute, read_route
from ternmq.errors import AlreadyExistsError, ConfigError, MQError, NotFoundError, RouteNotFoundError
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.names import DEFAULT_TOPIC
from ternmq.protocol.responses import response_error
from ternmq.protocol.tables import decode_topic_list
from ternmq.remoting import Answer, Endpoint

TopicType = Literal["normal", "fifo"]
"""What kind of messages a topic is for."""
IfExists = Literal["error", "ok"]

_VISIBLE_PAUSE_SECONDS = 0.05
_CREATE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """One broker group as a NameServer shows it.

    Args:
        name: broker name.
        cluster: name of its cluster.
        addresses: by broker id; id 0 is the master, missing while there is none.
    """

    name: str
    cluster: str
    addresses: Mapping[int, str]

    @property
    def master(self) -> str | None:
        """Address of the master, if the NameServer shows one."""
        return self.addresses.get(0)


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """What one NameServer knows of all clusters.

    Args:
        nameserver: address of the NameServer that said so.
        brokers: groups by broker name, sorted.
    """

    nameserver: str
    brokers: Mapping[str, BrokerInfo]


class Admin:
    """Operations on topics and the cluster.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        calls: reaches leaders.
        timeout: seconds for one question.
    """

    def __init__(self, endpoint: Endpoint, metadata: Metadata, calls: LeaderCalls, timeout: float) -> None:
        self._endpoint = endpoint
        self._metadata = metadata
        self._calls = calls
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Admin of {';'.join(self._metadata.nameservers.addresses)}>"

    async def create_topic(
        self,
        topic: str,
        *,
        queues: int = 8,
        type: TopicType = "normal",
        if_exists: IfExists = "error",
        cluster: str | None = None,
    ) -> None:
        """Create a topic on every group of the cluster; returns when a NameServer shows all of them.

        Args:
            topic: name of the topic.
            queues: queues on each group, to read and to write.
            type: kind of its messages.
            if_exists: what to do on a group that has the topic: leave it as it is, or fail.
            cluster: whose groups; may be left out where there is one cluster.

        Raises:
            ConfigError: an argument is wrong.
            AlreadyExistsError: the topic exists, and `if_exists` is ``error``.
            NotFoundError: no such cluster, or no broker is registered.
            UnreachableError: no NameServer answers, or the leader that they show cannot be reached.
            NotWritableError: a group has shown no leader in time.
        """
        arguments.topic_name(topic)
        arguments.count(queues, "queues", at_most=1024)
        if type not in get_args(TopicType):
            raise ConfigError(f"type is {type!r}, but must be one of {', '.join(get_args(TopicType))}")
        if if_exists not in get_args(IfExists):
            raise ConfigError(f"if_exists is {if_exists!r}, but must be 'error' or 'ok'")
        groups = await self._groups(cluster)
        existing = await self._groups_with(topic)
        if existing & groups and if_exists == "error":
            raise AlreadyExistsError(f"topic {topic} exists on {', '.join(sorted(existing & groups))}")
        fields = {
            "topic": topic,
            "defaultTopic": DEFAULT_TOPIC,
            "readQueueNums": str(queues),
            "writeQueueNums": str(queues),
            "perm": "6",
            "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": "0",
            "order": "false",
            "attributes": f"+message.type={type.upper()}",
        }
        code = RequestCode.UPDATE_AND_CREATE_TOPIC
        await asyncio.gather(
            *(self._calls.demand(group, code, fields, within=_CREATE_SECONDS) for group in groups - existing)
        )
        await self._wait_until_shown(topic, groups)

    async def route(self, topic: str) -> TopicRoute:
        """Where a topic lies, asked afresh.

        Raises:
            ConfigError: not a topic name.
            RouteNotFoundError: no such topic.
            UnreachableError: no NameServer answers.
        """
        arguments.topic_name(topic)
        answer = await self._ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, {"topic": topic})
        if answer.code == ResponseCode.TOPIC_NOT_EXIST:
            raise RouteNotFoundError(f"no NameServer knows topic {topic}", code=answer.code, remark=answer.remark)
        return read_route(topic, self._checked(answer).body)

    async def topics(self) -> list[str]:
        """Names of all topics, those of the system included; sorted.

        Raises:
            UnreachableError: no NameServer answers.
        """
        return sorted(
            decode_topic_list(self._checked(await self._ask(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, {})).body)
        )

    async def cluster_info(self) -> ClusterInfo:
        """All groups with their members, from the first NameServer that answers.

        Raises:
            UnreachableError: no NameServer answers.
        """
        views = await self.cluster_views(first=True)
        return views[0]

    async def cluster_views(self, *, first: bool = False) -> list[ClusterInfo]:
        """What each NameServer that answers shows; they know nothing of each other, so they may differ.

        Args:
            first: only the first that answers, the others are not asked.

        Raises:
            UnreachableError: no NameServer answers.
        """
        code = RequestCode.GET_BROKER_CLUSTER_INFO
        nameservers = self._metadata.nameservers
        if first:
            answer = await self._ask(code, {})
            return [_cluster_info(nameservers.current, answer)]
        answers = await nameservers.ask_each(code, {}, self._loop.time() + self._timeout)
        if not answers:
            answers = [(nameservers.current, await self._ask(code, {}))]
        return [_cluster_info(address, answer) for address, answer in answers]

    async def _groups(self, cluster: str | None) -> set[str]:
        """Names of the groups of a cluster; their addresses are learnt on the way."""
        answer = self._checked(await self._ask(RequestCode.GET_BROKER_CLUSTER_INFO, {}))
        self._metadata.learn_cluster(self._metadata.nameservers.current, answer.body)
        clusters = {name: set(groups) for name, groups in decode_cluster_info(answer.body).cluster_addr_table.items()}
        if cluster is None and len(clusters) > 1:
            raise ConfigError(f"there are several clusters, name one: {', '.join(sorted(clusters))}")
        groups = clusters.get(cluster, set()) if cluster is not None else set().union(*clusters.values())
        if not groups:
            raise NotFoundError(f"no broker is registered{f' in cluster {cluster}' if cluster else ''}")
        return groups

    async def _groups_with(self, topic: str) -> set[str]:
        try:
            return set((await self.route(topic)).groups)
        except RouteNotFoundError:
            return set()

    async def _wait_until_shown(self, topic: str, groups: set[str]) -> None:
        """Wait until a NameServer shows the topic on all groups; brokers register at once after a change."""
        deadline = self._loop.time() + self._timeout
        while not groups <= await self._groups_with(topic):
            if self._loop.time() >= deadline:
                raise MQError(f"topic {topic} is created, but the NameServer does not show it on all groups yet")
            await asyncio.sleep(_VISIBLE_PAUSE_SECONDS)
        self._metadata.refresh_soon(topic, 0.0)

    def _checked(self, answer: Answer) -> Answer:
        return _checked(
            self._metadata.nameservers.current, answer
        )  # the NameServer that answered is asked first the next time, too

    async def _ask(self, code: int, fields: dict[str, str]) -> Answer:
        return await self._metadata.nameservers.ask(code, fields, self._loop.time() + self._timeout)


def _checked(nameserver: str, answer: Answer) -> Answer:
    if answer.code != ResponseCode.SUCCESS:
        raise response_error(answer.code, answer.remark, broker=f"NameServer {nameserver}")
    return answer


def _cluster_info(nameserver: str, answer: Answer) -> ClusterInfo:
    table = decode_cluster_info(_checked(nameserver, answer).body).broker_addr_table
    return ClusterInfo(
        nameserver,
        {
            name: BrokerInfo(name, data.cluster, dict(sorted(data.broker_addrs.items())))
            for name, data in sorted(table.items())
        },
    )
