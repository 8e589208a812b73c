"""An error of a disk ends its process within a second, with one reason, and the others go on (D4, R2)."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fault.test_nameservers_stand_alone import make_topic
from support.cluster import Cluster, MakeCluster
from support.disks import DiskTroubles, Trouble
from support.processes import Identity, wait_for
from support.speaker import SEND, SpeakerError, ask, send_fields

TOPIC = "t"
ENDS_WITHIN_SECONDS = 1.0
# Between the end of a process and the look that shows it, on a machine that is busy.
LOOK_SECONDS = 0.3
STOPS = "CRITICAL ternmq.broker this replica stops: "
FAILED = "failed: "


class Sender(threading.Thread):
    """Sends one message after the other to whoever leads, and remembers what was acknowledged."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self.acked: list[int] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._stopped.wait(0.005):
            master = self._cluster.master()
            if master is None:
                continue
            number += 1
            with contextlib.suppress(SpeakerError):
                body = b"%016d" % number
                answer = ask(self._cluster.address(master), SEND, send_fields(TOPIC, 0, {}), body, timeout=5)
                if answer.code == 0:
                    self.acked.append(int(answer.fields["queueOffset"]))

    def goes_on(self) -> None:
        """Wait until ten more are acknowledged."""
        before = len(self.acked)
        wait_for(lambda: len(self.acked) >= before + 10, 20, "sends to be acknowledged")

    def stop(self) -> None:
        self._stopped.set()
        self.join()


@contextlib.contextmanager
def sending(cluster: Cluster) -> Iterator[Sender]:
    sender = Sender(cluster)
    sender.start()
    try:
        sender.goes_on()
        yield sender
    finally:
        sender.stop()


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskTroubles:
    return DiskTroubles(tmp_path, monkeypatch)


def ends(cluster: Cluster, disks: DiskTroubles, name: str, trouble: Trouble) -> None:
    """The disk of a node has this trouble: its process ends in time, by itself, with one reason that names the file."""
    identity: Identity = cluster.identity(name)
    before = cluster.log(name).stat().st_size
    disks.begin(identity.pid, trouble)
    wait_for(lambda: bool(disks.hits(identity.pid)), 10, f"{trouble} to act on {name}", 0.005)
    wait_for(lambda: not identity.is_alive(), 5, f"{name} to end", 0.005)
    took = time.monotonic() - disks.hits(identity.pid)[0].monotonic
    assert took < ENDS_WITHIN_SECONDS + LOOK_SECONDS, f"{name} ended after {took:.2f} s"
    hits = disks.hits(identity.pid)
    assert len(hits) == 1, f"tried again: {hits}"
    assert disks.exit_code(identity.pid) not in {0, None}
    with cluster.log(name).open("rb") as log:
        log.seek(before)
        lines = log.read().decode().splitlines()
    reasons = [line for line in lines if STOPS in line]
    assert len(reasons) == 1, lines
    assert trouble.part.strip("/") in reasons[0], reasons[0]
    assert FAILED in reasons[0], reasons[0]
    assert not any("Traceback" in line or "panicked" in line for line in lines), lines


ON_THE_LEADER = (
    Trouble("sync", "/log/", "EIO"),
    Trouble("write", "/log/", "EIO"),
    Trouble("write", "/log/", "ENOSPC"),
    Trouble("write", "flushed.pos", "EIO"),
    Trouble("sync", "flushed.pos", "EIO"),
    Trouble("write", "/log/", "EROFS"),
)
ON_A_FOLLOWER = (
    Trouble("sync", "/log/", "EIO"),
    Trouble("write", "/log/", "EIO"),
    Trouble("write", "/log/", "EROFS"),
)


@pytest.mark.timeout(240)
def test_an_error_of_a_disk_ends_its_process_within_a_second_and_the_others_go_on(
    make_cluster: MakeCluster, disks: DiskTroubles
) -> None:
    cluster = make_cluster()
    make_topic(cluster, TOPIC)
    with sending(cluster) as sender:
        for leads, troubles in ((True, ON_THE_LEADER), (False, ON_A_FOLLOWER)):
            for trouble in troubles:
                leader = cluster.leader()
                name = leader if leads else next(name for name in cluster.brokers if name != leader)
                ends(cluster, disks, name, trouble)
                sender.goes_on()
                cluster.start(name)
        # A vote that cannot be stored: the others have elected when their leader is gone, or this one has not voted.
        leader = cluster.leader()
        voter = next(name for name in cluster.brokers if name != leader)
        third = next(name for name in cluster.brokers if name not in {leader, voter})
        disks.begin(cluster.identity(voter).pid, Trouble("sync", "raft.state", "EIO"))
        pid = cluster.identity(voter).pid
        cluster.kill(leader)
        wait_for(lambda: not cluster.identity(voter).is_alive(), 20, f"{voter} to end by its vote")
        assert len(disks.hits(pid)) == 1
        assert disks.exit_code(pid) not in {0, None}
        cluster.start(leader, voter)
        sender.goes_on()
        assert cluster.identity(third).is_alive()
    offsets = sender.acked
    assert len(set(offsets)) == len(offsets), "no place is told twice"
