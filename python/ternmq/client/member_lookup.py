"""Asks the leaders for the members of a group, and has disagreements between the members logged."""

from __future__ import annotations

import contextlib

from ternmq.client.group_members import GroupMembers, read_members
from ternmq.client.local_consumers import LocalConsumers
from ternmq.client.metadata import Metadata
from ternmq.errors import MQError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.connections import TAG, decode_consumer_connection
from ternmq.remoting import Endpoint

_CALL_SECONDS = 3.0


class MemberLookup:
    """Finds the members of a group, as all members that read one topic of it find them.

    Args:
        endpoint: the network.
        metadata: routes and leaders.
        local_consumers: the consumers of the group in this client.
        group: consumer group.
        topic: whose brokers are asked.
    """

    def __init__(
        self, endpoint: Endpoint, metadata: Metadata, local_consumers: LocalConsumers, group: str, topic: str
    ) -> None:
        self._endpoint = endpoint
        self._metadata = metadata
        self._local_consumers = local_consumers
        self._group = group
        self._topic = topic

    async def find(self, within: float) -> GroupMembers | None:
        """The group, as the first broker of the topic tells that leads and knows it; None if none does.

        Where a master is gone its slave is asked. All members that read the topic ask the brokers in the same order, so
        that they see the same list.

        Raises:
            BodyError: an answer cannot be read.
        """
        route = self._metadata.known(self._topic)
        for broker in route.groups if route is not None else ():
            address = self._metadata.master(broker) or next(iter(self._metadata.leaders.readable(broker)), None)
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
                if members.subscription_sets is not None:
                    self._local_consumers.note_members(members)
                elif len(members.ids) > 1:
                    await self._look_at_last_heartbeat(address, members, timeout)
                return members
        return None

    async def _look_at_last_heartbeat(self, address: str, members: GroupMembers, timeout: float) -> None:
        """A broker of Apache's shows only what the last heartbeat said: enough to see that members do not agree."""
        fields = {"consumerGroup": self._group}
        with contextlib.suppress(MQError):
            answer = await self._endpoint.call(
                address, RequestCode.GET_CONSUMER_CONNECTION_LIST, fields, timeout=timeout
            )
            if answer.code == ResponseCode.SUCCESS:
                table = decode_consumer_connection(answer.body).subscription_table
                tags = {topic: each.sub_string for topic, each in table.items() if each.expression_type == TAG}
                self._local_consumers.note_last_heartbeat(members, tags)
