"""How far members are, as they and their leader say."""

from ternmq.admin import FollowerStatus, ReplicaRow, ReplicaStatus, replica_rows

SLAVE = FollowerStatus("n1", last_index=70, bytes_behind=3_000, lag_ms=250, address="a1:1")
MASTER = ReplicaStatus("leader", 5, "n0", "n0", 100, (SLAVE,))


def test_a_member_that_answers_has_its_own_place_and_the_lag_that_its_leader_counts() -> None:
    shown = replica_rows("g", {"a1:1": ReplicaStatus("follower", 5, "n1", "n0", 90), "a0:1": MASTER})
    assert shown == [
        ReplicaRow("g", "n0", "leader", 5, 100, 0, "a0:1", 0, 0),
        ReplicaRow("g", "n1", "follower", 5, 90, 10, "a1:1", 250, 3_000),
    ]


def test_of_a_member_that_does_not_answer_its_leader_tells() -> None:
    shown = replica_rows("g", {"a0:1": MASTER})
    assert shown[1] == ReplicaRow("g", "n1", "silent", 5, 70, 30, "a1:1", 250, 3_000)


def test_without_a_leader_nobody_knows_the_lag() -> None:
    (shown,) = replica_rows("g", {"a1:1": ReplicaStatus("follower", 5, "n1", None, 90)})
    assert (shown.lag_ms, shown.bytes_behind, shown.frames_behind) == (None, None, 0)


def test_of_two_that_say_that_they_lead_the_newer_one_is_believed() -> None:
    deposed = ReplicaStatus("leader", 4, "n1", "n1", 80, (FollowerStatus("n0", 1, 1, 1),))
    lags = {row.member: row.lag_ms for row in replica_rows("g", {"a1:1": deposed, "a0:1": MASTER})}
    assert lags == {"n0": 0, "n1": 250}


def test_a_leader_that_has_not_heard_of_a_member_says_nothing_of_it() -> None:
    silent_leader = ReplicaStatus("leader", 5, "n0", "n0", 100)
    follower = ReplicaStatus("follower", 5, "n1", "n0", 100)
    assert [row.lag_ms for row in replica_rows("g", {"a0:1": silent_leader, "a1:1": follower})] == [0, None]
