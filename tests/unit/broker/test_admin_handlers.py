"""What operators ask of a replica: topics, runtime information, leadership."""

import asyncio
import json
import threading
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from support.fake_engine import FakeEngine
from support.golden import golden_frames
from ternmq.broker.changes import Changes
from ternmq.broker.handlers.admin.replica import ReplicaHandlers
from ternmq.broker.handlers.admin.runtime import RuntimeHandlers
from ternmq.broker.handlers.admin.topics import TopicHandlers
from ternmq.broker.proposals import Proposals
from ternmq.broker.roles import Roles
from ternmq.errors import HeaderError, MQError
from ternmq.protocol.tables import decode_kv_table
from ternmq.remoting import Reply, Request

CREATE = {"topic": "orders", "readQueueNums": "8", "writeQueueNums": "4", "perm": "6", "defaultTopic": "TBW102"}


class Replica:
    """Handlers over a fake engine; leads in term 3."""

    def __init__(self) -> None:
        self.proposals = Proposals()
        self.engine = FakeEngine(self.proposals.decided)
        self.leader_address: str | None = "10.0.0.9:10911"
        self.roles = Roles(lambda: self.leader_address)
        self.roles.changed("leader", 3, "n0")
        changes = Changes(lambda: self.engine, self.roles, self.proposals)
        self.passed: list[tuple[str, dict[str, str]]] = []
        self.announced: list[tuple[list[str], list[str]]] = []
        own_names = frozenset({"c", "g"})
        self.topics = TopicHandlers(
            lambda: self.engine, changes, lambda: 3, own_names, self.forward_to_leader, self.announce
        )
        self.replica = ReplicaHandlers(
            lambda: self.engine, self.roles, frozenset({"n0", "n1", "n2"}), "raft", Path("/"), lambda: 0
        )

    async def forward_to_leader(self, address: str, request: Request) -> Reply:
        self.passed.append((address, request.fields))
        return Reply(0, "passed on")

    async def announce(self, topics: Collection[str]) -> None:
        self.announced.append((sorted(self.engine.rows), sorted(topics)))

    def create(self, **fields: str) -> Reply:
        return asyncio.run(self.topics.create(request(17, CREATE | fields)))


def request(code: int, fields: dict[str, str] | None = None, body: bytes = b"") -> Request:
    return Request(code, 513, 0, False, "127.0.0.1:1", 1, fields or {}, body)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_a_topic_is_created_and_answered_after_its_commit(replica: Replica) -> None:
    assert replica.create(attributes="+message.type=FIFO", order="true") == Reply()
    assert replica.engine.rows["orders"] == (
        "orders", 8, 4, 6, 0, True, "SINGLE_TAG", {"message.type": "FIFO"},
    )  # fmt: skip


def test_a_change_of_topics_is_announced_after_its_commit_and_a_refusal_is_not(replica: Replica) -> None:
    replica.create()
    asyncio.run(replica.topics.delete(request(215, {"topic": "orders"})))
    assert replica.announced == [(["orders"], ["orders"]), ([], ["orders"])]
    replica.roles.changed("follower", 4, "n1")
    assert replica.create().code == 14
    assert len(replica.announced) == 2


def test_a_topic_that_is_used_is_made_once_announced_and_never_changed(replica: Replica) -> None:
    def use(topic: str, queues: str) -> Reply:
        return asyncio.run(replica.topics.use(request(30003, {"topic": topic, "queues": queues})))

    assert use("orders", "8") == Reply()
    assert use("orders", "2") == Reply()
    assert replica.engine.rows["orders"][1:4] == (8, 8, 6)
    assert replica.announced == [(["orders"], ["orders"])] * 2
    for topic, queues in [("TBW102", "8"), ("a b", "8"), ("c", "8"), ("new", "0"), ("new", "16385")]:
        with pytest.raises(HeaderError):
            use(topic, queues)
    replica.roles.changed("follower", 4, "n1")
    assert use("new", "8").code == 14
    assert set(replica.engine.rows) == {"orders"}


def test_topics_that_tools_created_on_java_are_created_here(replica: Replica) -> None:
    frames = list(golden_frames("broker", 17, "c2s"))
    assert frames
    for frame in frames:
        assert asyncio.run(replica.topics.create(request(17, frame.fields))).code == 0, frame.where
        row = replica.engine.rows[frame.fields["topic"]]
        assert (str(row[1]), str(row[2])) == (frame.fields["readQueueNums"], frame.fields["writeQueueNums"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("topic", ""),
        ("topic", "../x"),
        ("topic", "TBW102"),
        ("topic", "rmq_sys_x"),
        ("topic", "c"),
        ("topic", "g"),
        ("readQueueNums", "0"),
        ("readQueueNums", "-1"),
        ("writeQueueNums", "16385"),
        ("writeQueueNums", "many"),
        ("perm", "8"),
        ("perm", ""),
        ("topicSysFlag", "4"),
        ("topicFilterType", "ANY"),
    ],
)
def test_a_field_that_breaks_a_rule_is_refused_with_29_before_anything_is_proposed(
    replica: Replica, field: str, value: str
) -> None:
    with pytest.raises(HeaderError) as caught:
        replica.create(**{field: value})
    assert caught.value.code == 29
    assert replica.engine.rows == {}


def test_an_attribute_that_breaks_a_rule_is_refused_with_29(replica: Replica) -> None:
    with pytest.raises(MQError) as caught:
        replica.create(attributes="+colour=red")
    assert caught.value.code == 29


def test_a_change_keeps_the_attributes_that_it_does_not_name(replica: Replica) -> None:
    replica.create(attributes="+message.type=FIFO")
    replica.create(writeQueueNums="16")
    assert replica.engine.rows["orders"][2] == 16
    assert replica.engine.rows["orders"][7] == {"message.type": "FIFO"}


def test_many_topics_are_all_checked_before_the_first_is_proposed(replica: Replica) -> None:
    good: dict[str, object] = {
        "topicName": "one",
        "readQueueNums": 2,
        "writeQueueNums": 2,
        "attributes": {"+message.type": "FIFO"},
    }
    for bad in ({"topicName": "TBW102"}, {"topicName": "../x"}, {"topicName": "two", "perm": 8}, {"topicName": ""}):
        with pytest.raises(HeaderError):
            asyncio.run(replica.topics.create_many(_many([good, bad])))
    assert replica.engine.rows == {}
    assert asyncio.run(replica.topics.create_many(_many([good, {"topicName": "two"}]))) == Reply()
    assert replica.engine.rows["one"] == ("one", 2, 2, 6, 0, False, "SINGLE_TAG", {"message.type": "FIFO"})
    assert replica.engine.rows["two"][1:3] == (16, 16)


def test_no_more_than_a_thousand_topics_are_taken_at_once(replica: Replica) -> None:
    with pytest.raises(HeaderError, match="1001 topics"):
        asyncio.run(replica.topics.create_many(_many([{"topicName": "x"}] * 1_001)))


def _many(topics: Sequence[Mapping[str, object]]) -> Request:
    return request(18, body=json.dumps({"topicConfigList": topics}).encode())


def test_a_topic_is_deleted_by_the_leader_to_whom_a_follower_passes_it_on_once(replica: Replica) -> None:
    replica.create()
    for topic in ("orders", "orders", "%RETRY%never-there"):
        assert asyncio.run(replica.topics.delete(request(215, {"topic": topic}))) == Reply()
    assert replica.engine.rows == {}
    replica.roles.changed("follower", 4, "n1")
    passed = {"topic": "orders", "ternPassedOn": "true"}
    assert asyncio.run(replica.topics.delete(request(215, passed))).code == 14
    assert asyncio.run(replica.topics.delete(request(215, {"topic": "orders"}))) == Reply(0, "passed on")
    assert replica.passed == [("10.0.0.9:10911", passed)]
    replica.leader_address = None
    assert asyncio.run(replica.topics.delete(request(215, {"topic": "orders"}))).code == 14


@pytest.mark.parametrize("topic", ["", " ", "TBW102", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x", "c", "g", "../x"])
def test_a_topic_of_the_broker_or_of_no_legal_name_is_not_deleted(replica: Replica, topic: str) -> None:
    with pytest.raises(HeaderError) as caught:
        asyncio.run(replica.topics.delete(request(215, {"topic": topic})))
    assert caught.value.code == 29


def test_a_replica_that_does_not_lead_answers_14_and_says_where_the_leader_is(replica: Replica) -> None:
    replica.roles.changed("follower", 4, "n1")
    reply = replica.create()
    assert reply.code == 14
    assert reply.fields == {"leaderAddr": "10.0.0.9:10911", "leaderTerm": "4"}
    assert reply.remark == "this replica does not lead its group; it is 10.0.0.9:10911 in term 4"
    replica.leader_address = None
    assert replica.create().fields == {"leaderTerm": "4"}
    assert replica.engine.rows == {}


def test_leadership_lost_while_proposing_is_answered_14_with_the_same_hint(replica: Replica) -> None:
    replica.engine.verdict = (14, "this replica is stopping")
    reply = replica.create()
    assert (reply.code, reply.remark) == (14, "this replica is stopping")
    assert reply.fields == {"leaderAddr": "10.0.0.9:10911", "leaderTerm": "3"}


def test_an_undecided_proposal_is_answered_as_unknown(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ternmq.broker.proposals._LONGEST_SECONDS", 0.0)
    replica.engine.verdict = None
    assert replica.create() == Reply(1, "outcome unknown: it may still be applied")


def test_an_outcome_that_nobody_waits_for_is_passed_over(replica: Replica) -> None:
    replica.proposals.decided(99, 0, None)


def test_runtime_information_has_every_key_that_java_answers(replica: Replica, tmp_path: Path) -> None:
    runtime = RuntimeHandlers(lambda: replica.engine, tmp_path)
    ours = decode_kv_table(asyncio.run(runtime.show(request(28))).body)
    frames = [frame for frame in golden_frames("broker", 28, "s2c") if frame.body]
    assert frames
    for frame in frames:
        theirs = {
            key
            for key in decode_kv_table(frame.body)
            if not key.startswith(("scheduleMessageOffset_", "commitLogDiskRatio_"))
        }
        assert theirs <= set(ours), frame.where
    # The exporter reads it; Java dropped it.
    assert ours["brokerVersion"] == "513"
    assert ours["commitLogMaxOffset"] == "4096"


def test_runtime_rates_come_from_the_engines_totals(replica: Replica, tmp_path: Path) -> None:
    runtime = RuntimeHandlers(lambda: replica.engine, tmp_path)
    for second in range(3):
        replica.engine.totals = {
            "put_messages": 50 * second, "put_bytes": 5_000 * second, "put_failed": 4,
            "get_messages": 90 * second, "get_found": 3 * second, "get_missed": 2 * second,
            # Those that were read at the start are not of the clients.
            "messages_applied": 1_000_000,
        }  # fmt: skip
        runtime.sample(float(second), date(2026, 11, 24))
    table = runtime.table(0, -1)
    expected = {
        "putTps": 50.0, "getTransferredTps": 90.0, "getTransferedTps": 90.0, "getFoundTps": 3.0, "getMissTps": 2.0,
        "getTotalTps": 5.0,
    }  # fmt: skip
    assert {name: table[name] for name in expected} == {
        name: " ".join([str(tps)] * 3) for name, tps in expected.items()
    }
    assert (table["msgPutTotalTodayNow"], table["msgGetTotalTodayNow"]) == ("100", "180")
    assert (table["putMessageTimesTotal"], table["putMessageFailedTimes"]) == ("100", "4")
    assert (table["putMessageSizeTotal"], table["putMessageAverageSize"]) == ("10000", "100.0")


def test_runtime_totals_of_the_day_begin_at_midnight(replica: Replica, tmp_path: Path) -> None:
    runtime = RuntimeHandlers(lambda: replica.engine, tmp_path)
    for day, puts in ((22, 5), (22, 7), (23, 30), (23, 60), (24, 100)):
        replica.engine.totals = {"put_messages": puts}
        runtime.sample(0.0, date(2026, 11, day))
    replica.engine.totals = {"put_messages": 107}
    table = runtime.table(0, -1)
    names = ("msgPutTotalYesterdayMorning", "msgPutTotalTodayMorning", "msgPutTotalTodayNow")
    assert [table[name] for name in names] == ["30", "100", "107"]
    assert table["msgGetTotalTodayMorning"] == "0"


def test_runtime_information_shows_the_oldest_message_and_the_delay_levels(replica: Replica, tmp_path: Path) -> None:
    replica.engine.parts, replica.engine.delays = [None, 1_795_499_601_648], {1: (4, 4), 3: (2, 9)}
    replica.engine.state["applied_position"] = 4_000
    runtime = RuntimeHandlers(lambda: replica.engine, tmp_path)
    table = decode_kv_table(asyncio.run(runtime.show(request(28))).body)
    assert table["earliestMessageTimeStamp"] == "1795499601648"
    levels = {name: value for name, value in table.items() if name.startswith("scheduleMessageOffset_")}
    assert levels == {"scheduleMessageOffset_1": "4,4", "scheduleMessageOffset_3": "2,9"}
    assert table["dispatchBehindBytes"] == "96"


def test_runtime_information_shows_damage_of_the_log_and_clocks_that_were_wrong(
    replica: Replica, tmp_path: Path
) -> None:
    runtime = RuntimeHandlers(lambda: replica.engine, tmp_path)
    table = runtime.table(0, -1)
    assert (table["rotDetected"], table["storeTimestampFalls"]) == ("0", "0")
    replica.engine.totals = {"rot_detected": 3, "timestamp_falls": 1}
    table = runtime.table(0, -1)
    assert (table["rotDetected"], table["storeTimestampFalls"]) == ("3", "1")


def test_a_replica_shows_its_state(replica: Replica) -> None:
    shown = json.loads(asyncio.run(replica.replica.status(request(30_001))).body)
    assert shown["term"] == 3
    (follower,) = shown["followers"]
    assert follower == {
        "member": "n1", "address": "127.0.0.1:10912", "last_index": 70, "bytes_behind": 3_000, "lag_ms": 250
    }  # fmt: skip


def test_where_followers_stand_is_read_off_the_event_loop(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[threading.Thread] = []

    def followers() -> list[object]:
        readers.append(threading.current_thread())
        return []

    monkeypatch.setattr(replica.engine, "followers", followers)
    asyncio.run(replica.replica.status(request(30_001)))
    assert len(readers) == 1
    assert readers[0] is not threading.current_thread()


def test_leadership_is_handed_to_a_member_by_the_leader_only(replica: Replica) -> None:
    assert replica.replica.transfer(request(30_002, {"member": "n1"})) == Reply()
    assert replica.engine.transferred == ["n1"]
    with pytest.raises(HeaderError, match="it has n0, n1, n2"):
        replica.replica.transfer(request(30_002, {"member": "n7"}))
    replica.roles.changed("follower", 4, "n1")
    assert replica.replica.transfer(request(30_002, {"member": "n1"})).code == 14
    assert replica.engine.transferred == ["n1"]


def test_each_role_is_told_once(replica: Replica) -> None:
    told: list[str] = []
    replica.roles.on_change(lambda role: told.append(f"{role.name} {role.term}"))
    replica.roles.changed("follower", 4, None)
    replica.roles.changed("follower", 4, None)
    replica.roles.changed("follower", 4, "n1")
    assert told == ["follower 4", "follower 4"]
    assert not replica.roles.current.is_leader


def test_a_slave_is_promoted_when_that_is_forced_and_says_where_it_stands(replica: Replica) -> None:
    refused = replica.replica.promote(request(30_004, {}))
    assert (refused.code, "may be lost" in (refused.remark or "")) == (1, True)
    answer = replica.replica.promote(request(30_004, {"force": "true"}))
    assert answer == Reply(fields={"lastIndex": "7", "storedTimestamp": "1700000000000"})
    with pytest.raises(HeaderError, match="neither true nor false"):
        replica.replica.promote(request(30_004, {"force": "yes"}))
