"""What a topology file may say: each key once, with its type, bounds, default and help; settings by their table.

What must agree across a cluster stands in the file once. A node finds itself by its id and keeps only its own frozen
configuration (`ternmq.config.node`). Reading and writing the file: `ternmq.config.topology_file`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from ternmq.config.setting import Setting, Value
from ternmq.config.settings import BROKER
from ternmq.config.timing import Profile

NAMESERVER_PORT = 9_876
BROKER_PORT = 10_911
"""Where clients and tools look first."""

Port = Annotated[int, Meta(ge=1, le=65_535)]
OwnFolder = Annotated[str | None, Meta(description="Data folder in place of the common one.")]
Mode = Literal["raft", "multi-master", "async-slave", "sync-double-write"]
SLAVE_MODES: tuple[Mode, ...] = ("async-slave", "sync-double-write")
"""A master and its slaves, which never elect."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys stop the start."""


class ClusterSection(Section, frozen=True):
    """`[cluster]`: what makes it one cluster."""

    name: Annotated[str, Meta(description="Cluster name, as clients and tools show it.")] = "DefaultCluster"
    secret: Annotated[
        str | None,
        Meta(description='Reference to the secret by which members know each other, "file:PATH" or "env:NAME".'),
    ] = None


class SharedSection(Section, frozen=True):
    """What `[defaults]` says beside the table of settings."""

    data: Annotated[str, Meta(description="Data folder, relative to this file; each node appends its own name.")] = (
        "data"
    )
    timing: Annotated[
        Profile | None,
        Meta(description="Heartbeat and election times; without it chosen by the cores of the machine."),
    ] = None


def _file_field(row: Setting) -> tuple[str, Any, Value | None]:
    """Give key, type and default of a setting in the file: sizes and durations are texts with a unit."""
    types: dict[str, Any] = {"switch": bool, "size": str, "duration": str, "word": Literal[tuple(row.words)]}
    kind = types.get(row.kind) or Annotated[int, Meta(ge=row.least, le=row.most)]
    if row.chosen is not None:
        return row.key, kind | None, None
    return row.key, kind, row.in_words(row.default) if row.kind in {"size", "duration"} else row.default


if TYPE_CHECKING:

    class DefaultsSection(SharedSection, frozen=True):
        """`[defaults]`: settings of every node, equal on all of them except `data`; made from the table of settings."""

        def __init__(self, *, data: str = "data", timing: Profile | None = None, **settings: Value | None) -> None: ...

        def __getattr__(self, key: str) -> Any: ...

else:
    DefaultsSection = msgspec.defstruct(
        "DefaultsSection", map(_file_field, BROKER), bases=(SharedSection,), kw_only=True, frozen=True, module=__name__
    )


class NameServerSection(Section, frozen=True):
    """`[[nameserver]]`: one NameServer."""

    id: Annotated[str, Meta(description="Name of the node.")]
    listen: Annotated[str, Meta(description="host:port that clients and brokers are told, too.")] = (
        f"127.0.0.1:{NAMESERVER_PORT}"
    )
    data: OwnFolder = None


class MemberSection(Section, frozen=True):
    """A replica. It may override only what a process may choose."""

    id: Annotated[str, Meta(description='Name in the group; in a Raft group a letter and a number, "n0".')]
    host: Annotated[str, Meta(description="Name or IP under which the other members reach it.")] = "127.0.0.1"
    port: Annotated[Port | None, Meta(description="Client port; without it the group's.")] = None
    fast: Annotated[Port | None, Meta(description="Second client port; without it port - 2.")] = None
    ha: Annotated[Port | None, Meta(description="Kept free for slaves; without it port + 1.")] = None
    raft: Annotated[Port | None, Meta(description="Port of the other members; without it port + 30000.")] = None
    metrics: Annotated[Port | None, Meta(description="Kept free for metrics; without it 5557.")] = None
    listen: Annotated[str | None, Meta(description="Address to listen on; without it loopback or all.")] = None
    advertise: Annotated[str | None, Meta(description="Host that clients are told; without it host.")] = None
    data: OwnFolder = None


class GroupSection(Section, frozen=True):
    """`[[group]]`: one broker group, one Raft group in mode "raft"; of a master and slaves the first is the master."""

    name: Annotated[str, Meta(description="Broker name, as clients and tools show it.")]
    mode: Annotated[
        Mode,
        Meta(
            description='"raft" with 3 or 5 members, "multi-master" with one, "async-slave" or "sync-double-write" with'
            " a master and its slaves."
        ),
    ] = "raft"
    port: Annotated[Port, Meta(description="Client port of members that name none.")] = BROKER_PORT
    advertise: Annotated[str | None, Meta(description="Host that clients are told; {id} is the member id.")] = None
    dev: Annotated[bool, Meta(description="Allow a Raft group of one member, which has no spare.")] = False
    colocate: Annotated[bool, Meta(description="Allow several members on one host, which may fail at once.")] = False
    preferred_leader: Annotated[
        str | None,
        Meta(
            description="Member to which leadership is handed over once it has kept up for 10 s; without it leadership"
            " stays where an election put it."
        ),
    ] = None
    members: Annotated[tuple[MemberSection, ...], Meta(description="The replicas.")] = ()


class Ports(NamedTuple):
    """Every port of a replica, written or derived."""

    client: int
    fast: int
    ha: int
    raft: int
    metrics: int


RAFT_PORT_DISTANCE = 30_000
HA_PORT_DISTANCE = 1
"""From a client port to that for slaves, by Apache's convention."""
METRICS_PORT = 5_557


def member_ports(group: GroupSection, member: MemberSection) -> Ports:
    """Give the ports of a member, derived as RocketMQ users know them where the file names none."""
    client = member.port or group.port
    return Ports(
        client,
        member.fast or client - 2,
        member.ha or client + HA_PORT_DISTANCE,
        member.raft or client + RAFT_PORT_DISTANCE,
        member.metrics or METRICS_PORT,
    )


class TopologyFile(Section, frozen=True):
    """The whole file."""

    cluster: ClusterSection = ClusterSection()
    defaults: DefaultsSection = DefaultsSection()
    nameserver: tuple[NameServerSection, ...] = ()
    group: tuple[GroupSection, ...] = ()


class Topology(TopologyFile, frozen=True):
    """The file, and the folder from which its relative paths start."""

    base: Path = Path()

    def node_names(self) -> tuple[str, ...]:
        """Name every node, NameServers first: "ns1", "broker-a/n0"."""
        servers = tuple(server.id for server in self.nameserver)
        return servers + tuple(f"{group.name}/{member.id}" for group in self.group for member in group.members)
