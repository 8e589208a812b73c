"""Reads everything back: by an own consumer group, from the first offset to the last one that the leaders know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ternmq.client import Client
from ternmq.cluster.demo.load import delivery_of
from ternmq.cluster.demo.verify import Delivery
from ternmq.errors import LaunchError
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.routes import decode_route
from ternmq.remoting import Endpoint

_ANSWER_WITHIN_S = 3.0


async def queue_ends(endpoint: Endpoint, nameserver: str, topic: str) -> dict[str, int]:
    """Ask the masters where each queue of a topic ends.

    Args:
        endpoint: to ask through.
        nameserver: address of one that knows the topic.
        topic: its name.

    Returns:
        ``group:id`` to the queue offset that the next message would get.

    Raises:
        LaunchError: a group has no master, or a question was refused.
        MQError: a node cannot be reached.
    """
    answer = await endpoint.call(
        nameserver, RequestCode.GET_ROUTEINFO_BY_TOPIC, {"topic": topic}, timeout=_ANSWER_WITHIN_S
    )
    if answer.code != 0:
        raise LaunchError(f"{nameserver} gives no route of {topic}: {answer.remark}")
    route = decode_route(answer.body)
    masters = {group.broker_name: group.master() for group in route.broker_datas}
    ends = {}
    for queues in route.queue_datas:
        master = masters.get(queues.broker_name)
        if master is None:
            raise LaunchError(f"group {queues.broker_name} has no master after all faults")
        for number in range(queues.read_queue_nums):
            ends[f"{queues.broker_name}:{number}"] = await end_of(endpoint, master, topic, number)
    return ends


async def end_of(endpoint: Endpoint, broker: str, topic: str, number: int) -> int:
    """Ask one broker where a queue ends.

    Args:
        endpoint: to ask through.
        broker: its address.
        topic: name of the topic.
        number: queue id.

    Raises:
        LaunchError: the question was refused.
        MQError: it cannot be reached.
    """
    fields = {"topic": topic, "queueId": str(number)}
    answer = await endpoint.call(broker, RequestCode.GET_MAX_OFFSET, fields, timeout=_ANSWER_WITHIN_S)
    if answer.code != 0:
        raise LaunchError(f"{broker} does not say where queue {number} of {topic} ends: {answer.remark}")
    return int(answer.fields["offset"])


async def read_all(
    client: Client, group: str, topic: str, ends: dict[str, int], progress: Callable[[int], None], *, silence_s: float
) -> list[Delivery]:
    """Consume a topic from its first offset on, until each queue's end was seen.

    Args:
        client: connected to the cluster.
        group: a consumer group that never read this topic.
        topic: its name.
        ends: as `queue_ends` gives them.
        progress: receives the number of messages read so far.
        silence_s: longest wait for the next message; what has not come by then counts as lost.

    Returns:
        Everything that came, in the order in which it came.
    """
    missing = {queue for queue, end in ends.items() if end > 0}
    deliveries: list[Delivery] = []
    async with client.consumer(group, topic, start="earliest") as inbox:
        messages = aiter(inbox)
        while missing:
            try:
                async with asyncio.timeout(silence_s):
                    message = await anext(messages)
            except TimeoutError:
                break
            async with message:
                delivery = delivery_of(message)
                deliveries.append(delivery)
                if delivery.position.queue_offset + 1 >= ends.get(delivery.position.queue, 0):
                    missing.discard(delivery.position.queue)
            if len(deliveries) % 1000 == 0:
                progress(len(deliveries))
    progress(len(deliveries))
    return deliveries
