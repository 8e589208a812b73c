"""A replica that has forgotten what it acknowledged is refused, says so, and never votes again under its old id."""

import shutil
import time

from fault.test_nameservers_stand_alone import make_topic
from support.processes import wait_for
from support.speaker import MAX_OFFSET, PULL, SEND, ask, decode_records, pull_fields, send_fields
from support.tern import TernCluster

TOPIC = "kept"
SENTENCE = (
    " CRITICAL ternmq.broker this replica stops: the data directory of {} is empty, but its group was founded with it"
)
STOPS_WITHIN_SECONDS = 30
# Several of the longest election timeouts: in this time a vote of the emptied replica would have made a master.
NO_MASTER_SECONDS = 8


def test_a_replica_whose_folder_was_emptied_is_refused_and_never_votes_again(cluster: TernCluster) -> None:
    make_topic(cluster, TOPIC, queues=1)
    master = cluster.master()
    assert master is not None
    emptied, healthy = sorted(name for name in cluster.brokers if name != master)
    for number in range(20):
        answer = ask(cluster.address(master), SEND, send_fields(TOPIC, 0, {}), f"kept {number}".encode())
        assert answer.code == 0, answer.remark

    cluster.identity(emptied).kill()
    empty(cluster, emptied)
    lines = restart_until_it_stops(cluster, emptied)
    assert any(SENTENCE.format(emptied) in line for line in lines), "a sentence says what is wrong"
    assert not any("Traceback" in line or "panicked" in line for line in lines)
    assert cluster.master() == master, "the others go on"

    # One member is dead and one has forgotten: only a vote of the latter could make the third one master.
    cluster.identity(master).kill()
    cluster.launch(emptied)
    deadline = time.monotonic() + NO_MASTER_SECONDS
    while time.monotonic() < deadline:
        assert cluster.master() in {None, master}
        if not cluster.identity(emptied).is_alive():
            cluster.launch(emptied)
    assert cluster.identity(healthy).is_alive()

    cluster.launch(master)
    wait_for(lambda: cluster.master() in {master, healthy}, 30, "a master once a majority that remembers is back")
    now = cluster.master()
    assert now is not None
    place = {"topic": TOPIC, "queueId": "0"}
    wait_for(lambda: ask(cluster.address(now), MAX_OFFSET, place).fields.get("offset") == "20", 10, "all 20 messages")
    pulled = decode_records(ask(cluster.address(now), PULL, pull_fields(TOPIC, 0, 0)).body)
    assert [record.body for record in pulled] == [f"kept {number}".encode() for number in range(20)]


def empty(cluster: TernCluster, name: str) -> None:
    """Remove everything below a node's folder, and keep the folder."""
    folder = cluster.data(name)
    kept = list(folder.iterdir())
    assert kept, f"{folder} holds what {name} has stored"
    for entry in kept:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def restart_until_it_stops(cluster: TernCluster, name: str) -> list[str]:
    """Start a node that must stop by itself, and return what it wrote to its log."""
    before = cluster.log(name).stat().st_size
    cluster.launch(name)
    identity = cluster.identity(name)
    wait_for(lambda: not identity.is_alive(), STOPS_WITHIN_SECONDS, f"{name} to stop by itself")
    return cluster.log(name).read_bytes()[before:].decode().splitlines()
