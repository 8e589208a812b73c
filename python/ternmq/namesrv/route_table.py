"""The routing table: brokers, their topics and liveness. Pure: time and connections are arguments.

Rules and their order are those of RocketMQ 5.x (RouteInfoManager), with these deliberate differences:

- a leader (id 0) with an older term than one seen in this process is refused, not just one that is registered now;
- topics are applied when the version differs from the one last applied *for the group*, so a new leader whose table is
  already known costs nothing, and a follower that stands in for a missing master never takes topics back;
- answers are in name order, so that every NameServer gives the same routes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from ternmq.errors import RegistrationRefusedError, StaleTermError
from ternmq.protocol.cluster_info import ClusterInfoBody
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.routes import MASTER_ID, BrokerData, QueueData, TopicRouteData
from ternmq.protocol.topics import PERM_READ_WRITE, PERM_WRITE, DataVersion, TopicConfig

DEFAULT_TIMEOUT_MS = 120_000


@dataclass(frozen=True)
class BrokerIdentity:
    """Who registers.

    Attributes:
        cluster: cluster name.
        name: broker name, the same for all replicas of a group.
        id: 0 for the master or leader.
        address: "host:port" that clients are told.
    """

    cluster: str
    name: str
    id: int
    address: str


@dataclass(frozen=True)
class Registration:
    """What one registration says.

    Attributes:
        broker: the replica that registers.
        topics: its topics.
        version: version of this table.
        term: Raft term of the sender; 0 for brokers that have none.
        ha_address: where slaves of Java brokers copy from.
        timeout_ms: silence after which the broker counts as gone; None means 120 s.
        is_current: whether it is a 5.x broker (it sent `enableActingMaster`, with any value).
        acting_master: value of that field.
        zone: zone name.
        connection_id: the connection over which it came.
    """

    broker: BrokerIdentity
    topics: Mapping[str, TopicConfig]
    version: DataVersion
    term: int = 0
    ha_address: str = ""
    timeout_ms: int | None = None
    is_current: bool = False
    acting_master: bool = False
    zone: str | None = None
    connection_id: int = 0


@dataclass(frozen=True)
class Registered:
    """Answer to a registration: for brokers other than the master, where the master is.

    Attributes:
        master_address: address of the master; empty for the master itself or where there is none.
        ha_address: its HA address.
    """

    master_address: str = ""
    ha_address: str = ""


@dataclass(frozen=True)
class _Live:
    broker: BrokerIdentity
    version: DataVersion
    ha_address: str
    timeout_ms: int
    seen_ms: int
    connection_id: int


@dataclass
class _BrokerGroup:
    cluster: str
    addresses: dict[int, str] = field(default_factory=dict)
    acting_master: bool = False
    zone: str | None = None
    applied: DataVersion | None = None


class RouteTable:
    """All that one NameServer knows.

    Args:
        delete_missing_topics: forget topics of a group that a registration of its master no longer names.
    """

    def __init__(self, *, delete_missing_topics: bool = False) -> None:
        self.generation = 0
        """Grows with every change of what routes say; cached answers are valid for one generation."""
        self._delete_missing_topics = delete_missing_topics
        self._topics: dict[str, dict[str, QueueData]] = {}
        self._groups: dict[str, _BrokerGroup] = {}
        self._live: dict[tuple[str, str], _Live] = {}
        # Kept when a group goes: within one process life the term of a group never goes back.
        self._terms: dict[str, int] = {}

    # -- brokers come, stay and go -------------------------------------------------------------------------------

    def register(self, registration: Registration, now_ms: int) -> Registered:
        """Take one broker's registration; topics change only when the master sends them.

        Args:
            registration: what it says.
            now_ms: monotonic time, the start of the broker's next liveness interval.

        Raises:
            StaleTermError: id 0 with an older term than one seen here.
            RegistrationRefusedError: an id that is new here with a table of exactly one topic.

        Source: RocketMQ 5.x, RouteInfoManager#registerBroker.
        """
        broker = registration.broker
        self._check_term(registration)
        group = self._groups.get(broker.name)
        if group is not None and self._is_superseded(group, registration):
            return Registered()
        if (group is None or broker.id not in group.addresses) and len(registration.topics) == 1:
            raise RegistrationRefusedError(
                f"register broker failed: {broker.name} is new here and sent one topic, not its whole table",
                code=ResponseCode.SYSTEM_ERROR,
            )
        if broker.id == MASTER_ID:
            self._terms[broker.name] = registration.term
        if group is None:
            group = self._groups[broker.name] = _BrokerGroup(broker.cluster)
            self.generation += 1
        self._enter(group, registration)
        if self._may_change_topics(group, registration):
            self._apply_topics(group, registration)
        self._live[broker.cluster, broker.address] = _Live(
            broker,
            registration.version,
            registration.ha_address,
            registration.timeout_ms or DEFAULT_TIMEOUT_MS,
            now_ms,
            registration.connection_id,
        )
        return self._master_of(group, broker)

    def _check_term(self, registration: Registration) -> None:
        if registration.broker.id != MASTER_ID:
            return
        held = self._terms.get(registration.broker.name, 0)
        if registration.term < held:
            raise StaleTermError(registration.broker.name, registration.term, held)

    def _is_superseded(self, group: _BrokerGroup, registration: Registration) -> bool:
        """Another address holds this id with a newer state version: the sender is out of date and is not told so."""
        broker = registration.broker
        holder = group.addresses.get(broker.id)
        if holder is None or holder == broker.address:
            return False
        live = self._live.get((broker.cluster, holder))
        # A master was judged by its term, which is the same figure or better.
        return (
            broker.id != MASTER_ID
            and live is not None
            and (live.version.state_version > registration.version.state_version)
        )

    def _enter(self, group: _BrokerGroup, registration: Registration) -> None:
        """Put id and address into the group; an address has one id, so an elected slave loses its old one."""
        broker = registration.broker
        before = (dict(group.addresses), group.acting_master, group.zone, group.cluster)
        group.cluster = broker.cluster
        group.acting_master = registration.acting_master
        group.zone = registration.zone
        for other in [number for number, address in group.addresses.items() if address == broker.address]:
            del group.addresses[other]
        group.addresses[broker.id] = broker.address
        if before != (group.addresses, group.acting_master, group.zone, group.cluster):
            self.generation += 1

    def _may_change_topics(self, group: _BrokerGroup, registration: Registration) -> bool:
        if registration.broker.id == MASTER_ID:
            return group.applied != registration.version
        # The smallest id stands in while no master is registered, but only forwards.
        stands_in = registration.is_current and registration.broker.id == min(group.addresses)
        return stands_in and (group.applied is None or _order(registration.version) > _order(group.applied))

    def _apply_topics(self, group: _BrokerGroup, registration: Registration) -> None:
        name = registration.broker.name
        read_only = registration.broker.id != MASTER_ID and group.acting_master
        for topic, config in registration.topics.items():
            self._topics.setdefault(topic, {})[name] = QueueData(
                broker_name=name,
                perm=config.perm & ~PERM_WRITE if read_only else config.perm,
                read_queue_nums=config.read_queue_nums,
                topic_sys_flag=config.topic_sys_flag,
                write_queue_nums=config.write_queue_nums,
            )
        if self._delete_missing_topics and registration.broker.id == MASTER_ID:
            self._remove_queues(name, [topic for topic in self._topics if topic not in registration.topics])
        group.applied = registration.version
        self.generation += 1

    def _master_of(self, group: _BrokerGroup, broker: BrokerIdentity) -> Registered:
        master = group.addresses.get(MASTER_ID)
        if broker.id == MASTER_ID or master is None:
            return Registered()
        live = self._live.get((broker.cluster, master))
        return Registered(master, live.ha_address) if live is not None else Registered()

    def query_version(
        self, broker: BrokerIdentity, version: DataVersion, now_ms: int, connection_id: int
    ) -> tuple[bool, DataVersion | None]:
        """Say whether a broker has to send its table again; keeps it alive.

        The registration moves to the connection that asked, or the closing of an older one would remove it.

        Returns:
            Whether it must register, and the version known here.
        """
        live = self._refresh(broker, now_ms, connection_id)
        if live is None:
            return True, None
        group = self._groups.get(broker.name)
        placed = group is not None and group.addresses.get(broker.id) == broker.address
        return not placed or live.version != version, live.version

    def heartbeat(self, broker: BrokerIdentity, now_ms: int, connection_id: int) -> bool:
        """Keep a broker alive; says whether it is known."""
        return self._refresh(broker, now_ms, connection_id) is not None

    def _refresh(self, broker: BrokerIdentity, now_ms: int, connection_id: int) -> _Live | None:
        key = (broker.cluster, broker.address)
        live = self._live.get(key)
        if live is not None:
            self._live[key] = replace(live, seen_ms=now_ms, connection_id=connection_id)
        return live

    def unregister(self, broker: BrokerIdentity) -> None:
        """Forget a broker: its id, and with the last id of a group the group and its queues."""
        self._live.pop((broker.cluster, broker.address), None)
        group = self._groups.get(broker.name)
        if group is None:
            return
        mine = [number for number, address in group.addresses.items() if address == broker.address]
        for number in mine:
            del group.addresses[number]
        if not group.addresses:
            del self._groups[broker.name]
            self._remove_queues(broker.name, list(self._topics))
            self.generation += 1
        elif mine:
            self.generation += 1
            if group.acting_master and MASTER_ID not in group.addresses:
                self._change_perm(broker.name, lambda perm: perm & ~PERM_WRITE)

    def connection_closed(self, connection_id: int) -> list[BrokerIdentity]:
        """Forget at once the brokers that registered over a connection that closed; gives them."""
        gone = [live.broker for live in self._live.values() if live.connection_id == connection_id]
        for broker in gone:
            self.unregister(broker)
        return gone

    def expire(self, now_ms: int) -> list[BrokerIdentity]:
        """Forget brokers that were silent for longer than they declared, or 120 s; gives them."""
        gone = [live.broker for live in self._live.values() if now_ms - live.seen_ms > live.timeout_ms]
        for broker in gone:
            self.unregister(broker)
        return gone

    # -- topics --------------------------------------------------------------------------------------------------

    def add_topic(self, topic: str, queues: Iterable[QueueData]) -> None:
        """Add queues of one topic, of groups that are registered."""
        for data in queues:
            if data.broker_name in self._groups:
                self._topics.setdefault(topic, {})[data.broker_name] = data
                self.generation += 1

    def miss_topic(self, topic: str, name: str) -> None:
        """Take note that a group has a topic no more: what a table without it would say."""
        if self._delete_missing_topics:
            self._remove_queues(name, [topic])
            self.generation += 1

    def delete_topic(self, topic: str, cluster: str | None = None) -> None:
        """Forget a topic, or its queues on the groups of one cluster."""
        if cluster is None:
            names = list(self._topics.get(topic, {}))
        else:
            names = [name for name, group in self._groups.items() if group.cluster == cluster]
        for name in names:
            self._remove_queues(name, [topic])
        self.generation += 1

    def wipe_write_permission(self, name: str) -> int:
        """Clear the write bit of all topics of a group, until its next changed registration; gives their number."""
        return self._change_perm(name, lambda perm: perm & ~PERM_WRITE)

    def add_write_permission(self, name: str) -> int:
        """Make all topics of a group readable and writable; gives their number."""
        return self._change_perm(name, lambda _: PERM_READ_WRITE)

    def _change_perm(self, name: str, change: Callable[[int], int]) -> int:
        count = 0
        for queues in self._topics.values():
            data = queues.get(name)
            if data is not None:
                queues[name] = msgspec.structs.replace(data, perm=change(data.perm))
                count += 1
        self.generation += 1
        return count

    def _remove_queues(self, name: str, topics: Iterable[str]) -> None:
        for topic in topics:
            queues = self._topics.get(topic)
            if queues is not None and queues.pop(name, None) is not None and not queues:
                del self._topics[topic]

    # -- answers -------------------------------------------------------------------------------------------------

    def route(self, topic: str) -> TopicRouteData | None:
        """Give a topic's queues and the brokers that hold them; None where no registered broker does."""
        queues = self._topics.get(topic, {})
        names = sorted(name for name in queues if name in self._groups)
        if not names:
            return None
        return TopicRouteData([self._broker_data(name) for name in names], [queues[name] for name in names])

    def cluster_info(self) -> ClusterInfoBody:
        """Give all brokers that are registered."""
        clusters: dict[str, list[str]] = {}
        for name in sorted(self._groups):
            clusters.setdefault(self._groups[name].cluster, []).append(name)
        return ClusterInfoBody(
            {name: self._broker_data(name) for name in sorted(self._groups)}, dict(sorted(clusters.items()))
        )

    def member_group(self, cluster: str, name: str) -> BrokerData:
        """Give the replicas of one group; none for an unknown one."""
        group = self._groups.get(name)
        if group is None or group.cluster != cluster:
            return BrokerData({}, name, cluster)
        return self._broker_data(name)

    def topics(self) -> list[str]:
        """Name all topics."""
        return sorted(self._topics)

    def topics_of_cluster(self, cluster: str) -> list[str]:
        """Name the topics that a cluster's groups hold."""
        names = {name for name, group in self._groups.items() if group.cluster == cluster}
        return sorted(topic for topic, queues in self._topics.items() if not names.isdisjoint(queues))

    def topics_with_flags(self, wanted: int, unwanted: int = 0) -> list[str]:
        """Name the topics some of whose queues have all wanted and none of the unwanted bits of topicSysFlag."""
        return sorted(
            topic
            for topic, queues in self._topics.items()
            if any(
                data.topic_sys_flag & wanted == wanted and not data.topic_sys_flag & unwanted
                for data in queues.values()
            )
        )

    def system_names(self) -> tuple[list[str], str | None]:
        """Name clusters and groups, which are topics too, and give the address of some broker."""
        clusters = sorted({group.cluster for group in self._groups.values()})
        addresses = (address for name in sorted(self._groups) for _, address in sorted(self._addresses(name)))
        return clusters + sorted(self._groups), next(addresses, None)

    def _addresses(self, name: str) -> Iterator[tuple[int, str]]:
        return iter(self._groups[name].addresses.items())

    def _broker_data(self, name: str) -> BrokerData:
        group = self._groups[name]
        return BrokerData(dict(sorted(group.addresses.items())), name, group.cluster, group.acting_master, group.zone)


def _order(version: DataVersion) -> tuple[int, int, int]:
    return version.state_version, version.counter, version.timestamp
