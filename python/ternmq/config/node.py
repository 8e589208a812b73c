"""What one process is told: frozen, made once at start, replaced as a whole."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ternmq.config.addresses import is_loopback, join_address, split_address
from ternmq.config.names import raft_member_number
from ternmq.config.rules import advertised_host
from ternmq.config.secrets import read_secret
from ternmq.config.settings import BROKER, BrokerSettings, NameServerSettings
from ternmq.config.timing import PROFILES, Profile, Timing, check_timing, profile_for, usable_cores, worker_threads
from ternmq.config.topology import DefaultsSection, GroupSection, MemberSection, Mode, Topology, member_ports
from ternmq.errors import ConfigError


@dataclass(frozen=True)
class NameServerConfig(NameServerSettings):
    """One NameServer: its settings, and where it is.

    Attributes:
        id: name of the node.
        listen_host: address to listen on.
        port: port to listen on.
        data: folder of its only file, the key-value table.
        kv_path: that file; fixed at start, no request can name another.
        insecure: whether listening beyond loopback without access control was accepted.
    """

    id: str
    listen_host: str
    port: int
    data: Path
    kv_path: Path
    insecure: bool = False


@dataclass(frozen=True)
class Member:
    """A replica as the other members see it: id, host to dial, peers' port."""

    id: str
    host: str
    peer_port: int


@dataclass(frozen=True, kw_only=True)
class BrokerConfig(BrokerSettings):
    """One replica of a broker group: its settings, who it is and where.

    Attributes:
        cluster: cluster name.
        group: broker name, the same on all members.
        member: own member id, "n0".
        mode: how the group replicates.
        members: every member of the group, itself included; a host that is empty is not known yet.
        open: slaves are in nobody's list, as in Apache's files: they find their master through the NameServers.
        listen_host: address to listen on for clients.
        port: client port.
        fast_port: second client port with the same handlers.
        peer_host: address to listen on for the other members.
        peer_port: port for the other members.
        advertise_host: host that clients are told.
        advertise_key: what said so, for errors; with file and line where they are known.
        data: data folder of this node.
        nameservers: addresses of all NameServers.
        secret: what members prove to each other; None only where all are on loopback.
        insecure: whether listening beyond loopback without access control was accepted.
        preferred_leader: member id to which leadership is handed once it has kept up; None leaves it where it is.
    """

    cluster: str
    group: str
    member: str
    mode: Mode
    members: tuple[Member, ...]
    listen_host: str
    port: int
    fast_port: int
    peer_host: str
    peer_port: int
    advertise_host: str
    data: Path
    nameservers: tuple[str, ...]
    advertise_key: str = "advertise"
    secret: bytes | None = field(default=None, repr=False)
    insecure: bool = False
    open: bool = False
    preferred_leader: str | None = None

    @property
    def name(self) -> str:
        """Name of the node, "group/member"."""
        return f"{self.group}/{self.member}"

    @property
    def advertised(self) -> str:
        """Address that clients are told."""
        return join_address(self.advertise_host, self.port)

    def follower_broker_id(self, leader: str | None = None) -> int:
        """Broker id while this replica does not lead.

        In a Raft group the number in its member id, plus 1. A slave has its own number; the one with number 0, which
        is the master unless another was promoted, has that of who leads in its place.

        Args:
            leader: member id of who leads, if known.

        Returns:
            The id; 0 where it would not be known from the master's.
        """
        if self.mode == "multi-master":
            return 0
        own = raft_member_number(self.member, "member")
        if self.mode == "raft":
            return own + 1
        return own or (raft_member_number(leader, "leader") if leader else 0)


def check_listening(name: str, hosts: Sequence[str], insecure: bool) -> None:
    """Refuse to listen beyond loopback while there is no access control.

    Raises:
        ConfigError: an address beyond loopback without `--insecure`.
    """
    for host in hosts:
        if not is_loopback(host) and not insecure:
            raise ConfigError(
                f"{name} would listen on {host}, beyond loopback, and there is no access control yet: start it with"
                " --insecure on a trusted network, or listen on 127.0.0.1"
            )


def check_secret(name: str, members: Sequence[Member], secret: bytes | None) -> None:
    """Refuse a group that others on the network could join.

    Raises:
        ConfigError: members beyond loopback and no secret.
    """
    remote = next((member.host for member in members if not is_loopback(member.host)), None)
    if remote is not None and secret is None and len(members) > 1:
        raise ConfigError(
            f'{name} has a member on {remote} and no cluster secret: write secret = "file:cluster.secret" into'
            " [cluster], or give --secret file:PATH, --secret env:NAME or TERNMQ_SECRET"
        )


def chosen_settings(profile: Profile | None, brokers_on_host: int) -> dict[str, Any]:
    """Give the settings that the machine chooses where nobody names them.

    Args:
        profile: of heartbeat and election times; None chooses it, too.
        brokers_on_host: brokers that share this machine.
    """
    cores = usable_cores()
    times = PROFILES[profile or profile_for(brokers_on_host, cores)]
    return asdict(times) | {"workers": worker_threads(brokers_on_host, cores)}


def _settings(defaults: DefaultsSection, brokers_on_host: int) -> dict[str, Any]:
    """Give all settings of a broker, by their names in `BrokerConfig`."""
    written = [(row, getattr(defaults, row.key)) for row in BROKER]
    own = {row.name: row.from_topology(value) for row, value in written if value is not None}
    settings = chosen_settings(defaults.timing, brokers_on_host) | own
    check_timing(Timing(**{field.name: settings[field.name] for field in fields(Timing)}))
    return settings


def nameserver_config(topology: Topology, name: str, *, insecure: bool = False) -> NameServerConfig:
    """Take one NameServer's configuration out of a topology.

    Args:
        topology: a checked topology.
        name: id of the NameServer, "ns1".
        insecure: accept listening beyond loopback.

    Raises:
        ConfigError: no such NameServer, or it would listen beyond loopback without `insecure`.
    """
    for server in topology.nameserver:
        if server.id == name:
            host, port = split_address(server.listen, f"listen of {name}")
            check_listening(name, [host], insecure)
            data = _data_folder(topology, server.data, name)
            return NameServerConfig(name, host, port, data, data / "kvConfig.json", insecure=insecure)
    raise ConfigError(f'the topology has no NameServer "{name}"; it has {", ".join(topology.node_names())}')


def broker_config(
    topology: Topology, name: str, *, insecure: bool = False, secret: bytes | None = None
) -> BrokerConfig:
    """Take one replica's configuration out of a topology.

    Args:
        topology: a checked topology.
        name: "group/member".
        insecure: accept listening beyond loopback.
        secret: used in place of the one that the file names.

    Raises:
        ConfigError: no such replica, a secret that cannot be read, or a rule of listening broken.
    """
    group, member = _find(topology, name)
    ports = member_ports(group, member)
    listen = member.listen or (member.host if is_loopback(member.host) else "0.0.0.0")
    check_listening(name, [listen], insecure)
    if secret is None and topology.cluster.secret is not None:
        secret = read_secret(topology.cluster.secret, topology.base)
    members = tuple(Member(peer.id, peer.host, member_ports(group, peer).raft) for peer in group.members)
    check_secret(name, members, secret)
    neighbours = sum(peer.host == member.host for other in topology.group for peer in other.members)
    return BrokerConfig(
        cluster=topology.cluster.name,
        group=group.name,
        member=member.id,
        mode=group.mode,
        members=members,
        listen_host=listen,
        port=ports.client,
        fast_port=ports.fast,
        peer_host=listen,
        peer_port=ports.raft,
        advertise_host=advertised_host(group, member),
        data=_data_folder(topology, member.data, f"{group.name}/{member.id}"),
        nameservers=tuple(server.listen for server in topology.nameserver),
        secret=secret,
        insecure=insecure,
        preferred_leader=group.preferred_leader,
        **_settings(topology.defaults, neighbours),
    )


def _find(topology: Topology, name: str) -> tuple[GroupSection, MemberSection]:
    group_name, _, member_id = name.partition("/")
    for group in topology.group:
        for member in group.members:
            if (group.name, member.id) == (group_name, member_id):
                return group, member
    raise ConfigError(f'the topology has no node "{name}"; it has {", ".join(topology.node_names())}')


def data_root(topology: Topology, name: str) -> str:
    """Give the folder in which a node has its folder, as the file says it: the node's own, or the common one.

    Raises:
        ConfigError: no such node.
    """
    server = next((server for server in topology.nameserver if server.id == name), None)
    own = _find(topology, name)[1].data if server is None else server.data
    return own or topology.defaults.data


def _data_folder(topology: Topology, own: str | None, name: str) -> Path:
    """Folder of a node: its own name below the common folder, also where the node has a folder of its own."""
    return topology.base / (own or topology.defaults.data) / name
