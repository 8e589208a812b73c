"""The routing table: the order of rules when a broker registers, who counts as alive, what routes say."""

import pytest

from ternmq.errors import NameTakenError, RegistrationRefusedError, StaleTermError
from ternmq.namesrv.route_table import (
    DEFAULT_TIMEOUT_MS,
    BrokerIdentity,
    Registered,
    Registration,
    RouteTable,
)
from ternmq.protocol.routes import QueueData
from ternmq.protocol.topics import DataVersion, TopicConfig

A, B, C = "10.0.0.1:10911", "10.0.0.2:10911", "10.0.0.3:10911"


def registration(
    broker_id: int,
    address: str,
    topics: tuple[str, ...] = ("T", "U"),
    *,
    name: str = "g",
    term: int = 1,
    counter: int = 1,
    queues: int = 4,
    timeout_ms: int | None = 10_000,
    connection: int = 1,
    acting: bool = False,
    is_current: bool = True,
    cluster: str = "c",
    group: str = "",
) -> Registration:
    return Registration(
        broker=BrokerIdentity(cluster, name, broker_id, address),
        topics={
            topic: TopicConfig(topic_name=topic, read_queue_nums=queues, write_queue_nums=queues) for topic in topics
        },
        version=DataVersion(counter, term, counter),
        term=term,
        ha_address=f"ha-{address}",
        timeout_ms=timeout_ms,
        is_current=is_current,
        acting_master=acting,
        connection_id=connection,
        group_id=group,
    )


def addresses(table: RouteTable, topic: str = "T") -> dict[int, str]:
    route = table.route(topic)
    return {} if route is None else route.broker_datas[0].broker_addrs


def queues(table: RouteTable, topic: str = "T") -> list[int]:
    route = table.route(topic)
    return [] if route is None else [data.write_queue_nums for data in route.queue_datas]


def test_a_route_names_all_replicas_and_the_masters_queues() -> None:
    table = RouteTable()
    assert table.register(registration(0, A), 0) == Registered()
    assert table.register(registration(2, B, connection=2), 0) == Registered(A, f"ha-{A}")
    assert addresses(table) == {0: A, 2: B}
    assert queues(table) == [4]


def test_an_unknown_topic_and_one_without_any_broker_have_no_route() -> None:
    table = RouteTable()
    assert table.route("T") is None
    table.register(registration(0, A), 0)
    table.unregister(BrokerIdentity("c", "g", 0, A))
    assert table.route("T") is None
    assert table.topics() == []
    assert table.cluster_info().cluster_addr_table == {}


def test_an_elected_follower_takes_id_0_and_loses_its_old_id() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(2, B), 0)
    table.register(registration(0, B, term=2), 1)
    assert addresses(table) == {0: B}
    table.register(registration(1, A, term=2), 2)
    assert addresses(table) == {0: B, 1: A}


def test_a_deposed_leader_that_registers_late_is_refused_with_both_terms() -> None:
    table = RouteTable()
    table.register(registration(0, B, term=3), 0)
    with pytest.raises(StaleTermError) as caught:
        table.register(registration(0, A, term=2, counter=9), 1)
    assert (caught.value.offered, caught.value.held) == (2, 3)
    assert addresses(table) == {0: B}


def test_another_group_of_the_same_name_is_refused_while_one_is_there_whatever_its_term() -> None:
    table = RouteTable()
    table.register(registration(0, A, term=3, group="one"), 0)
    for number, term in ((0, 2), (0, 3), (0, 9), (2, 9)):
        with pytest.raises(NameTakenError, match=f"g is another group, with {A}: two groups cannot have one name"):
            table.register(registration(number, B, term=term, group="other"), 1)
    assert addresses(table) == {0: A}
    table.register(registration(0, A, term=3, counter=2, group="one"), 2)
    table.register(registration(2, C, term=3, group="one"), 2)
    table.register(registration(3, B, term=3), 2)
    assert addresses(table) == {0: A, 2: C, 3: B}, "who does not say is no stranger"


def test_a_group_that_is_gone_leaves_its_name_to_another_that_begins_with_its_own_terms() -> None:
    table = RouteTable()
    table.register(registration(0, A, term=9, group="one"), 0)
    table.unregister(BrokerIdentity("c", "g", 0, A))
    with pytest.raises(StaleTermError):
        table.register(registration(0, A, term=8, group="one"), 1)
    table.register(registration(0, B, term=1, group="other"), 2)
    assert addresses(table) == {0: B}
    table.unregister(BrokerIdentity("c", "g", 0, B))
    with pytest.raises(StaleTermError):
        table.register(registration(0, B, term=0, group="other"), 3)


def test_an_older_term_stays_refused_after_the_newer_leader_is_gone() -> None:
    table = RouteTable()
    table.register(registration(0, B, term=3), 0)
    table.connection_closed(1)
    assert addresses(table) == {}
    with pytest.raises(StaleTermError):
        table.register(registration(0, A, term=2), 1)


def test_followers_never_fence_and_are_never_fenced() -> None:
    table = RouteTable()
    table.register(registration(0, A, term=3), 0)
    table.register(registration(2, B, term=1), 0)
    table.register(registration(2, B, term=7), 0)
    table.register(registration(0, A, term=3, counter=2), 0)
    assert addresses(table) == {0: A, 2: B}


def test_a_slave_whose_id_another_address_holds_with_a_newer_state_is_ignored() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(1, B, term=5), 0)
    assert table.register(registration(1, C, term=4), 0) == Registered()
    assert addresses(table) == {0: A, 1: B}


def test_a_first_registration_with_one_topic_is_refused_a_later_one_is_taken() -> None:
    table = RouteTable()
    with pytest.raises(RegistrationRefusedError):
        table.register(registration(0, A, ("T",)), 0)
    table.register(registration(0, A), 0)
    table.register(registration(0, A, ("T",), counter=2, queues=8), 0)
    assert queues(table) == [8]


def test_a_refused_registration_changes_nothing_not_even_the_term() -> None:
    table = RouteTable()
    with pytest.raises(RegistrationRefusedError):
        table.register(registration(0, A, ("T",), term=9), 0)
    table.register(registration(0, A, term=1), 0)
    assert addresses(table) == {0: A}


def test_topics_change_only_with_the_version() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(0, A, queues=8), 0)
    assert queues(table) == [4]
    table.register(registration(0, A, queues=8, counter=2), 0)
    assert queues(table) == [8]


def test_a_topic_that_a_registration_no_longer_names_stays_until_it_is_deleted() -> None:
    table = RouteTable()
    table.register(registration(0, A, ("T", "U", "V")), 0)
    table.register(registration(0, A, counter=2), 0)
    assert table.topics() == ["T", "U", "V"]
    table.delete_topic("V")
    assert table.topics() == ["T", "U"]


def test_a_topic_that_is_no_longer_named_goes_where_that_is_configured() -> None:
    table = RouteTable(delete_missing_topics=True)
    table.register(registration(0, A, ("T", "U", "V")), 0)
    table.register(registration(0, A, counter=2), 0)
    assert table.topics() == ["T", "U"]


def test_a_followers_topics_count_only_while_there_is_no_master_and_only_forwards() -> None:
    table = RouteTable()
    table.register(registration(2, B, counter=3, queues=4), 0)
    assert queues(table) == [4]
    table.register(registration(0, A, counter=5, queues=8), 0)
    table.register(registration(2, B, counter=6, queues=1), 0)
    assert queues(table) == [8]
    table.unregister(BrokerIdentity("c", "g", 0, A))
    table.register(registration(2, B, counter=4, queues=1), 0)
    assert queues(table) == [8]
    table.register(registration(2, B, counter=7, queues=16), 0)
    assert queues(table) == [16]


def test_a_slave_of_4_9_never_changes_topics() -> None:
    table = RouteTable()
    table.register(registration(1, B, is_current=False), 0)
    assert table.topics() == []


def test_a_slave_that_acts_as_master_takes_no_writes() -> None:
    table = RouteTable()
    table.register(registration(1, B, acting=True), 0)
    route = table.route("T")
    assert route is not None
    assert route.queue_datas[0].perm == 4


def test_the_last_replica_takes_topics_and_names_with_it_an_earlier_one_only_its_id() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(2, B), 0)
    table.unregister(BrokerIdentity("c", "g", 0, A))
    assert addresses(table) == {2: B}
    table.unregister(BrokerIdentity("c", "g", 2, B))
    assert table.route("T") is None


def test_a_deposed_leader_that_unregisters_does_not_take_the_new_one_with_it() -> None:
    table = RouteTable()
    table.register(registration(0, A, term=1), 0)
    table.register(registration(0, B, term=2), 0)
    table.unregister(BrokerIdentity("c", "g", 0, A))
    assert addresses(table) == {0: B}


def test_a_closed_connection_removes_at_once_who_registered_over_it_and_nobody_else() -> None:
    table = RouteTable()
    table.register(registration(0, A, connection=1), 0)
    table.register(registration(2, B, connection=2), 0)
    assert table.connection_closed(1) == [BrokerIdentity("c", "g", 0, A)]
    assert table.connection_closed(99) == []
    assert addresses(table) == {2: B}


def test_an_older_connection_that_closes_late_does_not_remove_who_moved_to_another() -> None:
    table = RouteTable()
    first = registration(0, A, connection=1)
    table.register(first, 0)
    changed, _ = table.query_version(first.broker, first.version, 1, connection_id=2)
    assert not changed
    assert table.connection_closed(1) == []
    assert addresses(table) == {0: A}


@pytest.mark.parametrize(("declared", "limit"), [(10_000, 10_000), (None, DEFAULT_TIMEOUT_MS)])
def test_a_silent_broker_is_gone_after_what_it_declared_or_two_minutes(declared: int | None, limit: int) -> None:
    table = RouteTable()
    table.register(registration(0, A, timeout_ms=declared), 1_000)
    assert table.expire(1_000 + limit) == []
    assert table.expire(1_001 + limit) == [BrokerIdentity("c", "g", 0, A)]
    assert table.route("T") is None


def test_questions_and_heartbeats_keep_a_broker_alive() -> None:
    table = RouteTable()
    first = registration(0, A)
    table.register(first, 0)
    table.query_version(first.broker, first.version, 9_000, 1)
    assert table.heartbeat(first.broker, 18_000, 1)
    assert table.expire(28_000) == []
    assert table.expire(28_001) != []
    assert not table.heartbeat(first.broker, 28_002, 1)


def test_a_question_is_answered_changed_where_anything_differs() -> None:
    table = RouteTable()
    first = registration(0, A, term=2)
    assert table.query_version(first.broker, first.version, 0, 1) == (True, None)
    table.register(first, 0)
    assert table.query_version(first.broker, first.version, 0, 1) == (False, first.version)
    newer = DataVersion(2, 2, 2)
    assert table.query_version(first.broker, newer, 0, 1) == (True, first.version)
    # Another leader took the id: the old one has to find out.
    table.register(registration(0, B, term=3), 0)
    assert table.query_version(first.broker, first.version, 0, 1)[0]


def test_wiping_and_adding_write_permission_touch_all_topics_of_one_group() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(0, B, name="h"), 0)
    assert table.wipe_write_permission("g") == 2
    route = table.route("T")
    assert route is not None
    assert [(data.broker_name, data.perm) for data in route.queue_datas] == [("g", 4), ("h", 6)]
    assert table.add_write_permission("g") == 2
    assert table.wipe_write_permission("unknown") == 0


def test_a_topic_is_added_for_registered_groups_only_and_deleted_by_cluster() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    table.register(registration(0, B, name="h", cluster="d"), 0)
    table.add_topic("N", [QueueData("g", 6, 1, 0, 1), QueueData("h", 6, 1, 0, 1), QueueData("x", 6, 1, 0, 1)])
    assert table.topics_of_cluster("c") == ["N", "T", "U"]
    table.delete_topic("N", "c")
    assert table.topics_of_cluster("c") == ["T", "U"]
    assert "N" in table.topics_of_cluster("d")


def test_lists_come_in_name_order_so_that_every_nameserver_answers_alike() -> None:
    one, other = RouteTable(), RouteTable()
    both = [registration(0, A, ("T", "U")), registration(0, B, ("U", "T", "S"), name="b", cluster="b")]
    for entry in both:
        one.register(entry, 0)
    for entry in reversed(both):
        other.register(entry, 0)
    assert one.topics() == other.topics() == ["S", "T", "U"]
    assert one.route("T") == other.route("T")
    assert one.cluster_info().encode() == other.cluster_info().encode()
    assert one.system_names() == other.system_names() == (["b", "c", "b", "g"], B)


def test_topics_are_found_by_their_unit_flags() -> None:
    table = RouteTable()
    topics = {
        name: TopicConfig(topic_name=name, topic_sys_flag=flag)
        for name, flag in (("p", 0), ("u", 1), ("s", 2), ("b", 3))
    }
    table.register(Registration(BrokerIdentity("c", "g", 0, A), topics, DataVersion()), 0)
    assert table.topics_with_flags(1) == ["b", "u"]
    assert table.topics_with_flags(2) == ["b", "s"]
    assert table.topics_with_flags(2, 1) == ["s"]


def test_a_member_group_of_another_cluster_or_name_has_nobody() -> None:
    table = RouteTable()
    table.register(registration(0, A), 0)
    assert table.member_group("c", "g").broker_addrs == {0: A}
    assert table.member_group("d", "g").broker_addrs == {}
    assert table.member_group("c", "x").broker_addrs == {}


def test_whatever_changes_a_route_changes_the_generation() -> None:
    table = RouteTable()
    seen = [table.generation]

    def moved() -> bool:
        seen.append(table.generation)
        return seen[-1] != seen[-2]

    table.register(registration(0, A), 0)
    assert moved()
    table.register(registration(0, A), 1)
    assert not moved()
    table.register(registration(2, B), 1)
    assert moved()
    table.register(registration(0, A, counter=2), 1)
    assert moved()
    table.wipe_write_permission("g")
    assert moved()
    table.delete_topic("U")
    assert moved()
    table.unregister(BrokerIdentity("c", "g", 2, B))
    assert moved()
