"""With whom a topic is shared, and in what members of a group do not agree."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ternmq.client.allocation import allocate_average
from ternmq.client.group_members import GroupMembers, read_members
from ternmq.errors import BodyError
from ternmq.protocol.tables import SubscriptionSet

AGAIN = "%RETRY%g"


def _set(*topics: str, ours: bool = True, tags: str = "*") -> SubscriptionSet:
    return SubscriptionSet(shares_by_topic=ours, subscriptions={**dict.fromkeys(topics, tags), AGAIN: "*"})


def _members(**subscription_sets: SubscriptionSet) -> GroupMembers:
    return GroupMembers(tuple(sorted(subscription_sets)), subscription_sets)


def test_a_topic_is_shared_by_those_who_read_it() -> None:
    members = _members(a=_set("T"), b=_set("U"), c=_set("T", "U"))
    assert [members.sharers(topic) for topic in ("T", "U", AGAIN)] == [("a", "c"), ("b", "c"), ("a", "b", "c")]
    assert not members.disputes()


def test_with_a_reader_of_another_library_it_is_shared_as_that_one_shares_it() -> None:
    members = _members(a=_set("T"), b=_set("U"), java=_set("T", ours=False))
    assert members.sharers("T") == ("a", "b", "java")
    assert members.sharers("U") == ("b",)
    (dispute,) = members.disputes()
    assert all(words in dispute for words in ("topic T", "yes: a, java", "no: b"))


@pytest.mark.parametrize(
    "subscription_sets", [None, {"a": _set("T")}], ids=["a stock broker", "one member has not said it yet"]
)
def test_where_not_all_is_known_the_whole_group_shares(subscription_sets: dict[str, SubscriptionSet] | None) -> None:
    members = GroupMembers(("a", "b"), subscription_sets)
    assert members.sharers("T") == ("a", "b")
    assert not members.disputes()


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.sets(st.sampled_from("TUV")), min_size=1),
    st.integers(1, 20),
)
def test_every_queue_of_a_topic_that_somebody_reads_is_read_by_one_of_those(
    reading: dict[str, set[str]], count: int
) -> None:
    members = _members(**{name: _set(*topics) for name, topics in reading.items()})
    for topic in set().union(*reading.values()):
        readers = [name for name in members.ids if topic in reading[name]]
        parts = [allocate_average(range(count), members.sharers(topic), name) for name in readers]
        assert sorted(queue for part in parts for queue in part) == list(range(count))


def test_different_filters_are_a_dispute_that_names_both_sides() -> None:
    (dispute,) = _members(a=_set("T", tags="x"), b=_set("T", tags="y"), c=_set("T", tags="x")).disputes()
    assert "topic T" in dispute
    assert "'x': a, c; 'y': b" in dispute


def test_it_is_known_whether_what_comes_again_may_go_astray() -> None:
    assert _members(a=_set("T", "U"), b=_set("T")).all_read("T", AGAIN)
    assert not _members(a=_set("T", "U"), b=_set("T")).all_read("U", AGAIN)
    puller = SubscriptionSet(True, {"T": "*"})
    assert _members(a=_set("T", "U"), b=puller).all_read("U", AGAIN)
    assert GroupMembers(("a", "b")).all_read("T", AGAIN)


@pytest.mark.parametrize("places", [[0], [0, 5], [0, 0, 0]])
def test_a_list_whose_parts_do_not_belong_together_is_refused(places: list[int]) -> None:
    body = {"consumerIdList": ["b", "a"], "setOfConsumer": places, "subscriptionSets": [{"subscriptions": {"T": "*"}}]}
    with pytest.raises(BodyError):
        read_members(json.dumps(body).encode())


def test_a_list_is_read_with_what_is_not_known_yet() -> None:
    body = {"consumerIdList": ["b", "a"], "setOfConsumer": [0, -1], "subscriptionSets": [{"subscriptions": {"T": "*"}}]}
    members = read_members(json.dumps(body).encode())
    assert members == (("a", "b"), {"b": SubscriptionSet(False, {"T": "*"})})
