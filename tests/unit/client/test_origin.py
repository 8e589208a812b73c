"""Where a message stood that comes again, and what a dead letter says about its end."""

import pytest

from support.memory.client import cluster_with_topic, connect, send
from support.memory.virtual_time import run
from ternmq.client.message_queue import MessageQueue
from ternmq.client.messages import Origin
from ternmq.errors import Reject

FIRST = MessageQueue("t", "a", 0)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Reject("bad data"), "bad data"),
        (Reject(), None),
        (ValueError("no"), "ValueError: no"),
        (Reject("01\x01 02\x02 " + "x" * 2000), "01  02  " + "x" * 992),
    ],
)
@pytest.mark.parametrize("refused", [False, True])
def test_a_dead_letter_says_where_it_stood_how_often_it_was_tried_and_why_it_was_given_up(
    error: Exception, reason: str | None, refused: bool
) -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.create_topic("%DLQ%g", 1)
        await send(cluster, [1, 2], properties={"a": "b"})
        cluster.brokers["a0:1"].back_codes = [0, 1] if refused else []
        async with connect(cluster) as mq:
            async with mq.consumer("g", "t", start="earliest", max_attempts=2) as inbox:
                message = await anext(inbox)
                assert message.origin is None
                await (await anext(inbox)).ack()
                await message.nack()
                async with await anext(inbox) as again:
                    assert again.origin == Origin("t", FIRST, 0, message.id, 1, None)
                    raise error
            async with mq.consumer("other", "%DLQ%g", start="earliest") as dead, await anext(dead) as letter:
                assert letter.origin == Origin("t", FIRST, 0, message.id, 2, reason)
                assert (letter.topic, letter.properties) == ("%DLQ%g", {"a": "b"})

    run(scenario())


def test_a_reason_may_be_given_with_dead_letter() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            await (await anext(inbox)).dead_letter("too old")
        ((_, fields),) = cluster.network.sent(36)
        assert fields["reason"] == "too old"

    run(scenario())


def test_what_apaches_brokers_do_not_note_is_none() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        cluster.create_topic("%DLQ%g", 1)
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("%DLQ%g", b"1")
            (stored,) = cluster.groups["a"].queues["%DLQ%g", 0]
            stored.properties += "RETRY_TOPIC\x01t\x02ORIGIN_MESSAGE_ID\x01X\x02"
            async with mq.consumer("other", "%DLQ%g", start="earliest") as dead, await anext(dead) as letter:
                assert letter.origin == Origin("t", None, None, letter.id, 0, None)

    run(scenario())


def test_half_a_character_in_a_reason_is_a_question_mark() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        await send(cluster, [1])
        async with connect(cluster) as mq, mq.consumer("g", "t", start="earliest") as inbox:
            # Without an exception: what is logged of one would have half a character too.
            await (await anext(inbox)).dead_letter("a \udcff b")
        ((_, fields),) = cluster.network.sent(36)
        assert fields["reason"] == "a ? b"

    run(scenario())
