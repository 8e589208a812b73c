"""What is attacked: a NameServer and a broker, each a real process with an honest client beside the attack."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.ports import free_block
from support.processes import Identity, rss_bytes, wait_for
from support.speaker import CLUSTER_INFO, CREATE_TOPIC, MAX_OFFSET, SpeakerError, ask
from support.tern import TernCluster
from ternmq.config import dump_topology, generate_topology

TOPIC = "attacked"
SECOND_TOPIC = "attacked-too"
# One request of an honest client may take this long while an attack runs beside it: it is served, not starved. How
# long it really took is told; on a machine that others use, less would be a bound on their work.
HONEST_SECONDS = 10.0
FLAT_BYTES = 64 * 1024 * 1024


@dataclass
class Target:
    """One process under attack."""

    kind: str
    address: str
    identity: Identity
    log: Path
    data: Path
    honest_code: int
    honest_fields: dict[str, str] = field(default_factory=dict)

    def is_alive(self) -> bool:
        """Whether the very process that was started still runs."""
        return self.identity.is_alive()

    def serves(self) -> bool:
        """Whether an honest request on a new connection is answered."""
        try:
            return ask(self.address, self.honest_code, self.honest_fields, timeout=HONEST_SECONDS).code == 0
        except SpeakerError:
            return False

    def rss(self) -> int:
        """Resident bytes."""
        return rss_bytes(self.identity.pid)


class HonestClient:
    """Asks the target again and again while an attack runs, and remembers every failure."""

    def __init__(self, target: Target) -> None:
        self.failures: list[str] = []
        self.served = 0
        self.slowest = 0.0
        self._target = target
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                code = ask(
                    self._target.address, self._target.honest_code, self._target.honest_fields, timeout=HONEST_SECONDS
                ).code
                if code == 0:
                    self.served += 1
                else:
                    self.failures.append(f"answered {code}")
            except SpeakerError as error:
                self.failures.append(str(error))
            self.slowest = max(self.slowest, time.monotonic() - began)
            self._stop.wait(0.02)


@pytest.fixture(scope="session")
def nameserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A NameServer alone."""
    directory = tmp_path_factory.mktemp("attacked-namesrv")
    topology = generate_topology(directory, groups=1, base_port=free_block(60))
    file = directory / "topology.toml"
    file.write_text(dump_topology(topology))
    log = directory / "ns1.log"
    command = [sys.executable, "-m", "ternmq.cli.main", "run", "namesrv", "--topology", str(file), "--node", "ns1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        listen = topology.nameserver[0].listen
        target = Target("namesrv", listen, Identity.of(process.pid), log, directory, CLUSTER_INFO)
        wait_for(lambda: target.serves() or not target.is_alive(), 20, "the NameServer to answer")
        assert target.is_alive(), log.read_text()
        yield target
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TernCluster]:
    """A whole cluster, of which the master is attacked."""
    # An election means that an attack took the master its role. A slow machine must not look like that.
    running = TernCluster(tmp_path_factory.mktemp("attacked-cluster") / "cluster", is_patient=True)
    try:
        running.up()
        yield running
    finally:
        running.down()


@pytest.fixture(scope="session")
def topics(cluster: TernCluster) -> tuple[str, str]:
    """Two topics of the cluster."""
    for topic in (TOPIC, SECOND_TOPIC):
        made = ask(cluster.address(_master(cluster)), CREATE_TOPIC, {
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "4", "writeQueueNums": "4", "perm": "6",
            "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        })  # fmt: skip
        assert made.code == 0, made.remark
    return TOPIC, SECOND_TOPIC


@pytest.fixture
def broker(cluster: TernCluster, topics: tuple[str, str]) -> Target:
    """The master of a group of three, with two topics: looked for anew, so that an election fails one test alone."""
    name = _master(cluster)
    # The honest client asks only the leader's own queue end: an answer other than 0 says that it lost its role.
    return Target(
        "broker", cluster.address(name), cluster.identity(name), cluster.log(name), cluster.directory, MAX_OFFSET,
        {"topic": topics[1], "queueId": "0"},
    )  # fmt: skip


def _master(cluster: TernCluster) -> str:
    wait_for(lambda: cluster.master() is not None, 20, "a master")
    name = cluster.master()
    assert name is not None
    return name


@pytest.fixture(params=["nameserver", "broker"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each of the two in turn."""
    chosen: Target = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def unharmed() -> Iterator[Callable[[Target], HonestClient]]:
    """Watch a target during the test: it lives, serves an honest client all the time, and stays flat in memory."""
    watched: list[tuple[Target, HonestClient, int]] = []

    def watch(target: Target) -> HonestClient:
        honest = HonestClient(target)
        watched.append((target, honest, target.rss()))
        return honest

    yield watch
    for target, honest, before in watched:
        wait_for(lambda honest=honest: honest.served >= 3 or bool(honest.failures), 60, "the honest client")  # type: ignore[misc]
        honest.stop()
        assert target.is_alive(), target.log.read_text()[-4000:]
        assert honest.failures == []
        sys.stdout.write(f"{target.kind}: {honest.served} honest requests, the slowest took {honest.slowest:.3f} s\n")
        assert target.rss() <= before + FLAT_BYTES
