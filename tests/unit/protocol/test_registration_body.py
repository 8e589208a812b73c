"""Registrations of every age: compressed, before 5.0, before there was a body of its own."""

import struct
import zlib
from collections.abc import Callable

import pytest

from ternmq.errors import BodyError
from ternmq.protocol.registration import (
    MAX_INFLATED_BYTES,
    RegisterBrokerBody,
    ShapeTable,
    body_crc32,
    decode_register_body,
    decode_shapes,
    decoding_plain_shapes,
)
from ternmq.protocol.topics import DataVersion, TopicConfig, queue_shape, topic_table

VERSION = b'{"counter":1,"stateVersion":0,"timestamp":1700000000000}'


def section(raw: bytes) -> bytes:
    return struct.pack(">i", len(raw)) + raw


def compressed(topics: list[bytes], *, mappings: list[bytes] | None = None) -> bytes:
    plain = (
        section(VERSION)
        + struct.pack(">i", len(topics))
        + b"".join(section(topic) for topic in topics)
        + section(b"[]")
    )
    if mappings is not None:
        plain += struct.pack(">i", len(mappings)) + b"".join(section(mapping) for mapping in mappings)
    return zlib.compress(plain, 9)


def test_a_compressed_body_of_a_5x_broker_has_a_section_for_static_topics() -> None:
    raw = compressed([b"TopicTest 8 8 6 SINGLE_TAG {}", b'B 1 2 7 MULTI_TAG {"message.type":"FIFO"}'], mappings=[b"{}"])
    table = decode_register_body(raw, compressed=True, version=513).topic_config_serialize_wrapper
    assert table.data_version == DataVersion(1, 0, 1700000000000)
    assert table.topic_config_table == {
        "TopicTest": TopicConfig(perm=6, read_queue_nums=8, write_queue_nums=8, topic_name="TopicTest"),
        "B": TopicConfig(
            attributes={"message.type": "FIFO"},
            perm=7,
            read_queue_nums=1,
            write_queue_nums=2,
            topic_filter_type="MULTI_TAG",
            topic_name="B",
        ),
    }


def test_a_compressed_body_of_a_4x_broker_ends_before_it_and_has_no_attributes() -> None:
    raw = compressed([b"TopicTest 8 8 6 SINGLE_TAG"])
    table = decode_register_body(raw, compressed=True, version=409).topic_config_serialize_wrapper
    assert list(table.topic_config_table) == ["TopicTest"]
    with pytest.raises(BodyError, match="ends within a length"):
        decode_register_body(raw, compressed=True, version=413)


def test_the_documented_example_inflates_to_one_topic() -> None:
    plain = bytes.fromhex(
        "000000387b22636f756e746572223a312c22737461746556657273696f6e223a302c2274696d657374616d70223a31373030303030303030303030"
        "7d000000010000001d546f7069635465737420382038203620"
        "53494e474c455f544147207b7d000000025b5d00000000"
    )
    assert len(plain) == 107
    assert body_crc32(zlib.compress(plain, 9)) == 2130312238
    table = decode_register_body(zlib.compress(plain, 9), compressed=True, version=513).topic_config_serialize_wrapper
    assert table.topic_config_table["TopicTest"].write_queue_nums == 8


def test_a_broker_before_3_0_11_sends_a_bare_table() -> None:
    raw = topic_table({"A": TopicConfig(topic_name="A")}, DataVersion(1, 0, 2)).encode()
    table = decode_register_body(raw, compressed=False, version=36).topic_config_serialize_wrapper
    assert list(table.topic_config_table) == ["A"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"not zlib", "cannot be inflated"),
        (lambda: compressed([b"A 8 8 6 SINGLE_TAG {}"], mappings=[])[:-8], "cut off"),
        (lambda: zlib.compress(struct.pack(">i", 1 << 30)), "claims 1073741824"),
        (lambda: zlib.compress(struct.pack(">i", -1)), "claims -1"),
        (lambda: compressed([b"A 8"], mappings=[]), "a topic in a compressed registration"),
        (lambda: compressed([b"A x 8 6 SINGLE_TAG {}"], mappings=[]), "a topic in a compressed registration"),
        (lambda: zlib.compress(bytes(MAX_INFLATED_BYTES + 1)), "has more than"),
    ],
)
def test_a_compressed_body_that_lies_is_refused(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(BodyError, match=words):
        decode_register_body(make(), compressed=True, version=513)


def read_in_steps(raw: bytes, version: int = 513) -> tuple[int, ShapeTable | None]:
    reading, steps = decoding_plain_shapes(raw, version=version), 0
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return steps, end.value
        steps += 1


@pytest.mark.parametrize("version", [36, 513])
def test_a_large_table_is_read_in_pieces_as_it_is_at_once_whatever_its_texts_hold(version: int) -> None:
    topics = {
        f't"}},"x{number}': TopicConfig(
            topic_name="é", attributes={"+a": '},"b":{'} if number % 3 else {}, read_queue_nums=number, perm=number % 8
        )
        for number in range(4_000)
    }
    table = topic_table(topics, DataVersion(1, 2, 3))
    raw = RegisterBrokerBody([], table).encode() if version == 513 else table.encode()
    steps, read = read_in_steps(raw, version)
    assert steps > 5
    assert read == decode_shapes(raw, compressed=False, version=version)
    assert read is not None
    assert read.topic_config_table == {name: queue_shape(config) for name, config in topics.items()}


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"topicConfigSerializeWrapper":{"topicConfigTable":null}}', b"{'a':1}"])
def test_what_is_not_plain_or_not_a_table_is_left_to_the_lenient_reader(raw: bytes) -> None:
    assert read_in_steps(raw)[1] is None


def test_a_large_table_that_breaks_off_is_not_read_in_pieces_either() -> None:
    topics = {f"topic-{number}": TopicConfig() for number in range(4_000)}
    raw = RegisterBrokerBody([], topic_table(topics, DataVersion())).encode().replace(b'"perm":6', b'"perm":"x"')
    assert read_in_steps(raw)[1] is None
