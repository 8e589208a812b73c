"""Attacks by requests that are well formed and not well meant, on a broker: W7 to W13 of `docs/wire.md`."""

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from attack.conftest import SECOND_TOPIC, TOPIC, HonestClient, Target
from attack.peers import answers, connected, says_nothing
from support.processes import wait_for
from support.speaker import (
    CREATE_TOPIC,
    MAX_OFFSET,
    MIN_OFFSET,
    PULL,
    QUERY_OFFSET,
    SEND,
    UPDATE_OFFSET,
    Answer,
    StoredRecord,
    ask,
    decode_records,
    frame,
    pull_fields,
    read_answer,
    send_fields,
)
from support.tern import TernCluster

Watch = Callable[[Target], HonestClient]

SEND_LONG_NAMES, SEND_BATCH, SEARCH_OFFSET, EARLIEST = 10, 320, 29, 32
MAX_BODY = 4 * 1024 * 1024
# Only what must be refused is sent there, so that its end does not move for another reason.
UNUSED_QUEUE = 2
BAD_NAMES = {
    "a way out": "../x", "an absolute path": "/etc/passwd", "a dot": "a.b", "escaped dot with dot": "%2e.",
    "NUL": "a\x00b", "blank": "a b", "unicode": "größe", "line feed": "a\nb", "128 characters": "t" * 128,
    "empty": "", "a quote": 'a"b', "a script": "<script>",
}  # fmt: skip
FORBIDDEN_TOPICS = [
    "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
    "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT", "rmq_sys_wheel_timer",
]  # fmt: skip
REFUSED = {1, 13, 16, 17, 29}


def send(
    target: Target, topic: str, body: bytes = b"x", queue: int = 0, properties: dict[str, str] | None = None
) -> Answer:
    return ask(target.address, SEND, send_fields(topic, queue, properties or {}), body, timeout=10)


def end_of(target: Target, queue: int, topic: str = TOPIC) -> int:
    return int(ask(target.address, MAX_OFFSET, {"topic": topic, "queueId": str(queue)}).fields["offset"])


def record_at(target: Target, queue: int, offset: int) -> StoredRecord:
    found: list[StoredRecord] = []

    def look() -> bool:
        answer = ask(target.address, PULL, pull_fields(TOPIC, queue, offset, "inspector", count=1), timeout=10)
        found[:] = decode_records(answer.body)
        return answer.code == 0

    # A send is acknowledged before it shows in its queue.
    wait_for(look, 5, f"the record at {queue}[{offset}]")
    return found[0]


@pytest.mark.parametrize("size", [MAX_BODY + 1, MAX_BODY + 4096, 12 * 1024 * 1024])
def test_an_oversized_body_is_refused_with_13_and_keeps_the_connection(
    broker: Target, unharmed: Watch, size: int
) -> None:
    unharmed(broker)
    before = end_of(broker, UNUSED_QUEUE)
    with connected(broker.address, timeout=10) as peer:
        peer.sendall(frame(SEND, send_fields(TOPIC, UNUSED_QUEUE, {}), bytes(size)))
        assert read_answer(peer).code == 13
        peer.sendall(frame(broker.honest_code, broker.honest_fields))
        assert read_answer(peer).code == 0
    assert end_of(broker, UNUSED_QUEUE) == before


def test_the_largest_body_is_taken(broker: Target) -> None:
    body = os.urandom(1024) * (MAX_BODY // 1024)
    answer = send(broker, TOPIC, body)
    assert answer.code == 0, answer.remark
    assert record_at(broker, 0, int(answer.fields["queueOffset"])).body == body


def test_a_decompression_bomb_is_stored_as_it_came(broker: Target, unharmed: Watch) -> None:
    unharmed(broker)
    bomb = zlib.compress(bytes(512 * 1024 * 1024), 9)
    fields = send_fields(TOPIC, 1, {}) | {"f": str(0x1 | 0x300)}
    answer = ask(broker.address, SEND, fields, bomb, timeout=10)
    assert answer.code == 0
    assert record_at(broker, 1, int(answer.fields["queueOffset"])).body == bomb


def batch_item(
    body: bytes, properties: bytes = b"", *, size: int | None = None, body_length: int | None = None
) -> bytes:
    rest = struct.pack(">iiii", 0, 0, 0, len(body) if body_length is None else body_length) + body
    rest += struct.pack(">h", len(properties)) + properties
    return struct.pack(">i", 4 + len(rest) if size is None else size) + rest


LYING_BATCHES = {
    "item longer than the batch": batch_item(b"a") + batch_item(b"b", size=1000),
    "item of negative size": batch_item(b"a") + batch_item(b"b", size=-1),
    "item of size 0": batch_item(b"a") + batch_item(b"b", size=0),
    "body longer than its item": batch_item(b"a") + batch_item(b"b", body_length=500),
    "negative body": batch_item(b"a") + batch_item(b"b", body_length=-2),
    "cut in the middle": (batch_item(b"a") + batch_item(b"bbbbbbbb"))[:-4],
    "bytes behind the last item": batch_item(b"a") + b"\x00\x00",
    "nothing in it": b"",
}


@pytest.mark.parametrize("lie", LYING_BATCHES)
def test_a_batch_with_lying_sizes_is_refused_whole(broker: Target, unharmed: Watch, lie: str) -> None:
    unharmed(broker)
    before = end_of(broker, UNUSED_QUEUE)
    fields = send_fields(TOPIC, UNUSED_QUEUE, {}) | {"m": "true"}
    answer = ask(broker.address, SEND_BATCH, fields, LYING_BATCHES[lie])
    assert answer.code in {1, 13, 29}
    assert end_of(broker, UNUSED_QUEUE) == before, "not even the good items of it are stored"


def test_properties_of_32768_bytes_are_refused_and_those_of_a_few_less_are_kept(broker: Target) -> None:
    assert send(broker, TOPIC, properties={"big": "p" * 32_768}).code == 13
    answer = send(broker, TOPIC, properties={"big": "p" * 30_000})
    assert answer.code == 0
    assert record_at(broker, 0, int(answer.fields["queueOffset"])).properties["big"] == "p" * 30_000


@pytest.mark.parametrize(
    "text", ["\x02\x02\x02", "\x01\x01", "a\x01", "\x01b\x02", "a\x01b\x01c\x02d", "KEYS\x01k\x02\x02\x01\x02TAGS\x01t"]
)
def test_stray_separators_in_properties_are_stored_so_that_they_can_be_read(broker: Target, text: str) -> None:
    fields = send_fields(TOPIC, 0, {}) | {"i": text}
    answer = ask(broker.address, SEND, fields, b"stray")
    assert answer.code == 0, answer.remark
    stored = record_at(broker, 0, int(answer.fields["queueOffset"]))
    assert stored.body == b"stray"
    assert all(stored.properties.values()), "no empty value gets through"


def test_forged_properties_that_belong_to_the_broker_are_not_believed(broker: Target) -> None:
    forged = {
        "REAL_TOPIC": SECOND_TOPIC, "REAL_QID": "3", "CLUSTER": "not-mine", "POP_CK": "0 0 0 0 0 0 0",
        "__transactionId__": "mine",
    }  # fmt: skip
    own = {"UNIQ_KEY": "7F0000010000000000000000000000AA", "KEYS": "kept"}
    answer = send(broker, TOPIC, b"forged", properties=own | forged)
    assert answer.code == 0
    stored = record_at(broker, 0, int(answer.fields["queueOffset"]))
    believed = {name for name, value in forged.items() if stored.properties.get(name) == value}
    assert believed == set()
    assert {name: stored.properties[name] for name in own} == own


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_topic_name_is_refused_with_29_by_sends_of_every_kind(broker: Target, unharmed: Watch, name: str) -> None:
    unharmed(broker)
    topic = BAD_NAMES[name]
    short = send_fields(topic, 0, {})
    long_names = {
        "producerGroup": "harness", "topic": topic, "defaultTopic": "TBW102", "defaultTopicQueueNums": "4",
        "queueId": "0", "sysFlag": "0", "bornTimestamp": "0", "flag": "0", "properties": "", "reconsumeTimes": "0",
    }  # fmt: skip
    assert ask(broker.address, SEND, short, b"x").code == 29
    assert ask(broker.address, SEND_LONG_NAMES, long_names, b"x").code == 29
    assert ask(broker.address, SEND_BATCH, short | {"m": "true"}, batch_item(b"x")).code == 29


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused_by_every_other_code_that_carries_one(broker: Target, unharmed: Watch, name: str) -> None:
    unharmed(broker)
    bad = BAD_NAMES[name]
    # Clients before 5.0, as which the harness speaks, may have groups of up to 255 characters.
    bad_group = "g" * 256 if len(bad) > 127 else bad
    made = {"defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1", "perm": "6",
            "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false"}  # fmt: skip
    assert ask(broker.address, CREATE_TOPIC, {"topic": bad, **made}).code in {1, 29}
    assert ask(broker.address, PULL, pull_fields(bad, 0, 0)).code in REFUSED
    assert ask(broker.address, PULL, pull_fields(TOPIC, 0, 0, group=bad_group)).code in REFUSED | {26}
    place = {"topic": bad, "queueId": "0"}
    commit = {**place, "consumerGroup": "g", "commitOffset": "0"}
    assert ask(broker.address, UPDATE_OFFSET, commit).code in REFUSED | {26}
    commit_of_bad = commit | {"topic": TOPIC, "consumerGroup": bad_group}
    assert ask(broker.address, UPDATE_OFFSET, commit_of_bad).code in REFUSED | {26}
    assert ask(broker.address, QUERY_OFFSET, {**place, "consumerGroup": "g"}).code in REFUSED | {22, 26}


def test_no_name_that_a_peer_sent_becomes_a_path(broker: Target, cluster: TernCluster) -> None:
    send(broker, TOPIC)
    names = {path.name for path in Path(cluster.directory).rglob("*")}
    assert not names & {TOPIC, SECOND_TOPIC, "passwd", "harness", "inspector", "x"}


@pytest.mark.parametrize("topic", FORBIDDEN_TOPICS)
def test_a_send_to_a_topic_of_the_broker_itself_is_refused_with_16(broker: Target, topic: str) -> None:
    assert send(broker, topic).code == 16


@pytest.mark.parametrize("queue", [4, 5, 2**31 - 1])
def test_a_send_to_a_queue_that_is_not_there_is_refused_with_29(broker: Target, queue: int) -> None:
    assert send(broker, TOPIC, queue=queue).code == 29


def test_a_send_to_queue_minus_one_goes_to_a_queue_of_the_brokers_choice(broker: Target) -> None:
    answer = send(broker, TOPIC, queue=-1)
    assert answer.code == 0
    assert int(answer.fields["queueId"]) in range(4)


@pytest.mark.parametrize("offset", [-1, -(2**63), 10**9, 2**63 - 1])
def test_a_pull_outside_the_queue_is_sent_back_into_it(broker: Target, unharmed: Watch, offset: int) -> None:
    unharmed(broker)
    send(broker, TOPIC, queue=3)
    answer = ask(broker.address, PULL, pull_fields(TOPIC, 3, offset))
    assert answer.code == 21
    assert 0 <= int(answer.fields["nextBeginOffset"]) <= end_of(broker, 3)


@pytest.mark.parametrize("queue", [-1, 4, 2**31 - 1])
def test_a_pull_from_a_queue_that_is_not_there_is_refused_with_29(broker: Target, queue: int) -> None:
    assert ask(broker.address, PULL, pull_fields(TOPIC, queue, 0)).code == 29


@pytest.mark.parametrize("count", [-1, 0, 2**31 - 1])
def test_a_pull_of_an_absurd_number_of_messages_is_bounded(broker: Target, unharmed: Watch, count: int) -> None:
    unharmed(broker)
    send(broker, TOPIC, queue=3)
    answer = ask(broker.address, PULL, pull_fields(TOPIC, 3, 0, count=count), timeout=10)
    assert len(answer.body) <= 8 * 1024 * 1024
    assert answer.code in {0, 1, 19, 20, 29}


@pytest.mark.parametrize("value", ["x", "", "99999999999999999999", "1.5", "NaN", "-9223372036854775809"])
def test_a_field_that_does_not_parse_is_answered_1_or_29_and_keeps_the_connection(broker: Target, value: str) -> None:
    # A group is known by its first pull; offsets of unknown groups are refused for that reason.
    ask(broker.address, PULL, pull_fields(TOPIC, 0, 0, "g", count=1), timeout=10)
    with connected(broker.address) as peer:
        for code, fields in {
            SEND: send_fields(TOPIC, 0, {}) | {"e": value},
            PULL: pull_fields(TOPIC, 0, 0) | {"queueOffset": value},
            MIN_OFFSET: {"topic": TOPIC, "queueId": value},
            SEARCH_OFFSET: {"topic": TOPIC, "queueId": "0", "timestamp": value},
            UPDATE_OFFSET: {"consumerGroup": "g", "topic": TOPIC, "queueId": "0", "commitOffset": value},
        }.items():
            peer.sendall(frame(code, fields))
            assert read_answer(peer).code in {1, 29}, code
        peer.sendall(frame(broker.honest_code, broker.honest_fields))
        assert read_answer(peer).code == 0


@pytest.mark.parametrize("offset", [-1, -(2**63), 2**63 - 1, 10**6])
def test_a_consumer_offset_outside_the_queue_never_sticks(broker: Target, offset: int) -> None:
    place = {"consumerGroup": "liar", "topic": TOPIC, "queueId": "0"}
    ask(broker.address, PULL, pull_fields(TOPIC, 0, 0, "liar", count=1), timeout=10)
    ask(broker.address, UPDATE_OFFSET, {**place, "commitOffset": str(offset)})
    stored = ask(broker.address, QUERY_OFFSET, place)
    assert stored.code in {0, 22}
    assert 0 <= int(stored.fields.get("offset", "0")) <= end_of(broker, 0)


def test_bounds_of_queues_that_are_not_there_are_0_or_refused(broker: Target, unharmed: Watch) -> None:
    unharmed(broker)
    for queue in ("-1", str(2**31 - 1)):
        for code in (MIN_OFFSET, MAX_OFFSET, EARLIEST):
            answer = ask(broker.address, code, {"topic": TOPIC, "queueId": queue})
            shown = answer.fields.get("offset", answer.fields.get("timestamp"))
            assert answer.code in {1, 29} or shown in {"0", "-1"}


@pytest.mark.timeout(120)
def test_a_flood_of_waiting_pulls_is_bounded_and_its_oldest_are_answered(broker: Target, unharmed: Watch) -> None:
    honest = unharmed(broker)
    fields = pull_fields(SECOND_TOPIC, 1, end_of(broker, 1, SECOND_TOPIC)) | {
        "sysFlag": "6", "suspendTimeoutMillis": "15000",
    }  # fmt: skip
    count = 20_000
    with connected(broker.address, timeout=60) as peer:
        for first in range(0, count, 500):
            peer.sendall(b"".join(frame(PULL, fields, opaque=first + number) for number in range(500)))
        served = honest.served
        answered = answers(peer, 1)
        assert answered[0].code in {2, 19}
        assert honest.served >= served
        rest = answers(peer, count - 1)
    assert {answer.code for answer in rest} <= {2, 19}
    assert {answer.opaque for answer in rest + answered} == set(range(count))


def test_a_waiting_pull_does_not_hold_up_other_requests_of_its_connection(broker: Target) -> None:
    fields = pull_fields(SECOND_TOPIC, 2, end_of(broker, 2, SECOND_TOPIC)) | {
        "sysFlag": "6", "suspendTimeoutMillis": "2000",
    }  # fmt: skip
    with connected(broker.address, timeout=10) as peer:
        began = time.monotonic()
        peer.sendall(frame(PULL, fields, opaque=1) + frame(broker.honest_code, broker.honest_fields, opaque=2))
        first, second = answers(peer, 2)
        assert (first.opaque, second.opaque, second.code) == (2, 1, 19)
        assert time.monotonic() - began >= 1.9
        assert says_nothing(peer)
