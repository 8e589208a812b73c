"""A cluster of ours for tests: `support.tern` with faults by signal, and with its logs shown when a test fails.

Fixtures: `cluster`, one group of three and three NameServers for a module, and `make_cluster`, which makes any others.
A `conftest.py` takes them by importing them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.processes import wait_for
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json
from support.tern import TernCluster

_LOG_TAIL_BYTES = 4_000


class Cluster(TernCluster):
    """A running cluster that nobody repairs but the test."""

    @property
    def groups(self) -> list[str]:
        """Names of all broker groups."""
        return list(dict.fromkeys(node.group for node in self.nodes.values() if node.group))

    @property
    def nameserver_names(self) -> list[str]:
        """Names of all NameServer nodes."""
        return [name for name, node in self.nodes.items() if node.kind == "namesrv"]

    def members(self, group: str | None = None) -> list[str]:
        """Names of all members of a group, dead ones included."""
        return [name for name, node in self.nodes.items() if node.group == (group or self.group)]

    def leader(self, group: str | None = None, *, other_than: str | None = None, within: float = 20.0) -> str:
        """Wait until every NameServer that lives shows the same living master, and name it.

        Args:
            group: which; the first one if None.
            other_than: a node that has just been killed or stopped.
            within: seconds.
        """
        found: list[str] = []

        def agreed() -> bool:
            shown = {self._master_shown_by(name, group or self.group) for name in self._living_nameservers()}
            found[:] = [name for name in shown if name is not None and name != other_than]
            return len(shown) == 1 and len(found) == 1 and self.identity(found[0]).is_alive()

        wait_for(agreed, within, f"one master of {group or self.group} on every NameServer")
        return found[0]

    def kill(self, *names: str) -> None:
        """SIGKILL, and the proof that they are gone."""
        for name in names:
            self.identity(name).send(9)
        for name in names:
            self.identity(name).kill()

    def pause(self, name: str) -> None:
        """SIGSTOP, and the proof that every thread stands still."""
        self.identity(name).stop()

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.identity(name).resume()

    def log_tails(self) -> str:
        """The end of every log, for a person who looks at a failed test."""
        parts = []
        for path in sorted((self.directory / "logs").glob("*.log")):
            tail = path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
            parts.append(f"--- {path.name} ---\n{tail}")
        return "\n".join(parts)

    def _living_nameservers(self) -> list[str]:
        return [name for name in self.nameserver_names if self.identity(name).state() not in (None, "T")]

    def _master_shown_by(self, nameserver: str, group: str) -> str | None:
        try:
            body = lenient_json(ask(self.address(nameserver), CLUSTER_INFO, timeout=1).body)
        except (SpeakerError, ValueError):
            return None
        address = (body.get("brokerAddrTable") or {}).get(group, {}).get("brokerAddrs", {}).get("0")
        return next((name for name, node in self.nodes.items() if node.address == address), None)


MakeCluster = Callable[..., Cluster]


class _Owned:
    """Clusters that a fixture made, to be stopped by it; their logs are shown if a test failed meanwhile."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._session = request.session
        self._folder = folder
        self._failed_before = request.session.testsfailed
        self._clusters: list[Cluster] = []

    def make(self, *, groups: int = 1, options: tuple[str, ...] = ()) -> Cluster:
        cluster = Cluster(self._folder / f"cluster-{len(self._clusters)}", groups=groups, options=options)
        self._clusters.append(cluster)
        cluster.up()
        return cluster

    def stop(self) -> None:
        for cluster in self._clusters:
            try:
                cluster.down()
            finally:
                if self._session.testsfailed > self._failed_before:
                    sys.stderr.write(cluster.log_tails())


@pytest.fixture
def make_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeCluster]:
    """Make clusters for one test, which may damage them as it likes."""
    owned = _Owned(request, tmp_path)
    try:
        yield owned.make
    finally:
        owned.stop()


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One group of three and three NameServers for the tests of a module; each leaves it whole."""
    owned = _Owned(request, tmp_path_factory.mktemp("cluster"))
    try:
        yield owned.make()
    finally:
        owned.stop()
