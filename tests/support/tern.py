"""Our own cluster as a user starts it: `ternmq up`, driven through the command line and nothing else."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from support.ports import free_block
from support.processes import Identity, wait_for
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json
from ternmq.config import dump_topology, generate_topology

PROGRAM = Path(sys.executable).with_name("ternmq")
UP_SECONDS = 60
COMMAND_SECONDS = 30
# What `ternmq start` says of a node that stopped by itself.
ENDED_AT_ONCE = "ended while it started"
PORTS_FOR_NAMESERVERS, PORTS_PER_GROUP = 20, 40
# A machine that stands still for a second is no fault of what a test tries: no election comes of it.
PATIENT_TIMES = {"heartbeat": "250ms", "election_min": "3s", "election_max": "6s"}


@dataclass
class Node:
    """One node as `ternmq ps` shows it."""

    name: str
    kind: str
    group: str | None
    address: str
    identity: Identity


class TernCluster:
    """Three NameServers and Raft groups of three, which nobody starts again but the test.

    Args:
        directory: the data directory; made by `up`.
        groups: number of broker groups.
        options: further options of `ternmq up`.
        is_patient: replicas bear long silence before they elect, so that a slow machine moves no leader; the first
            election takes seconds, too.
        preferred_leader: member to which the leadership of each group is handed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        groups: int = 1,
        options: tuple[str, ...] = (),
        is_patient: bool = False,
        preferred_leader: str | None = None,
    ) -> None:
        self.directory = directory
        self._groups = groups
        self._options = options
        self._is_patient = is_patient
        self._preferred_leader = preferred_leader
        self._starting: list[subprocess.Popen[str]] = []
        self.nodes: dict[str, Node] = {}

    def up(self) -> None:
        """Start everything; returns when every NameServer shows a master and all members of every group."""
        base_port = free_block(PORTS_FOR_NAMESERVERS + self._groups * PORTS_PER_GROUP)
        if self._is_patient or self._preferred_leader:
            self._lay_out(base_port)
        shown = self._command(
            "up", "--detach", "--json", "--no-restart", "--groups", str(self._groups), "--base-port", str(base_port),
            *self._options, within=UP_SECONDS,
        )  # fmt: skip
        self._take(json.loads(shown))

    def _lay_out(self, base_port: int) -> None:
        topology = generate_topology(self.directory, groups=self._groups, base_port=base_port)
        defaults = topology.defaults
        if self._is_patient:
            defaults = msgspec.structs.replace(defaults, **PATIENT_TIMES)
        groups = tuple(
            msgspec.structs.replace(group, preferred_leader=self._preferred_leader) for group in topology.group
        )
        topology = msgspec.structs.replace(topology, defaults=defaults, group=groups)
        (self.directory / "topology.toml").write_text(dump_topology(topology))

    @property
    def group(self) -> str:
        """Name of the first broker group."""
        return next(node.group for node in self.nodes.values() if node.group)

    @property
    def nameserver_addresses(self) -> list[str]:
        """Address of each NameServer, dead ones included."""
        return [node.address for node in self.nodes.values() if node.kind == "namesrv"]

    @property
    def nameservers(self) -> str:
        """The NameServer list as clients take it."""
        return ";".join(self.nameserver_addresses)

    @property
    def brokers(self) -> list[str]:
        """Names of all broker nodes."""
        return [name for name, node in self.nodes.items() if node.kind == "broker"]

    def address(self, name: str) -> str:
        """Client address of a node."""
        return self.nodes[name].address

    def log(self, name: str) -> Path:
        """Log file of a node."""
        return self.directory / "logs" / f"{name.replace('/', '-')}.log"

    def data(self, name: str) -> Path:
        """Folder in which a node keeps what it stores."""
        return self.directory / "data" / name

    def identity(self, name: str) -> Identity:
        """The process of a node as it was last started."""
        return self.nodes[name].identity

    def launch(self, name: str) -> None:
        """Start a dead node again, under the supervisor that runs the others.

        Does not wait until it takes part. A node that ended at once has then already been seen to do so, and keeps the
        identity of its last process that was seen alive.

        Raises:
            AssertionError: it could not be started at all.
        """
        old = self.identity(name)
        if old.is_alive():
            return
        # The command waits until the node takes part, which the first of a dead group cannot do alone.
        starting = subprocess.Popen(
            [PROGRAM, "start", name, "--data", self.directory],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._starting.append(starting)
        wait_for(
            lambda: self._refreshed(name, old) or starting.poll() is not None,
            COMMAND_SECONDS, f"{name} to have a new process",
        )  # fmt: skip
        if starting.poll() is None or self.identity(name) != old:
            return
        said = starting.stderr.read() if starting.stderr else ""
        # Between the last look and the command's end it may have come up.
        assert self._refreshed(name, old) or ENDED_AT_ONCE in said, f"`ternmq start {name}` failed: {said}"

    def master(self, group: str | None = None) -> str | None:
        """Name of the node that the NameServers show as a group's master, if one does."""
        for nameserver in self.nameserver_addresses:
            try:
                table = lenient_json(ask(nameserver, CLUSTER_INFO, timeout=1).body).get("brokerAddrTable") or {}
            except (SpeakerError, ValueError):
                continue
            address = table.get(group or self.group, {}).get("brokerAddrs", {}).get("0")
            for node in self.nodes.values():
                if node.address == address:
                    return node.name
        return None

    def topic_is_everywhere(self, topic: str) -> bool:
        """An acknowledged topic is an entry of the log like any message: there is nothing to wait for."""
        return bool(topic)

    def run(self, *arguments: str) -> str:
        """Run any other command of ours against this cluster and return its standard output."""
        return self._command(*arguments)

    def start(self, *names: str) -> None:
        """Start dead nodes again; all take part when this returns."""
        self.run("start", *names)
        shown = {item["name"]: item["pid"] for item in json.loads(self.run("ps", "--json"))["items"]}
        for name in names:
            self.nodes[name].identity = Identity.of(shown[name])

    def has_all(self, name: str) -> bool:
        """Whether a member has everything that its leader has."""
        items = json.loads(self.run("cluster", "replicas", "--json"))["items"]
        return any(f"{item['group']}/{item['member']}" == name and item["lag_ms"] == 0 for item in items)

    def restart_brokers_with(self, key: str, value: int | str) -> None:
        """Start all brokers again with another number or word for one of the settings in the topology."""
        file = self.directory / "topology.toml"
        text, count = re.subn(rf'(?m)^{key} = (\d+|"\w+")$', f"{key} = {json.dumps(value)}", file.read_text())
        assert count == 1, f"{key} stands {count} times in {file}"
        file.write_text(text)
        for name in self.brokers:
            self.identity(name).kill()
        self.start(*self.brokers)

    def down(self) -> None:
        """Stop everything, the paused processes too."""
        for node in self.nodes.values():
            node.identity.resume()
        if self.nodes:
            self._command("down")
        for command in self._starting:
            command.communicate(timeout=COMMAND_SECONDS)

    def _refreshed(self, name: str, old: Identity) -> bool:
        items = json.loads(self._command("ps", "--json"))["items"]
        pid = next(item["pid"] for item in items if item["name"] == name)
        if not pid:
            return False
        try:
            identity = Identity.of(pid)
        except ProcessLookupError:
            return False
        if identity == old:
            return False
        self.nodes[name].identity = identity
        return True

    def _take(self, shown: dict[str, Any]) -> None:
        for item in shown["items"]:
            self.nodes[item["name"]] = Node(
                item["name"], item["kind"], item["group"], item["address"], Identity.of(item["pid"])
            )

    def _command(self, *arguments: str, within: float = COMMAND_SECONDS) -> str:
        done = subprocess.run(
            [PROGRAM, *arguments, "--data", self.directory],
            capture_output=True, text=True, check=False, timeout=within,
        )  # fmt: skip
        assert done.returncode == 0, f"ternmq {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout
