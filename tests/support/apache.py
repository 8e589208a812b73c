"""Apache's own NameServer and broker as processes on loopback: the peer that the tests are measured by.

The conformance battery must pass there first, or it tests the battery's idea of the protocol; the fault loop runs
there to show that it can find something. 5.5.0 from Maven Central; a cold start of three replicas takes half a minute.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support import maven
from support.ports import free_block
from support.processes import Identity, wait_for
from support.speaker import ALL_TOPICS, CLUSTER_INFO, SpeakerError, ask, lenient_json

GROUP = "group-a"
START_SECONDS = 120
_OPENED = ("java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.util", "java.base/java.lang")
_EXPORTED = ("java.base/jdk.internal.ref", "java.base/sun.nio.ch")
_SERVER = Path(__file__).parent / "apache-server"


@dataclass
class JavaNode:
    """One JVM: how to start it again, and the process that runs now."""

    name: str
    kind: str
    address: str
    command: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    identity: Identity | None = None


class ApacheCluster:
    """NameServers and broker groups: single masters, masters with a slave, or DLedger groups of three.

    Args:
        directory: stores, logs and configuration; nothing is written elsewhere.
        replicas: of a group: 1, 2 (master and slave) or 3 (DLedger); 0 for NameServers alone.
        nameservers: how many.
        foreign: addresses of NameServers that somebody else runs, where the brokers register too.
        group: name of the broker group, or of the first one.
        groups: how many.
        double_write: whether a master waits for its slave, which RocketMQ 5 does with `inSyncReplicas` alone.
        flush: `sync` or `async`; DLedger acknowledges from page cache, whatever this says.
        binary_headers: whether the servers speak the binary header form; they answer in their own.
        segment_bytes: size of a file of the commit log.
    """

    def __init__(
        self,
        directory: Path,
        *,
        replicas: int = 1,
        nameservers: int = 1,
        foreign: Sequence[str] = (),
        group: str = GROUP,
        groups: int = 1,
        double_write: bool = False,
        flush: str = "async",
        binary_headers: bool = False,
        segment_bytes: int = 128 << 20,
    ) -> None:
        self.directory = directory
        self.replicas = replicas
        self.groups = [group, *(f"{group}-{number}" for number in range(2, groups + 1))]
        self._settings_of_all = {
            "mappedFileSizeCommitLog": str(segment_bytes), "flushDiskType": f"{flush.upper()}_FLUSH",
            "inSyncReplicas": "2" if double_write else "1",
        }  # fmt: skip
        self._master_role = "SYNC_MASTER" if double_write else "ASYNC_MASTER"
        self._classpath = maven.classpath(maven.build(_SERVER))
        self._serialize = "ROCKETMQ" if binary_headers else "JSON"
        base = free_block(nameservers + groups * replicas * 10)
        names = [f"ns{number + 1}" for number in range(nameservers)]
        own = [f"127.0.0.1:{base + number}" for number in range(nameservers)]
        self.nameserver_addresses = [*own, *foreign]
        (directory / "conf").mkdir(parents=True)
        (directory / "log").mkdir()
        self.nodes: dict[str, JavaNode] = {}
        for name, address in zip(names, own, strict=True):
            self.nodes[name] = self._nameserver(name, address)
        for at, name_of_group in enumerate(self.groups):
            self._lay_out_group(name_of_group, base + nameservers + at * replicas * 10)

    def _lay_out_group(self, group: str, first: int) -> None:
        peers = ";".join(f"n{number}-127.0.0.1:{first + number * 10 + 5}" for number in range(self.replicas))
        for number in range(self.replicas):
            self.nodes[f"{group}/n{number}"] = self._broker(group, number, first + number * 10 + 2, peers)

    @property
    def group(self) -> str:
        """Name of the first broker group."""
        return self.groups[0]

    @property
    def nameservers(self) -> str:
        """The NameServer list as clients take it."""
        return ";".join(self.nameserver_addresses)

    @property
    def brokers(self) -> list[str]:
        """Names of the broker nodes."""
        return [name for name, node in self.nodes.items() if node.kind == "broker"]

    def up(self) -> None:
        """Start all nodes; returns when every NameServer shows a master and all replicas."""
        for name in self.nodes:
            self.launch(name)
        wait_for(self._all_registered, START_SECONDS, "Apache's cluster to register", every=0.2)

    def launch(self, name: str) -> None:
        """Start one node, unless it runs; does not wait for it."""
        node = self.nodes[name]
        if node.identity is not None and node.identity.is_alive():
            return
        if node.process is not None:
            node.process.wait()
        with (self.directory / "log" / f"{name.replace('/', '-')}.out").open("ab") as output:
            node.process = subprocess.Popen(
                node.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                cwd=self.directory, env={**os.environ, "ROCKETMQ_HOME": str(self.directory)},
            )  # fmt: skip
        node.identity = Identity.of(node.process.pid)

    def identity(self, name: str) -> Identity:
        """The process of a node as it was last started."""
        identity = self.nodes[name].identity
        assert identity is not None, f"{name} was never started"
        return identity

    def address(self, name: str) -> str:
        """Client address of a node."""
        return self.nodes[name].address

    def topic_is_everywhere(self, topic: str) -> bool:
        """Whether every replica has the topic: it travels beside the log, by a timer, and a fail-over may forget it."""
        try:
            answers = [ask(self.address(name), ALL_TOPICS) for name in self.brokers]
        except SpeakerError:
            return False
        return all(f'"{topic}"'.encode() in answer.body for answer in answers)

    def master(self, group: str | None = None) -> str | None:
        """Name of the node that a NameServer shows as the group's master, if one does."""
        for nameserver in self.nameserver_addresses:
            try:
                table = lenient_json(ask(nameserver, CLUSTER_INFO).body).get("brokerAddrTable") or {}
            except (SpeakerError, ValueError):
                continue
            address = table.get(group or self.group, {}).get("brokerAddrs", {}).get("0")
            for node in self.nodes.values():
                if node.address == address:
                    return node.name
        return None

    def down(self) -> None:
        """End every process this object started."""
        for node in self.nodes.values():
            if node.identity is not None:
                node.identity.send(signal.SIGCONT)
                node.identity.send(signal.SIGKILL)
        for node in self.nodes.values():
            if node.process is not None:
                node.process.wait()

    def _all_registered(self) -> bool:
        for nameserver in self.nameserver_addresses:
            try:
                table = lenient_json(ask(nameserver, CLUSTER_INFO).body).get("brokerAddrTable") or {}
            except (SpeakerError, ValueError):
                return False
            for group in self.groups:
                addresses = table.get(group, {}).get("brokerAddrs", {})
                if (self.replicas and "0" not in addresses) or len(addresses) < self.replicas:
                    return False
        return True

    def _nameserver(self, name: str, address: str) -> JavaNode:
        settings = {
            "listenPort": address.rsplit(":", 1)[1],
            "kvConfigPath": f"{self.directory}/{name}/kvConfig.json",
            "configStorePath": f"{self.directory}/{name}/namesrv.properties",
            "rocketmqHome": str(self.directory),
        }
        main = "org.apache.rocketmq.namesrv.NamesrvStartup"
        return JavaNode(name, "namesrv", address, self._java(name, "128m", main, settings))

    def _broker(self, group: str, number: int, port: int, peers: str) -> JavaNode:
        name = f"{group}/n{number}"
        store = f"{self.directory}/{name}/store"
        settings = self._settings_of_all | {
            "brokerClusterName": "ApacheCluster", "brokerName": group, "brokerIP1": "127.0.0.1", "brokerId": "0",
            "listenPort": str(port), "haListenPort": str(port + 1), "namesrvAddr": self.nameservers,
            "storePathRootDir": store, "storePathCommitLog": f"{store}/commitlog", "autoCreateTopicEnable": "true",
            "autoCreateSubscriptionGroup": "true", "metricsExporterType": "DISABLE",
            # The default of 75 % refuses sends on a well filled disk.
            "diskMaxUsedSpaceRatio": "95",
        }  # fmt: skip
        if self.replicas > 2:
            settings |= {
                "enableDLegerCommitLog": "true", "dLegerGroup": group, "dLegerPeers": peers,
                "dLegerSelfId": f"n{number}",
            }  # fmt: skip
        elif number > 0:
            # The default sends readers back to the master, also to one that is gone. A slave hears of its master when
            # it registers, and not at all if it was first: it asks again after 10 s, which is the least, instead of 30.
            settings |= {
                "brokerId": str(number), "brokerRole": "SLAVE", "slaveReadEnable": "true",
                "registerNameServerPeriod": "10000",
            }  # fmt: skip
        else:
            settings |= {"brokerRole": self._master_role}
        main = "org.apache.rocketmq.broker.BrokerStartup"
        return JavaNode(name, "broker", f"127.0.0.1:{port}", self._java(name, "512m", main, settings))

    def _java(self, name: str, heap: str, main: str, settings: dict[str, str]) -> list[str]:
        (self.directory / name).mkdir(parents=True, exist_ok=True)
        file = self.directory / "conf" / f"{name.replace('/', '-')}.conf"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        opened = [option for package in _OPENED for option in ("--add-opens", f"{package}=ALL-UNNAMED")]
        exported = [option for package in _EXPORTED for option in ("--add-exports", f"{package}=ALL-UNNAMED")]
        return [
            "java", f"-Xms{heap}", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=256m", "-XX:+UseG1GC", *opened, *exported,
            f"-Drocketmq.serialize.type={self._serialize}", f"-Drocketmq.home.dir={self.directory}",
            f"-Duser.home={self.directory}/log", "-cp", f"{self.directory}/conf:{self._classpath}", main,
            "-c", str(file),
        ]  # fmt: skip
