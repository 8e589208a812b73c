"""A wall clock that is wrong for a moment costs no more than that moment, whoever leads afterwards."""

import json
import struct
import time
from pathlib import Path

import pytest

from fault.test_nameservers_stand_alone import make_topic
from support.clocks import WrongClocks
from support.cluster import Cluster, MakeCluster
from support.processes import wait_for
from support.speaker import PULL, SEND, ask, pull_fields, send_fields

TOPIC = "t"
YEAR_MS = 365 * 24 * 3600 * 1000
LOCK_QUEUES = 41
# One second of delay, and a machine that is busy; a clock that holds messages back does so for a year.
SOON_SECONDS = 15
# Where the store timestamp stands in a record whose hosts have IPv4 addresses.
STORED_AT = 56


@pytest.fixture
def clocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WrongClocks:
    return WrongClocks(tmp_path, monkeypatch)


def send(cluster: Cluster, queue: int, body: bytes, level: str = "") -> None:
    """Send a message to the master, with a delay level perhaps."""
    properties = {"DELAY": level} if level else {}
    answer = ask(cluster.address(cluster.leader()), SEND, send_fields(TOPIC, queue, properties), body)
    assert answer.code == 0, answer.remark


def stored(cluster: Cluster, queue: int) -> bytes:
    """Up to 32 records of a queue as they are stored."""
    answer = ask(cluster.address(cluster.leader()), PULL, pull_fields(TOPIC, queue, 0))
    return answer.body if answer.code == 0 else b""


def put_a_year_ahead(cluster: Cluster, clocks: WrongClocks) -> None:
    """Store a message while the master's clock is a year ahead, which is seen in it, and make the clock right again."""
    pid = cluster.identity(cluster.leader()).pid
    clocks.move(pid, YEAR_MS)
    send(cluster, 1, b"plain")
    send(cluster, 2, b"from a year ahead", "1")
    clocks.move(pid, 0)
    wait_for(lambda: stored(cluster, 1) != b"", SOON_SECONDS, "the plain message")
    (stamp_ms,) = struct.unpack_from(">q", stored(cluster, 1), STORED_AT)
    assert stamp_ms - time.time() * 1000 > YEAR_MS / 2, "the clock was moved"


def check_delays(cluster: Cluster, body: bytes) -> None:
    """What is sent now with the shortest delay comes soon."""
    send(cluster, 0, body, "1")
    wait_for(lambda: body in stored(cluster, 0), SOON_SECONDS, f"{body!r} after one second")


@pytest.mark.long
def test_a_clock_a_year_ahead_for_a_moment_holds_no_delayed_message_back(
    make_cluster: MakeCluster, clocks: WrongClocks
) -> None:
    cluster = make_cluster()
    make_topic(cluster, TOPIC)
    check_delays(cluster, b"before")
    put_a_year_ahead(cluster, clocks)
    check_delays(cluster, b"after")
    wait_for(lambda: b"from a year ahead" in stored(cluster, 2), SOON_SECONDS, "what was stored then")
    first = cluster.leader()
    cluster.kill(first)
    cluster.leader(other_than=first)
    check_delays(cluster, b"on the next master")


@pytest.mark.long
def test_a_clock_that_jumps_gives_no_queue_to_a_second_client(make_cluster: MakeCluster, clocks: WrongClocks) -> None:
    cluster = make_cluster()
    make_topic(cluster, TOPIC)
    leader = cluster.leader()

    def lock(client: str) -> list[int]:
        queues = [{"brokerName": cluster.group, "queueId": queue, "topic": TOPIC} for queue in (0, 1)]
        body = json.dumps({"clientId": client, "consumerGroup": "g", "mqSet": queues}).encode()
        answer = ask(cluster.address(leader), LOCK_QUEUES, {}, body)
        assert answer.code == 0, answer.remark
        return [queue["queueId"] for queue in json.loads(answer.body)["lockOKMQSet"]]

    assert (lock("a"), lock("b")) == ([0, 1], [])
    for jump_ms in (90_000, YEAR_MS, -YEAR_MS, 0):
        clocks.move(cluster.identity(leader).pid, jump_ms)
        assert (lock("b"), lock("a")) == ([], [0, 1]), f"{jump_ms} ms"


@pytest.mark.long
def test_clocks_of_all_members_that_jump_bring_no_election(make_cluster: MakeCluster, clocks: WrongClocks) -> None:
    cluster = make_cluster()
    make_topic(cluster, TOPIC)
    leader = cluster.leader()
    follower = next(name for name in cluster.members() if name != leader)

    def term() -> str:
        refused = ask(cluster.address(follower), SEND, send_fields(TOPIC, 0, {}), b"m")
        return refused.fields["leaderTerm"]

    before = term()
    for jump_ms in (YEAR_MS, -YEAR_MS, 0):
        for name in cluster.members():
            clocks.move(cluster.identity(name).pid, jump_ms)
        # Takes longer than an election's time-out.
        check_delays(cluster, f"{jump_ms} ms".encode())
        assert (cluster.leader(), term()) == (leader, before)
