"""Topics that nobody made before the first send, in a cluster of two broker groups."""

import asyncio

import ternmq
from support.cluster import MakeCluster
from support.reading import fresh, read, with_client

_RUNS = 20
_PATIENCE_SECONDS = 2.0


def test_on_two_groups_what_a_first_send_stored_is_read_at_once_every_time(make_cluster: MakeCluster) -> None:
    async def scenario(mq: ternmq.Client) -> None:
        for _ in range(_RUNS):
            topic = fresh("first")
            async with mq.producer("p") as out:
                receipt = await out.send(topic, b"two apples")
            async with asyncio.timeout(_PATIENCE_SECONDS), mq.consumer(fresh("g"), topic, start="earliest") as inbox:
                (message,) = await read(inbox, 1)
            assert (message.id, message.queue) == (receipt.id, receipt.queue)
            groups = (await mq.admin.route(topic)).groups
            assert [counts.write for counts in groups.values()] == [8, 8], "as `topic create` makes it"

    with_client(make_cluster(groups=2).nameservers, scenario)
