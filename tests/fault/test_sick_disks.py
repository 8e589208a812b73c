"""A disk that hangs or is slow, under a process that is well otherwise: leadership moves off it (D13, L41)."""

import json
from pathlib import Path

import pytest

from fault.test_disk_errors import Sender, sending
from fault.test_nameservers_stand_alone import make_topic
from support.cluster import Cluster, MakeCluster
from support.disks import DiskTroubles, Trouble
from support.processes import wait_for
from support.speaker import SpeakerError, ask

TOPIC = "t"
REPLICA_STATUS, TRANSFER_LEADER = 30001, 30002
# Some 16 a second.
SLOW = Trouble("sync", "/log/", milliseconds=60)
HANGS = Trouble("sync", "/log/", milliseconds=8_000)
# Eight syncs, three seconds, and a machine that is busy.
SLOW_MOVES_WITHIN, HANGING_MOVES_WITHIN = 20, 10
WELL_WITHIN = 30


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskTroubles:
    return DiskTroubles(tmp_path, monkeypatch)


def disk(cluster: Cluster, name: str) -> str:
    """How a replica says that its disk is."""
    try:
        shown: dict[str, str] = json.loads(ask(cluster.address(name), REPLICA_STATUS).body)
    except SpeakerError:
        return "silent"
    return shown["disk_condition"]


def hand_over(cluster: Cluster, name: str) -> None:
    answer = ask(cluster.address(cluster.leader()), TRANSFER_LEADER, {"member": name.rsplit("/", 1)[1]})
    assert answer.code == 0, answer.remark


def moves_off(cluster: Cluster, disks: DiskTroubles, sender: Sender, trouble: Trouble, within: float) -> str:
    """The leader's disk has this trouble: another one leads in time, and sends go on; the one that led."""
    leader = cluster.leader()
    disks.begin(cluster.identity(leader).pid, trouble)
    wait_for(lambda: cluster.master() not in {None, leader}, within, f"another one to lead than {leader}")
    sender.goes_on()
    assert cluster.identity(leader).is_alive()
    return leader


@pytest.mark.timeout(240)
def test_leadership_moves_off_a_disk_that_is_slow_or_hangs_and_may_come_back_when_it_is_well(
    make_cluster: MakeCluster, disks: DiskTroubles
) -> None:
    cluster = make_cluster()
    make_topic(cluster, TOPIC)
    with sending(cluster) as sender:
        slow = moves_off(cluster, disks, sender, SLOW, SLOW_MOVES_WITHIN)
        assert disk(cluster, slow) == "slow"
        log = cluster.log(slow).read_text()
        assert "the disk of this replica is slow: its syncs take 6" in log, log[-1500:]
        others = [name for name in cluster.brokers if name != slow]
        assert [disk(cluster, name) for name in others] == ["well", "well"]
        # It is asked to lead, and does not.
        hand_over(cluster, slow)
        for _ in range(20):
            sender.goes_on()
            assert cluster.master() != slow
        disks.begin(cluster.identity(slow).pid)
        wait_for(lambda: disk(cluster, slow) == "well", WELL_WITHIN, f"the disk of {slow} to be well")
        hand_over(cluster, slow)
        wait_for(lambda: cluster.master() == slow, 20, f"{slow} to lead again")

        hung = moves_off(cluster, disks, sender, HANGS, HANGING_MOVES_WITHIN)
        assert disk(cluster, hung) == "hangs"
        disks.begin(cluster.identity(hung).pid)
        wait_for(lambda: disk(cluster, hung) == "well", WELL_WITHIN, f"the disk of {hung} to be well")
        sender.goes_on()
    assert len(set(sender.acked)) == len(sender.acked), "no place is told twice"
