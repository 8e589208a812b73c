"""Bodies that Apache's programs wrote are read, and written again to the same bytes."""

import msgspec
import pytest
from _pytest.mark import ParameterSet

from support.golden import GoldenFrame, golden_frames
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.connections import decode_consumer_connection, decode_producer_connection, subscription
from ternmq.protocol.fastjson import decode, decode_as
from ternmq.protocol.groups import decode_group_config, decode_group_table
from ternmq.protocol.registration import RegisterBrokerBody, body_crc32, decode_register_body
from ternmq.protocol.routes import decode_route
from ternmq.protocol.statistics import decode_consume_stats, decode_topic_stats, encode_consumer_offsets
from ternmq.protocol.tables import (
    decode_consumer_list,
    decode_kv_table,
    decode_topic_list,
    encode_consumer_list,
    encode_kv_table,
    encode_topic_list,
)
from ternmq.protocol.topics import DataVersion, TopicConfig, decode_topic_table


def answers(to: str, code: int) -> list[ParameterSet]:
    """Frames as parameters; a kind without any frame would be a test of nothing."""
    frames = [frame for frame in golden_frames(to, code, "s2c") if frame.body]
    assert frames, f"no golden answer to {code}"
    return [pytest.param(frame, id=frame.where) for frame in frames]


def registrations() -> list[ParameterSet]:
    frames = list(golden_frames("namesrv", 103, "c2s"))
    assert frames
    return [pytest.param(frame, id=frame.where) for frame in frames]


@pytest.mark.parametrize("frame", answers("namesrv", 105))
def test_a_route_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    route = decode_route(frame.body)
    assert route.queue_datas
    assert route.broker_datas[0].broker_addrs[0].startswith("127.0.0.1:")
    assert route.encode(standard=b'{"0":' in frame.body) == frame.body


@pytest.mark.parametrize("frame", answers("namesrv", 106))
def test_cluster_info_with_unquoted_ids_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    info = decode_cluster_info(frame.body)
    assert {name for names in info.cluster_addr_table.values() for name in names} == set(info.broker_addr_table)
    assert info.encode() == frame.body


@pytest.mark.parametrize("frame", registrations())
def test_a_registration_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    body = decode_register_body(frame.body, compressed=frame.fields["compressed"] == "true", version=frame.version)
    assert "TBW102" in body.topic_config_serialize_wrapper.topic_config_table
    assert body.encode() == frame.body
    assert msgspec.json.decode(body.encode(), type=RegisterBrokerBody) == body


@pytest.mark.parametrize("frame", registrations())
def test_the_checksum_of_a_registration_is_the_one_that_java_wrote(frame: GoldenFrame) -> None:
    assert body_crc32(frame.body) == int(frame.fields["bodyCrc32"])


@pytest.mark.parametrize("frame", answers("broker", 21))
def test_a_topic_table_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert decode_topic_table(frame.body).encode() == frame.body


@pytest.mark.parametrize("frame", answers("namesrv", 206) + answers("namesrv", 224))
def test_a_topic_list_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    topics = decode_topic_list(frame.body)
    assert "TBW102" in topics
    assert encode_topic_list(topics) == frame.body


@pytest.mark.parametrize("frame", answers("broker", 28) + answers("namesrv", 219))
def test_a_key_value_table_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert encode_kv_table(decode_kv_table(frame.body)) == frame.body


@pytest.mark.parametrize("frame", answers("broker", 38))
def test_a_consumer_list_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert encode_consumer_list(decode_consumer_list(frame.body).consumer_id_list) == frame.body


@pytest.mark.parametrize("frame", answers("broker", 201))
def test_a_group_table_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert decode_group_table(frame.body).encode() == frame.body


def test_a_group_that_a_tool_wrote_is_read_and_written_to_the_same_bytes() -> None:
    frames = list(golden_frames("broker", 200, "c2s"))
    assert frames
    for frame in frames:
        assert decode_group_config(frame.body).encode() == frame.body, frame.where


@pytest.mark.parametrize("frame", answers("broker", 202))
def test_topic_statistics_are_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    stats = decode_topic_stats(frame.body)
    assert len({queue.topic for queue in stats.offsets}) <= 1
    assert stats.encode() == frame.body


@pytest.mark.parametrize("frame", answers("broker", 208))
def test_consume_statistics_are_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert decode_consume_stats(frame.body).encode() == frame.body


@pytest.mark.parametrize("frame", answers("broker", 203))
def test_connected_consumers_are_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    connected = decode_consumer_connection(frame.body)
    assert connected.encode() == frame.body
    for topic, held in connected.subscription_table.items():
        ours = subscription(topic, held.sub_string, held.expression_type, held.sub_version)
        # Java's sets have no order.
        assert sorted(ours.tags_set) == sorted(held.tags_set)
        assert sorted(ours.code_set) == sorted(held.code_set)


@pytest.mark.parametrize("frame", answers("broker", 204))
def test_connected_producers_are_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert decode_producer_connection(frame.body).encode() == frame.body


@pytest.mark.parametrize("frame", answers("broker", 351))
def test_a_topic_is_read_and_written_to_the_same_bytes(frame: GoldenFrame) -> None:
    assert msgspec.json.encode(decode_as(frame.body, TopicConfig, "TopicConfig")) == frame.body


@pytest.mark.parametrize("frame", answers("broker", 43))
def test_all_offsets_are_written_with_the_names_that_java_uses(frame: GoldenFrame) -> None:
    table = decode(frame.body)
    offsets = {
        tuple(name.split("@")): {int(queue): offset for queue, offset in queues.items()}
        for name, queues in table["offsetTable"].items()
    }
    version = table["dataVersion"]
    ours = encode_consumer_offsets(
        DataVersion(version["counter"], version["stateVersion"], version["timestamp"]),
        offsets,
    )
    assert ours.index(b'"dataVersion"') == 1
    written = decode(ours)
    assert written["offsetTable"] == table["offsetTable"]
    assert (b"{0:" in ours) == bool(offsets), "queue ids are written as Java writes integers"
    for group, topics in written["groupTopicMap"].items():
        assert set(topics) == {topic for topic, of in offsets if of == group}
    assert set(written) == set(table)
