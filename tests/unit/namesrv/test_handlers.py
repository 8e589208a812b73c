"""What the NameServer answers, request by request; those of Apache's programs are taken from recordings."""

import asyncio
import tracemalloc
import zlib
from collections.abc import Awaitable, Mapping
from pathlib import Path

import pytest

from support.golden import golden_frames
from ternmq.config import NameServerConfig
from ternmq.errors import MQError
from ternmq.namesrv.dispatch import nameserver_dispatch_table
from ternmq.namesrv.encoded_routes import EncodedRoutes
from ternmq.namesrv.handlers.kv import KvHandlers
from ternmq.namesrv.handlers.registration import RegistrationHandlers
from ternmq.namesrv.handlers.routes import RouteHandlers
from ternmq.namesrv.handlers.settings import NameServerSettingsHandlers
from ternmq.namesrv.handlers.topics import NameServerTopicHandlers
from ternmq.namesrv.kv_store import KvStore
from ternmq.namesrv.route_table import RouteTable
from ternmq.namesrv.table_turns import TableTurns
from ternmq.protocol.codes import RequestCode
from ternmq.protocol.registration import MAX_INFLATED_BYTES, RegisterBrokerBody, body_crc32
from ternmq.protocol.routes import QueueData, TopicRouteData, decode_route
from ternmq.protocol.tables import decode_kv_table, decode_topic_list
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table
from ternmq.remoting import Reply, Request

A = "10.0.0.1:10911"


class NameServer:
    """Handlers over one table, called as the dispatcher calls them; time stands still."""

    def __init__(self, folder: Path, *, with_order: bool = False) -> None:
        self.table = RouteTable()
        turns = TableTurns()
        self.kv = KvStore(folder / "kv.json")
        config = NameServerConfig("ns1", "127.0.0.1", 9876, folder, folder / "kv.json")
        self.routes = nameserver_dispatch_table(
            RegistrationHandlers(self.table, turns, self.kv, lambda: 0),
            RouteHandlers(self.table, EncodedRoutes(self.table, self.kv, with_order=with_order)),
            NameServerTopicHandlers(self.table, turns),
            KvHandlers(self.kv),
            NameServerSettingsHandlers(config),
        )

    def call(self, code: int, fields: Mapping[str, str] = {}, body: bytes = b"", version: int = 513) -> Reply:
        request = Request(code, version, 0, False, "127.0.0.1:1", 1, dict(fields), body)
        try:
            reply = self.routes[code](request)
            return reply if isinstance(reply, Reply) else asyncio.run(_await(reply))
        except MQError as error:
            return Reply(error.code or -1, error.remark or str(error))

    def register(
        self, topics: tuple[str, ...] = ("T", "U"), broker_id: int = 0, address: str = A, term: int = 1, **fields: str
    ) -> Reply:
        table = topic_table({name: TopicConfig(topic_name=name) for name in topics}, DataVersion(1, term, 1))
        body = RegisterBrokerBody([], table).encode()
        return self.call(103, identity(broker_id, address) | {"bodyCrc32": str(body_crc32(body))} | fields, body)


async def _await(reply: Awaitable[Reply]) -> Reply:
    return await reply


def identity(broker_id: int = 0, address: str = A) -> dict[str, str]:
    return {
        "brokerName": "g",
        "brokerAddr": address,
        "clusterName": "c",
        "brokerId": str(broker_id),
        "haServerAddr": "h:1",
    }


@pytest.fixture
def nameserver(tmp_path: Path) -> NameServer:
    return NameServer(tmp_path)


def test_every_code_of_a_nameserver_has_a_handler(nameserver: NameServer) -> None:
    expected = "100 101 102 103 104 105 106 205 206 216 217 219 224 304 311 312 313 318 319 322 327 901 904"
    assert sorted(nameserver.routes) == [int(code) for code in expected.split()]


def test_registrations_that_java_brokers_sent_are_taken_and_give_the_routes_that_java_gave(tmp_path: Path) -> None:
    frames = [frame for frame in golden_frames("namesrv", 103, "c2s") if frame.fields["brokerId"] == "0"]
    assert frames
    for number, frame in enumerate(frames):
        folder = tmp_path / str(number)
        server = NameServer(folder)
        assert server.call(103, frame.fields, frame.body, frame.version) == Reply(fields={}), frame.where
        reply = server.call(105, {"topic": "TBW102"}, version=frame.version)
        route = decode_route(reply.body)
        assert route.broker_datas[0].broker_addrs == {0: frame.fields["brokerAddr"]}
        assert (route.queue_datas[0].perm, route.queue_datas[0].write_queue_nums) == (7, 8)


def test_requests_that_tools_recorded_are_answered_with_the_code_that_java_answered(tmp_path: Path) -> None:
    """Only the outcome is compared: what is registered differs. 318 is refused on purpose."""
    simple = {100: 0, 102: 0, 104: 0, 106: 0, 205: 0, 206: 0, 216: 0, 224: 0, 319: 0, 327: 0}
    server = NameServer(tmp_path)
    for code, expected in simple.items():
        frames = list(golden_frames("namesrv", code, "c2s"))
        assert frames, code
        for frame in frames:
            assert server.call(code, frame.fields, frame.body, frame.version).code == expected, frame.where


def test_a_body_with_another_checksum_is_refused_and_0_means_unchecked(nameserver: NameServer) -> None:
    assert nameserver.register(bodyCrc32="1") == Reply(1, "crc32 not match")
    assert nameserver.register(bodyCrc32="0").code == 0


@pytest.mark.parametrize("missing", ["brokerName", "brokerAddr", "clusterName"])
def test_a_registration_without_a_name_is_refused_with_the_field(nameserver: NameServer, missing: str) -> None:
    fields = identity()
    del fields[missing]
    reply = nameserver.call(103, fields, b"{}")
    assert reply.code == 29
    assert missing in (reply.remark or "")


def test_a_registration_that_inflates_without_end_is_refused_before_it_takes_memory(nameserver: NameServer) -> None:
    bomb = zlib.compress(bytes(MAX_INFLATED_BYTES + 1), 1)
    tracemalloc.start()
    try:
        reply = nameserver.call(103, identity() | {"compressed": "true"}, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (reply.code, f"more than {MAX_INFLATED_BYTES}" in (reply.remark or "")) == (1, True)
    assert peak < MAX_INFLATED_BYTES // 16


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"topicConfigSerializeWrapper":7}'])
def test_a_body_that_cannot_be_read_is_answered_1(nameserver: NameServer, body: bytes) -> None:
    assert nameserver.call(103, identity(), body).code == 1
    assert (
        nameserver.call(
            322, identity(), body.replace(b"topicConfigSerializeWrapper", b"counter").replace(b"7", b"[]")
        ).code
        == 1
    )


def test_a_slave_is_told_where_its_master_is(nameserver: NameServer) -> None:
    nameserver.register()
    reply = nameserver.register(broker_id=1, address="10.0.0.2:10911")
    assert reply.fields == {"masterAddr": A, "haServerAddr": "h:1"}


def test_the_term_in_the_header_counts_before_the_one_in_the_version(nameserver: NameServer) -> None:
    nameserver.register(ternTerm="5")
    reply = nameserver.register(address="10.0.0.2:10911", term=9, ternTerm="4")
    assert (reply.code, reply.remark) == (1, "leader of g registers with term 4, but term 5 has been seen")
    assert nameserver.register(address="10.0.0.2:10911", term=4).code == 1
    assert nameserver.register(address="10.0.0.2:10911", term=6).code == 0


def test_a_question_says_whether_the_table_is_known(nameserver: NameServer) -> None:
    version = DataVersion(1, 1, 1)
    assert nameserver.call(322, identity(), version.encode()).fields == {"changed": "true"}
    nameserver.register()
    reply = nameserver.call(322, identity(), version.encode())
    assert (reply.fields, reply.body) == ({"changed": "false"}, version.encode())


def test_routes_are_quoted_for_new_clients_and_unquoted_for_old_ones(nameserver: NameServer) -> None:
    nameserver.register()
    assert b'"brokerAddrs":{"0":' in nameserver.call(105, {"topic": "T"}).body
    assert b'"brokerAddrs":{0:' in nameserver.call(105, {"topic": "T"}, version=317).body
    assert (
        b'"brokerAddrs":{"0":'
        in nameserver.call(105, {"topic": "T", "acceptStandardJsonOnly": "true"}, version=317).body
    )
    assert b'"brokerAddrs":{0:' in nameserver.call(106).body


def test_a_kept_answer_is_dropped_when_the_table_changes(nameserver: NameServer) -> None:
    nameserver.register()
    first = nameserver.call(105, {"topic": "T"}).body
    assert nameserver.call(105, {"topic": "T"}).body is first
    nameserver.call(205, {"brokerName": "g"})
    assert nameserver.call(105, {"topic": "T"}).body != first


def test_the_order_of_a_topic_is_in_its_route_where_that_is_configured(tmp_path: Path) -> None:
    for with_order in (True, False):
        server = NameServer(tmp_path / str(with_order), with_order=with_order)
        server.register()
        before = server.call(105, {"topic": "T"}).body
        server.call(100, {"namespace": "ORDER_TOPIC_CONFIG", "key": "T", "value": "g:4"})
        after = decode_route(server.call(105, {"topic": "T"}).body)
        assert decode_route(before).order_topic_conf is None
        assert after.order_topic_conf == ("g:4" if with_order else None)
        assert decode_kv_table(server.register().body) == {"T": "g:4"}


def test_an_unknown_topic_has_no_route(nameserver: NameServer) -> None:
    reply = nameserver.call(105, {"topic": "T"})
    assert (reply.code, reply.remark) == (17, "No topic route info in name server for the topic: T")


def test_key_values_are_put_read_listed_and_deleted(nameserver: NameServer) -> None:
    pair = {"namespace": "n", "key": "k"}
    missing = nameserver.call(101, pair)
    assert (missing.code, missing.remark) == (22, "No config item, Namespace: n Key: k")
    assert nameserver.call(219, {"namespace": "n"}).code == 22
    assert nameserver.call(100, pair | {"value": "v"}).code == 0
    assert nameserver.call(101, pair).fields == {"value": "v"}
    assert decode_kv_table(nameserver.call(219, {"namespace": "n"}).body) == {"k": "v"}
    assert nameserver.call(102, pair).code == 0
    assert nameserver.call(101, pair).code == 22


def test_no_configuration_can_be_changed_and_none_that_is_shown_is_a_path(
    nameserver: NameServer, tmp_path: Path
) -> None:
    for body in (b"", b"orderMessageEnable=true", b"kvConfigPath=/tmp/x", b"configStorePath=/etc/passwd"):
        assert nameserver.call(318, {}, body).code == 16
    shown = nameserver.call(319).body
    assert b"listenPort=9876\n" in shown
    assert str(tmp_path).encode() not in shown


def test_topic_lists_and_counts(nameserver: NameServer) -> None:
    nameserver.register()
    assert decode_topic_list(nameserver.call(206).body) == ["T", "U"]
    assert decode_topic_list(nameserver.call(224, {"cluster": "c"}).body) == ["T", "U"]
    assert decode_topic_list(nameserver.call(304).body) == ["c", "g"]
    assert b'"brokerAddr":"10.0.0.1:10911"' in nameserver.call(304).body
    assert [decode_topic_list(nameserver.call(code).body) for code in (311, 312, 313)] == [[], [], []]
    assert nameserver.call(205, {"brokerName": "g"}).fields == {"wipeTopicCount": "2"}
    assert nameserver.call(327, {"brokerName": "g"}).fields == {"addTopicCount": "2"}


def test_a_topic_is_added_and_deleted_by_name(nameserver: NameServer) -> None:
    nameserver.register()
    body = TopicRouteData([], [QueueData("g", 6, 1, 0, 1)]).encode(standard=True)
    assert nameserver.call(217, {"topic": "N"}, body).code == 0
    assert nameserver.call(105, {"topic": "N"}).code == 0
    assert nameserver.call(217, {"topic": "../N"}, body).code == 29
    assert nameserver.call(217, {"topic": "N"}, b"{").code == 1
    assert nameserver.call(216, {"topic": "N"}).code == 0
    assert nameserver.call(105, {"topic": "N"}).code == 17


def test_a_broker_that_has_a_topic_no_more_says_so_by_name(nameserver: NameServer) -> None:
    nameserver.register()
    nameserver.register(broker_id=0, address="10.0.0.2:10911", brokerName="h")
    none = TopicRouteData().encode(standard=True)
    assert nameserver.call(217, {"topic": "T", "brokerName": "g"}, none).code == 0
    assert nameserver.call(105, {"topic": "T"}).code == 0, "as with a table without it: only where that deletes"
    nameserver.table._delete_missing_topics = True
    assert nameserver.call(217, {"topic": "T"}, none).code == 0
    assert nameserver.call(217, {"topic": "T", "brokerName": "g"}, none).code == 0
    route = decode_route(nameserver.call(105, {"topic": "T"}).body)
    assert [data.broker_name for data in route.queue_datas] == ["h"]


def test_a_member_group_and_a_heartbeat(nameserver: NameServer) -> None:
    nameserver.register()
    body = nameserver.call(901, {"clusterName": "c", "brokerName": "g"}).body
    assert body == b'{"brokerMemberGroup":{"brokerAddrs":{0:"10.0.0.1:10911"},"brokerName":"g","cluster":"c"}}'
    heartbeat = {"clusterName": "c", "brokerAddr": A, "brokerName": "g"}
    assert nameserver.call(RequestCode.BROKER_HEARTBEAT, heartbeat) == Reply()


def test_a_broker_that_unregisters_is_gone(nameserver: NameServer) -> None:
    nameserver.register()
    assert nameserver.call(104, identity()).code == 0
    assert nameserver.call(105, {"topic": "T"}).code == 17
