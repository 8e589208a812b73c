"""What operators look at: tables of topics, offsets, connected clients, settings, and the table of routes."""

import asyncio
import json
from collections.abc import Collection
from pathlib import Path

import pytest

from support.fake_engine import FakeEngine
from ternmq.broker.changes import Changes
from ternmq.broker.dispatch import AdminHandlers, admin_dispatch_table
from ternmq.broker.engine import ConsumersRow, TopicRow, shown_topic
from ternmq.broker.handlers.admin.clients import ClientHandlers
from ternmq.broker.handlers.admin.groups import GroupHandlers
from ternmq.broker.handlers.admin.replica import ReplicaHandlers
from ternmq.broker.handlers.admin.runtime import RuntimeHandlers
from ternmq.broker.handlers.admin.settings import SettingsHandlers
from ternmq.broker.handlers.admin.statistics import StatisticsHandlers
from ternmq.broker.handlers.admin.topics import TopicHandlers
from ternmq.broker.proposals import Proposals
from ternmq.broker.roles import Roles
from ternmq.config import BrokerConfig, broker_config, generate_topology
from ternmq.errors import HeaderError, MQError
from ternmq.protocol.connections import Connection, decode_consumer_connection, decode_producer_connection
from ternmq.protocol.statistics import (
    QueueName,
    QueueOffsets,
    QueueProgress,
    decode_consume_stats,
    decode_topic_stats,
)
from ternmq.protocol.topics import decode_topic_table
from ternmq.remoting import Reply, Request

CLIENT = ("127.0.0.1:5", "c@1", "JAVA", 513)
ONLINE: ConsumersRow = (
    "CLUSTERING",
    "CONSUME_PASSIVELY",
    "CONSUME_FROM_LAST_OFFSET",
    [CLIENT],
    [("T", "a || b", "TAG", 7)],
)


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine(lambda *_: None)
    for name in ("T", "U"):
        engine.put_topic(0, name, 2, 3, 6, 0, False, "SINGLE_TAG", {})
        engine.ranges[name] = [(0, 0, 10, 1700), (1, 4, 6, 1800), (2, 0, 0, 0)]
    engine.committed["g"] = [("T", 0, 8), ("T", 2, 0), ("U", 1, 5), ("gone", 0, 1)]
    engine.times = {("T", 0, 7): 1234, ("U", 1, 4): 5678}
    return engine


@pytest.fixture
def statistics(engine: FakeEngine) -> StatisticsHandlers:
    return StatisticsHandlers(lambda: engine, "group-a")


@pytest.fixture
def config(tmp_path: Path) -> BrokerConfig:
    return broker_config(generate_topology(tmp_path, groups=1, base_port=12_000), "group-a/n0")


def request(code: int, fields: dict[str, str] | None = None, body: bytes = b"") -> Request:
    return Request(code, 513, 0, False, "127.0.0.1:1", 1, fields or {}, body)


def progress(statistics: StatisticsHandlers, **fields: str) -> dict[QueueName, QueueProgress]:
    reply = asyncio.run(statistics.group(request(208, fields)))
    return dict(decode_consume_stats(reply.body).offsets)


def topics_of(rows: dict[QueueName, QueueProgress]) -> set[str]:
    return {queue.topic for queue in rows}


def test_topic_statistics_show_every_queue_for_reading_or_writing(statistics: StatisticsHandlers) -> None:
    reply = asyncio.run(statistics.topic(request(202, {"topic": "T"})))
    assert decode_topic_stats(reply.body).offsets == {
        QueueName("group-a", 0, "T"): QueueOffsets(1700, 10, 0),
        QueueName("group-a", 1, "T"): QueueOffsets(1800, 6, 4),
        QueueName("group-a", 2, "T"): QueueOffsets(0, 0, 0),
    }


def test_an_unknown_topic_is_answered_with_17_and_a_replica_that_knows_nothing_yet_with_14(
    statistics: StatisticsHandlers, engine: FakeEngine
) -> None:
    for code in (17, 14):
        with pytest.raises(MQError) as caught:
            asyncio.run(statistics.topic(request(202, {"topic": "V"})))
        assert caught.value.code == code
        engine.rows.clear()


def test_progress_covers_the_queues_for_reading_of_all_topics_with_offsets(statistics: StatisticsHandlers) -> None:
    assert progress(statistics, consumerGroup="g") == {
        QueueName("group-a", 0, "T"): QueueProgress(10, 8, 1234, 8),
        QueueName("group-a", 1, "T"): QueueProgress(6, 0, 0, 0),
        QueueName("group-a", 0, "U"): QueueProgress(10, 0, 0, 0),
        QueueName("group-a", 1, "U"): QueueProgress(6, 5, 5678, 5),
    }
    assert progress(statistics, consumerGroup="nobody") == {}


def test_progress_may_be_asked_for_single_topics(statistics: StatisticsHandlers) -> None:
    assert topics_of(progress(statistics, consumerGroup="g", topic="U")) == {"U"}
    assert topics_of(progress(statistics, consumerGroup="g", topicList="T;U;")) == {"T", "U"}


def test_progress_of_a_connected_group_leaves_out_what_it_does_not_subscribe_to(
    statistics: StatisticsHandlers, engine: FakeEngine
) -> None:
    engine.connected["g"] = ONLINE
    assert topics_of(progress(statistics, consumerGroup="g")) == {"T"}


def test_groups_of_a_topic_and_all_offsets_are_shown(statistics: StatisticsHandlers) -> None:
    assert statistics.groups_of_topic(request(300, {"topic": "U"})).body == b'{"groupList":["g"]}'
    assert b'"T@g":{0:8,2:0}' in statistics.all_offsets(request(43)).body


def test_connected_consumers_are_shown_with_tags_and_their_codes(engine: FakeEngine) -> None:
    clients = ClientHandlers(lambda: engine)
    offline = clients.consumers(request(203, {"consumerGroup": "g"}))
    assert offline == Reply(206, "the consumer group[g] not online")
    engine.connected["g"] = ONLINE
    shown = decode_consumer_connection(clients.consumers(request(203, {"consumerGroup": "g"})).body)
    assert shown.connection_set == [Connection(*CLIENT)]
    held = shown.subscription_table["T"]
    assert (held.tags_set, held.code_set, held.sub_version) == (["a", "b"], [97, 98], 7)


def test_connected_producers_are_shown(engine: FakeEngine) -> None:
    clients = ClientHandlers(lambda: engine)
    assert clients.producers(request(204, {"producerGroup": "p"})) == Reply(1, "the producer group[p] not exist")
    engine.producing["p"] = [CLIENT]
    shown = decode_producer_connection(clients.producers(request(204, {"producerGroup": "p"})).body)
    assert shown.connection_set == [Connection(*CLIENT)]


def test_topics_are_shown_at_once_or_page_by_page(engine: FakeEngine) -> None:
    topics = TopicHandlers(lambda: engine, changes(engine), lambda: 3, frozenset(), pass_on, nobody_to_tell)
    reply = topics.all(request(21))
    table = decode_topic_table(reply.body)
    assert (list(table.topic_config_table), reply.fields) == (["T", "U"], {"totalTopicNum": "2"})
    version = json.dumps({"counter": 2, "stateVersion": 3, "timestamp": 0})
    fields = {"topicSeq": "1", "maxTopicNum": "1", "dataVersion": version}
    assert list(decode_topic_table(topics.all(request(21, fields)).body).topic_config_table) == ["U"]
    assert json.loads(topics.one(request(351, {"topic": "T", "lo": "true"})).body)["writeQueueNums"] == 3
    with pytest.raises(MQError) as caught:
        topics.one(request(351, {"topic": "V"}))
    assert caught.value.code == 17


def settings_handlers(engine: FakeEngine, config: BrokerConfig, announced: list[Collection[str]]) -> SettingsHandlers:
    async def announce(topics: Collection[str]) -> None:
        announced.append(topics)

    roles, proposals = Roles(lambda: None), Proposals()
    roles.changed("leader", 3, "n0")
    engine.decided = proposals.decided
    return SettingsHandlers(config, 5, lambda: engine, Changes(lambda: engine, roles, proposals), announce)


def test_settings_are_shown_under_their_names_without_secrets(engine: FakeEngine, config: BrokerConfig) -> None:
    settings = settings_handlers(engine, config, [])
    reply = settings.show(request(26))
    assert reply.fields == {"version": '{"counter":0,"stateVersion":0,"timestamp":5}'}
    table = dict(line.split("=", 1) for line in reply.body.decode().splitlines())
    assert (table["brokerName"], table["autoCreateTopicEnable"]) == ("group-a", "true")
    assert not any("secret" in key.lower() for key in table)


def test_one_setting_that_cannot_be_changed_leaves_all_as_they_are_and_is_named(
    engine: FakeEngine, config: BrokerConfig
) -> None:
    settings = settings_handlers(engine, config, [])
    refused = asyncio.run(settings.change(request(25, body=b"# a\nfileReservedTime=5\nbrokerPermission=4\n")))
    assert refused.code == 16
    assert (refused.remark or "").endswith(": fileReservedTime")
    assert engine.permission() == (6, False)
    assert asyncio.run(settings.change(request(25))).code == 1
    assert "\\x1b" in (asyncio.run(settings.change(request(25, body=b"\x1b[2Ja=1"))).remark or "")


def test_the_permission_of_the_group_changes_while_it_runs_and_is_shown_and_announced(
    engine: FakeEngine, config: BrokerConfig
) -> None:
    announced: list[Collection[str]] = []
    settings = settings_handlers(engine, config, announced)

    def change(body: bytes) -> int:
        return asyncio.run(settings.change(request(25, body=body))).code

    assert change(b"brokerPermission=4\n") == 0
    assert (engine.permission(), len(announced)) == ((4, False), 1)
    assert change(b"rejectSends=TRUE\n") == 0
    assert b"brokerPermission=4\nrejectSends=true\n" in settings.show(request(26)).body
    assert change(b"brokerPermission=6\nrejectSends=false\n") == 0
    assert engine.permission() == (6, False)


@pytest.mark.parametrize("body", [b"brokerPermission=2", b"brokerPermission=", b"rejectSends=1", b"rejectSends=x\x1b"])
def test_a_permission_that_means_nothing_here_is_refused(engine: FakeEngine, config: BrokerConfig, body: bytes) -> None:
    with pytest.raises(HeaderError, match="but must be"):
        asyncio.run(settings_handlers(engine, config, []).change(request(25, body=body)))
    assert engine.permission() == (6, False)


def test_a_read_only_group_shows_no_topic_as_writable() -> None:
    rows: list[TopicRow] = [
        (name, 4, 4, perm, 0, False, "SINGLE_TAG", {}) for name, perm in (("T", 6), ("TBW102", 7), ("W", 2))
    ]
    assert [shown_topic(row, 6).perm for row in rows] == [6, 7, 2]
    assert [shown_topic(row, 4).perm for row in rows] == [4, 4, 0]


def test_every_admin_code_has_a_handler(engine: FakeEngine, config: BrokerConfig) -> None:
    roles = Roles(lambda: None)
    handlers = AdminHandlers(
        TopicHandlers(lambda: engine, changes(engine), lambda: 3, frozenset(), pass_on, nobody_to_tell),
        GroupHandlers(lambda: engine, changes(engine), lambda: 3),
        StatisticsHandlers(lambda: engine, "group-a"),
        ClientHandlers(lambda: engine),
        settings_handlers(engine, config, []),
        RuntimeHandlers(lambda: engine, config.data),
        ReplicaHandlers(lambda: engine, roles, frozenset(), "raft", config.data, lambda: 0),
    )
    assert sorted(admin_dispatch_table(handlers)) == [
        17, 18, 21, 25, 26, 28, 43, 200, 201, 202, 203, 204, 207, 208, 215, 225, 300, 351, 352, 30_001, 30_002, 30_003,
        30_004,
    ]  # fmt: skip


async def pass_on(address: str, request: Request) -> Reply:
    raise AssertionError(f"{request.code} was passed on to {address}")


async def nobody_to_tell(topics: Collection[str]) -> None:
    """There are no NameServers."""


def changes(engine: FakeEngine) -> Changes:
    return Changes(lambda: engine, Roles(lambda: None), Proposals())
