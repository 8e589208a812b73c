"""Where a local cluster keeps its files.

DIR/topology.toml       the cluster, every port written out
DIR/cluster.secret      what its members know each other by; mode 0600
DIR/state.json          which processes run now; written atomically, gone after a clean stop
DIR/control.sock        how later commands reach the supervisor; mode 0600
DIR/supervisor.lock     held by the supervisor as long as it lives
DIR/logs/NODE.log       one log file a node, one for the supervisor
DIR/data/NODE/…         a node's own data
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ternmq.errors import LaunchError
from ternmq.local import STATE


@dataclass(frozen=True)
class DataDir:
    """The folder of one local cluster; every other part takes its paths from here."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> DataDir:
        """Take a folder as given by a person; children run elsewhere, so it becomes absolute."""
        return cls(path.absolute())

    @property
    def topology(self) -> Path:
        """The topology file."""
        return self.root / "topology.toml"

    @property
    def secret(self) -> Path:
        """The cluster secret."""
        return self.root / "cluster.secret"

    @property
    def state(self) -> Path:
        """Which processes run now."""
        return self.root / STATE

    @property
    def control(self) -> Path:
        """The supervisor's socket."""
        return self.root / "control.sock"

    @property
    def lock(self) -> Path:
        """Locked while a supervisor lives."""
        return self.root / "supervisor.lock"

    @property
    def logs(self) -> Path:
        """All log files."""
        return self.root / "logs"

    def log(self, node: str) -> Path:
        """One node's log file; ``group-a/n0`` becomes ``group-a-n0.log``."""
        return self.logs / f"{node.replace('/', '-')}.log"

    def of_group(self, group: str) -> Path:
        """The folder with the data of a group's members."""
        return self._data / group

    @property
    def is_new(self) -> bool:
        """Whether no cluster was ever laid out here."""
        return not self.topology.exists() and not self._data.exists()

    @property
    def _data(self) -> Path:
        return self.root / "data"

    def forget_cluster(self) -> None:
        """Remove what a first start laid out that never became ready; only for a folder that was new before it."""
        self.topology.unlink(missing_ok=True)
        shutil.rmtree(self._data, ignore_errors=True)

    def create(self) -> None:
        """Make the folders. The root is closed to others: it holds a secret and a control socket.

        Raises:
            LaunchError: the system refuses.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LaunchError(
                f"the folder {self.root} cannot be made: {error.strerror}", "choose another --data folder"
            ) from error
