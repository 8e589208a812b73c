"""Attacks by well-formed requests on a NameServer."""

import zlib
from collections.abc import Callable

import pytest

from attack.conftest import HonestClient, Target
from attack.peers import connected
from support.speaker import CLUSTER_INFO, ROUTE, ask, frame, read_answer

Watch = Callable[[Target], HonestClient]

REGISTER, UNREGISTER, UPDATE_CONFIG, PUT_KV, QUERY_VERSION, HEARTBEAT = 103, 104, 318, 100, 322, 904
BROKER = {
    "brokerName": "evil", "brokerAddr": "127.0.0.1:1", "clusterName": "c", "haServerAddr": "127.0.0.1:2",
    "brokerId": "0", "compressed": "false", "bodyCrc32": "0",
}  # fmt: skip
BAD_BODIES = {
    "nothing": b"", "not JSON": b"\xff\x00\x01", "deep": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a list": b"[]", "wrong types": b'{"topicConfigSerializeWrapper":{"topicConfigTable":[1,2]}}',
    "cut": b'{"topicConfigSerializeWrapper":{"topicConfigTable":{"T"',
}  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES)
@pytest.mark.parametrize("compressed", ["false", "true"])
def test_a_registration_that_cannot_be_read_is_refused_and_registers_nothing(
    nameserver: Target, unharmed: Watch, body: str, compressed: str
) -> None:
    unharmed(nameserver)
    with connected(nameserver.address) as peer:
        peer.sendall(frame(REGISTER, BROKER | {"compressed": compressed}, BAD_BODIES[body]))
        assert read_answer(peer).code != 0
        peer.sendall(frame(CLUSTER_INFO))
        assert b"evil" not in read_answer(peer).body


def test_a_registration_that_inflates_without_end_is_refused(nameserver: Target, unharmed: Watch) -> None:
    unharmed(nameserver)
    bomb = zlib.compress(bytes(256 * 1024 * 1024), 9)
    assert ask(nameserver.address, REGISTER, BROKER | {"compressed": "true"}, bomb, timeout=10).code != 0


@pytest.mark.parametrize("code", [REGISTER, UNREGISTER, QUERY_VERSION, HEARTBEAT, PUT_KV, ROUTE])
def test_fields_that_are_missing_or_do_not_parse_are_answered_1_or_29(nameserver: Target, code: int) -> None:
    with connected(nameserver.address) as peer:
        for fields in ({}, {"brokerId": "x", "brokerName": "b"}):
            peer.sendall(frame(code, fields, b"{}"))
            assert read_answer(peer).code in {1, 29}
        peer.sendall(frame(CLUSTER_INFO))
        assert read_answer(peer).code == 0


@pytest.mark.parametrize("topic", ["../x", "a\x00b", "größe", "t" * 128, "a b", ""])
def test_the_route_of_a_topic_with_a_bad_name_is_not_found(nameserver: Target, topic: str) -> None:
    assert ask(nameserver.address, ROUTE, {"topic": topic}).code in {1, 17, 29}


@pytest.mark.parametrize("key", ["kvConfigPath", "configStorePath", "configStorePathName", "rocketmqHome"])
def test_no_remote_setting_names_a_file(nameserver: Target, key: str) -> None:
    wanted = nameserver.data / f"written-by-{key}"
    assert ask(nameserver.address, UPDATE_CONFIG, {}, f"{key}={wanted}\n".encode()).code != 0
    ask(nameserver.address, PUT_KV, {"namespace": "n", "key": "k", "value": "v"})
    assert not wanted.exists()


def test_a_kv_namespace_never_becomes_a_path(nameserver: Target) -> None:
    ask(nameserver.address, PUT_KV, {"namespace": "../../escaped", "key": "../k", "value": "v"})
    assert not list(nameserver.data.parent.glob("**/escaped*"))
