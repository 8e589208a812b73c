"""What operators ask of a replica about subscription groups."""

import asyncio
import json

import pytest

from support.fake_engine import FakeEngine
from support.golden import golden_frames
from ternmq.broker.changes import Changes
from ternmq.broker.handlers.admin.groups import GroupHandlers
from ternmq.broker.proposals import Proposals
from ternmq.broker.roles import Roles
from ternmq.errors import BodyError, HeaderError
from ternmq.protocol.groups import GroupConfig, decode_group_config, decode_group_table
from ternmq.remoting import Reply, Request


class Replica:
    """Handlers over a fake engine; leads in term 3."""

    def __init__(self) -> None:
        proposals = Proposals()
        self.engine = FakeEngine(proposals.decided)
        self.roles = Roles(lambda: "10.0.0.9:10911")
        self.roles.changed("leader", 3, "n0")
        self.groups = GroupHandlers(lambda: self.engine, Changes(lambda: self.engine, self.roles, proposals), lambda: 3)

    def put(self, **members: object) -> Reply:
        body = json.dumps({"groupName": "billing"} | members).encode()
        return asyncio.run(self.groups.create(request(200, body=body)))

    def delete(self, **fields: str) -> Reply:
        return asyncio.run(self.groups.delete(request(207, fields)))


def request(code: int, fields: dict[str, str] | None = None, body: bytes = b"") -> Request:
    return Request(code, 513, 0, False, "127.0.0.1:1", 1, fields or {}, body)


@pytest.fixture
def replica() -> Replica:
    return Replica()


def test_a_group_that_a_tool_made_on_java_is_shown_as_it_was_sent(replica: Replica) -> None:
    frames = list(golden_frames("broker", 200, "c2s"))
    assert frames
    for frame in frames:
        assert asyncio.run(replica.groups.create(request(200, body=frame.body))) == Reply(), frame.where
        name = decode_group_config(frame.body).group_name
        assert replica.groups.one(request(352, {"group": name})).body == frame.body


def test_members_that_a_body_lacks_have_javas_defaults(replica: Replica) -> None:
    assert replica.put(retryMaxTimes=3) == Reply()
    shown = decode_group_config(replica.groups.one(request(352, {"group": "billing"})).body)
    assert shown == GroupConfig(group_name="billing", retry_max_times=3)


@pytest.mark.parametrize(
    "policy",
    [
        {"type": "CUSTOMIZED", "customizedRetryPolicy": {"next": [1000, 5000]}},
        {"type": "EXPONENTIAL", "exponentialRetryPolicy": {"initial": 1000, "max": 60000, "multiplier": 3}},
    ],
)
def test_a_retry_policy_is_shown_as_it_was_sent(replica: Replica, policy: dict[str, object]) -> None:
    assert replica.put(groupRetryPolicy=policy) == Reply()
    shown = json.loads(replica.groups.one(request(352, {"group": "billing"})).body)
    assert shown["groupRetryPolicy"] == policy


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("groupName", ""),
        ("groupName", "../x"),
        ("groupName", "g" * 121),
        ("brokerId", -1),
        ("retryMaxTimes", 1 << 31),
        ("retryQueueNums", 16_385),
        ("consumeTimeoutMinute", -1),
        ("attributes", {"+colour": "red"}),
        ("groupRetryPolicy", {"type": "NEVER"}),
        ("groupRetryPolicy", {"type": "CUSTOMIZED", "customizedRetryPolicy": {"next": [-1]}}),
        ("groupRetryPolicy", {"type": "EXPONENTIAL", "exponentialRetryPolicy": {"multiplier": 1 << 64}}),
    ],
)
def test_a_member_that_breaks_a_rule_is_refused_before_anything_is_proposed(
    replica: Replica, member: str, value: object
) -> None:
    with pytest.raises((HeaderError, BodyError)):
        replica.put(**{member: value})
    assert replica.engine.group_rows == {}


def test_many_groups_are_all_checked_before_the_first_is_proposed(replica: Replica) -> None:
    good, bad = {"groupName": "a"}, {"groupName": "../b"}
    for configs, made in (([good, bad], []), ([good, {"groupName": "b"}], ["a", "b"])):
        body = json.dumps({"groupConfigList": configs}).encode()
        if made:
            assert asyncio.run(replica.groups.create_many(request(225, body=body))) == Reply()
        else:
            with pytest.raises(HeaderError):
                asyncio.run(replica.groups.create_many(request(225, body=body)))
        assert list(replica.engine.group_rows) == made


def test_a_group_is_deleted_with_its_offsets_only_if_that_is_asked(replica: Replica) -> None:
    replica.put()
    assert replica.delete(groupName="billing", cleanOffset="false") == Reply()
    assert (replica.engine.group_rows, replica.engine.cleaned) == ({}, [])
    assert replica.delete(groupName="billing", cleanOffset="true") == Reply()
    assert replica.engine.cleaned == ["billing"]
    with pytest.raises(HeaderError):
        replica.delete()


def test_only_the_leader_changes_groups(replica: Replica) -> None:
    replica.roles.changed("follower", 4, "n1")
    for reply in (replica.put(), replica.delete(groupName="billing")):
        assert (reply.code, reply.fields) == (14, {"leaderAddr": "10.0.0.9:10911", "leaderTerm": "4"})
    assert replica.engine.group_rows == {}


def test_all_groups_are_shown_at_once_or_page_by_page(replica: Replica) -> None:
    for name in "abc":
        replica.put(groupName=name)
    reply = replica.groups.all(request(201))
    table = decode_group_table(reply.body)
    assert (list(table.subscription_group_table), reply.fields) == (["a", "b", "c"], {"totalGroupNum": "3"})
    version = json.dumps({"counter": 3, "stateVersion": 3, "timestamp": 0})
    paging = {"groupSeq": "2", "maxGroupNum": "2", "dataVersion": version}
    assert names(replica.groups.all(request(201, paging))) == ["c"]
    # The table has changed since the last page: the tool begins again.
    assert names(replica.groups.all(request(201, paging | {"dataVersion": version.replace("3", "2")}))) == ["a", "b"]
    assert names(replica.groups.all(request(201, paging | {"groupSeq": "9"}))) == []
    with pytest.raises(HeaderError):
        replica.groups.all(request(201, paging | {"dataVersion": "{"}))
    with pytest.raises(HeaderError):
        replica.groups.all(request(201, paging | {"maxGroupNum": "0"}))


def test_an_unknown_group_is_answered_with_26(replica: Replica) -> None:
    assert replica.groups.one(request(352, {"group": "nobody"})).code == 26


def names(reply: Reply) -> list[str]:
    return list(decode_group_table(reply.body).subscription_group_table)
