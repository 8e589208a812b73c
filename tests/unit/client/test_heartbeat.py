"""Heartbeats against those of the Java client (golden bodies)."""

import asyncio
import json
from typing import Any

from support.golden import golden_frames
from support.memory.client import connect
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.client.filters import parse_filter
from ternmq.client.membership import ConsumerSubscription, heartbeat_body

JAVA = [json.loads(frame.body) for frame in golden_frames("broker", 34, "c2s") if frame.body]


def _shape(value: Any) -> Any:
    """Names and kinds of a JSON value; of a list, the shape of its first item."""
    if isinstance(value, dict):
        return {name: _shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


def test_a_heartbeat_has_the_shape_that_the_java_client_gives_it() -> None:
    java = next(body for body in JAVA if "withoutSub" in body and "CONSUME_PASSIVELY" in json.dumps(body))
    subscription = ConsumerSubscription("t", parse_filter("*"), 1700000000000, from_first=False)
    ours = json.loads(heartbeat_body("c", {"p": 1}, {"g": [subscription]}))
    assert ours["consumerDataSet"][0].pop("sharesByTopic") is True, "ours, for members that ask who reads what"
    assert _shape(ours) == _shape(java)
    assert list(ours) == list(java), "members stand in alphabetical order"


def test_tags_and_their_codes_are_listed() -> None:
    subscription = ConsumerSubscription("t", parse_filter("TagB || TagA"), 7, from_first=True)
    data = json.loads(heartbeat_body("c", {}, {"g": [subscription]}))["consumerDataSet"][0]
    assert data["consumeFromWhere"] == "CONSUME_FROM_FIRST_OFFSET"
    assert data["subscriptionDataSet"][0] | {"classFilterMode": False} == {
        "classFilterMode": False, "codeSet": [2598920, 2598919], "expressionType": "TAG",
        "subString": "TagB || TagA", "subVersion": 7, "tagsSet": ["TagA", "TagB"], "topic": "t",
    }  # fmt: skip


def test_brokers_of_a_topic_that_comes_into_use_hear_of_the_client_too() -> None:
    async def scenario() -> None:
        cluster = MemoryCluster(groups=2)
        cluster.create_topic("t", 1, ["a"])
        cluster.create_topic("u", 1, ["b"])
        cluster.nameservers["ns1:1"].topics["TBW102"].pop("b")
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"x")
            await asyncio.sleep(1)
            counts = {address: len(broker.heartbeats) for address, broker in cluster.brokers.items()}
            assert {address[0] for address, count in counts.items() if count} == {"a"}
            await out.send("u", b"x")
            await asyncio.sleep(1)
            assert all(broker.heartbeats for broker in cluster.brokers.values())

    run(scenario())
