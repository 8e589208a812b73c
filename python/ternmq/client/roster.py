"""Who is in a group: the leaders are asked, and what its members do not agree in is said."""

from __future__ import annotations

import contextlib

from ternmq.client.companions import Companions
from ternmq.client.members import Members, read_members
from ternmq.client.metadata import Metadata
from ternmq.errors import MQError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.connections import TAG, decode_consumer_connection
from ternmq.remoting import Endpoint

_CALL_SECONDS = 3.0


class Roster:
    """The members of a group as those see them who read one topic of it.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        companions: the consumers of the group in this client.
        group: consumer group.
        topic: whose brokers are asked.
    """

    def __init__(self, endpoint: Endpoint, metadata: Metadata, companions: Companions, group: str, topic: str) -> None:
        self._endpoint = endpoint
        self._metadata = metadata
        self._companions = companions
        self._group = group
        self._topic = topic

    async def members(self, within: float) -> Members | None:
        """The group, as the first broker of the topic tells that leads and knows it; None if none does.

        All who read the topic ask the brokers in the same order, so that they see the same list.

        Raises:
            BodyError: an answer cannot be read.
        """
        route = self._metadata.known(self._topic)
        for broker in route.groups if route is not None else ():
            address = self._metadata.master(broker)
            if address is None:
                continue
            fields = {"consumerGroup": self._group, "withSubscriptions": "true"}
            timeout = min(within, _CALL_SECONDS)
            try:
                answer = await self._endpoint.call(
                    address, RequestCode.GET_CONSUMER_LIST_BY_GROUP, fields, timeout=timeout
                )
            except MQError as error:
                if error.refresh_route:
                    self._metadata.reject(broker, address, error)
                continue
            if answer.code == ResponseCode.SUCCESS:
                members = read_members(answer.body)
                if members.said is not None:
                    self._companions.look(members)
                elif len(members.ids) > 1:
                    await self._look_at_last(address, members, timeout)
                return members
        return None

    async def _look_at_last(self, address: str, members: Members, timeout: float) -> None:
        """A broker of Apache's shows only what the last heartbeat said: enough to see that members do not agree."""
        fields = {"consumerGroup": self._group}
        with contextlib.suppress(MQError):
            answer = await self._endpoint.call(
                address, RequestCode.GET_CONSUMER_CONNECTION_LIST, fields, timeout=timeout
            )
            if answer.code == ResponseCode.SUCCESS:
                table = decode_consumer_connection(answer.body).subscription_table
                tags = {topic: each.sub_string for topic, each in table.items() if each.expression_type == TAG}
                self._companions.look_at_last(members, tags)
