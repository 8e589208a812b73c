"""The routing table: brokers, their topics and liveness. Pure: time and connections are arguments.

Rules and their order are those of RocketMQ 5.x (RouteInfoManager), with these deliberate differences:

- a leader (id 0) with an older term than one seen in this process is refused, not just one that is registered now;
- topics are applied when the version differs from the one last applied *for the group*, so a new leader whose table is
  already known costs nothing, and a follower that stands in for a missing master never takes topics back;
- answers are in name order, so that every NameServer gives the same routes.

What changes many topics is done in steps (`Steps`), and the event loop does other things between two of them. Three
rules keep that safe. Changes in steps never overlap: whoever drives them takes one after another (`TableTurns`). Who
is there changes at once, also between two steps: a broker that leaves is not shown from then on, and what its group
held is taken out later (`settling`). A version counts as known only when all its topics are applied, so a broker whose
registration was not finished is told that its table has changed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ternmq.errors import NameTakenError, RegistrationRefusedError, StaleTermError
from ternmq.namesrv.broker_group import BrokerGroup, GroupQueues
from ternmq.namesrv.placements import Placement, Placements, Steps, finish
from ternmq.protocol.cluster_info import ClusterInfoBody, join_cluster_info
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.routes import MASTER_ID, BrokerData, QueueData, TopicRouteData
from ternmq.protocol.topics import PERM_READ_WRITE, PERM_WRITE, DataVersion, QueueShape, TopicConfig

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
        topics: its topics; of each is kept what routes say of it.
        version: version of this table.
        term: Raft term of the sender; 0 for brokers that have none.
        ha_address: where slaves of Java brokers copy from.
        timeout_ms: silence after which the broker counts as gone; None means 120 s.
        is_current: whether it is a 5.x broker (it sent `enableActingMaster`, with any value).
        acting_master: value of that field.
        zone: zone name.
        connection_id: the connection over which it came.
        group_id: what its group was founded as; empty for brokers that do not say.
    """

    broker: BrokerIdentity
    topics: Mapping[str, TopicConfig | QueueShape]
    version: DataVersion
    term: int = 0
    ha_address: str = ""
    timeout_ms: int | None = None
    is_current: bool = False
    acting_master: bool = False
    zone: str | None = None
    connection_id: int = 0
    group_id: str = ""


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
    version: DataVersion | None  # None until the topics that came with it are applied
    ha_address: str
    timeout_ms: int
    seen_ms: int
    connection_id: int


class RouteTable:
    """All that one NameServer knows.

    Args:
        delete_missing_topics: forget topics of a group that a registration of its master no longer names.
    """

    def __init__(self, *, delete_missing_topics: bool = False) -> None:
        self.groups_generation = 0
        """Grows with every change of who is there; answers that name the same placement are equal within one."""
        self._delete_missing_topics = delete_missing_topics
        self._topics = Placements()
        self._groups: dict[str, BrokerGroup] = {}
        self._live: dict[tuple[str, str], _Live] = {}
        # Group id and term, kept when a group goes: within one process life the term of a group never goes back.
        # Another group that gets the name of one that is gone begins with its own.
        self._terms: dict[str, tuple[str, int]] = {}
        self._left: deque[Callable[[], Steps[object]]] = deque()

    @property
    def generation(self) -> int:
        """Grows with every change of what routes say, and with every table that is applied."""
        return self.groups_generation + self._topics.generation

    # -- brokers come, stay and go -------------------------------------------------------------------------------

    def register(self, registration: Registration, now_ms: int) -> Registered:
        """Do at once what `registering` does in steps."""
        return finish(self.registering(registration, now_ms))

    def registering(self, registration: Registration, now_ms: int) -> Steps[Registered]:
        """Take one broker's registration; topics change only when the master sends them.

        Args:
            registration: what it says.
            now_ms: monotonic time, the start of the broker's next liveness interval.

        Raises:
            StaleTermError: id 0 with an older term than one seen here.
            NameTakenError: another group of this name is registered now.
            RegistrationRefusedError: an id that is new here with a table of exactly one topic.

        Source: RocketMQ 5.x, RouteInfoManager#registerBroker.
        """
        broker = registration.broker
        self._check_name(registration)
        self._check_term(registration)
        yield from self.settling()
        group = self._groups.get(broker.name)
        if group is not None and self._is_superseded(group, registration):
            return Registered()
        if (group is None or broker.id not in group.addresses) and len(registration.topics) == 1:
            raise RegistrationRefusedError(
                f"register broker failed: {broker.name} is new here and sent one topic, not its whole table",
                code=ResponseCode.SYSTEM_ERROR,
            )
        if broker.id == MASTER_ID:
            self._terms[broker.name] = registration.group_id, registration.term
        if group is None:
            group = self._groups[broker.name] = BrokerGroup(broker.name, broker.cluster)
        self._enter(group, registration)
        # From here on the broker is one that can leave, also while its topics are being applied.
        key = (broker.cluster, broker.address)
        timeout_ms = registration.timeout_ms or DEFAULT_TIMEOUT_MS
        self._live[key] = _Live(broker, None, registration.ha_address, timeout_ms, now_ms, registration.connection_id)
        if self._may_change_topics(group, registration):
            yield from self._applying(group, registration)
        live = self._live.get(key)
        if live is not None:
            self._live[key] = replace(live, version=registration.version)
        return self._master_of(group, broker)

    def _check_name(self, registration: Registration) -> None:
        group = self._groups.get(registration.broker.name)
        if group is not None and _are_strangers(group.group_id, registration.group_id):
            there = ", ".join(sorted(group.addresses.values()))
            raise NameTakenError(
                f"{group.name} is another group, with {there}: two groups cannot have one name",
                code=ResponseCode.SYSTEM_ERROR,
            )

    def _check_term(self, registration: Registration) -> None:
        if registration.broker.id != MASTER_ID:
            return
        group_id, held = self._terms.get(registration.broker.name, ("", 0))
        if registration.term < held and not _are_strangers(group_id, registration.group_id):
            raise StaleTermError(registration.broker.name, registration.term, held)

    def _is_superseded(self, group: BrokerGroup, registration: Registration) -> bool:
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
            and live.version is not None
            and (live.version.state_version > registration.version.state_version)
        )

    def _enter(self, group: BrokerGroup, registration: Registration) -> None:
        broker = registration.broker
        acting_master = registration.acting_master
        group.group_id = registration.group_id or group.group_id
        if group.enter(broker.id, broker.address, broker.cluster, registration.zone, acting_master=acting_master):
            self.groups_generation += 1

    def _may_change_topics(self, group: BrokerGroup, registration: Registration) -> bool:
        if registration.broker.id == MASTER_ID:
            return group.applied != registration.version
        # The smallest id stands in while no master is registered, but only forwards.
        stands_in = registration.is_current and registration.broker.id == min(group.addresses)
        return stands_in and (group.applied is None or _order(registration.version) > _order(group.applied))

    def _applying(self, group: BrokerGroup, registration: Registration) -> Steps[None]:
        is_master = registration.broker.id == MASTER_ID
        read_only = group.acting_master and not is_master
        yield from self._topics.placing(group, registration.topics, ~PERM_WRITE if read_only else -1)
        if self._delete_missing_topics and is_master:
            yield from self._topics.keeping_only(group, registration.topics)
        self._topics.generation += 1
        group.applied = registration.version

    def _master_of(self, group: BrokerGroup, broker: BrokerIdentity) -> Registered:
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
        """Forget a broker: its id, and with the last id of a group the group and, by `settling`, its queues."""
        self._live.pop((broker.cluster, broker.address), None)
        group = self._groups.get(broker.name)
        if group is None:
            return
        left = group.leave(broker.address)
        if group.is_gone:
            del self._groups[broker.name]
            self._left.append(lambda: self._topics.clearing(group))
        elif left and group.acting_master and MASTER_ID not in group.addresses:
            self._left.append(lambda: self._topics.changing_perm(group, _without_write))
        if left:
            self.groups_generation += 1

    def connection_closed(self, connection_id: int) -> list[BrokerIdentity]:
        """Forget at once the brokers that registered over a connection that closed; gives them."""
        return self._forget(live.broker for live in self._live.values() if live.connection_id == connection_id)

    def expire(self, now_ms: int) -> list[BrokerIdentity]:
        """Forget brokers that were silent for longer than they declared, or 120 s; gives them."""
        return self._forget(live.broker for live in self._live.values() if now_ms - live.seen_ms > live.timeout_ms)

    def _forget(self, brokers: Iterable[BrokerIdentity]) -> list[BrokerIdentity]:
        gone = list(brokers)
        for broker in gone:
            self.unregister(broker)
        return gone

    def settling(self) -> Steps[None]:
        """Take from the topics what brokers have left there when they went; all other work in steps begins with it."""
        while self._left:
            yield from self._left[0]()
            self._left.popleft()

    # -- topics --------------------------------------------------------------------------------------------------

    def add_topic(self, topic: str, queues: Iterable[QueueData]) -> None:
        """Add queues of one topic, of groups that are registered."""
        for data in queues:
            group = self._groups.get(data.broker_name)
            if group is not None:
                shape = QueueShape(data.perm, data.read_queue_nums, data.topic_sys_flag, data.write_queue_nums)
                self._topics.place(topic, group.queues(shape))

    def miss_topic(self, topic: str, name: str) -> None:
        """Take note that a group has a topic no more: what a table without it would say."""
        group = self._groups.get(name)
        if self._delete_missing_topics and group is not None:
            self._topics.remove(topic, group)

    def delete_topic(self, topic: str, cluster: str | None = None) -> None:
        """Forget a topic, or its queues on the groups of one cluster."""
        placement = self._topics.get(topic)
        for queues in placement.queues if placement is not None else ():
            if cluster is None or queues.group.cluster == cluster:
                self._topics.remove(topic, queues.group)

    def wiping_write_permission(self, name: str) -> Steps[int]:
        """Clear the write bit of all topics of a group, until its next changed registration; gives their number."""
        return self._changing_perm(name, _without_write)

    def adding_write_permission(self, name: str) -> Steps[int]:
        """Make all topics of a group readable and writable; gives their number."""
        return self._changing_perm(name, lambda _: PERM_READ_WRITE)

    def wipe_write_permission(self, name: str) -> int:
        """Do at once what `wiping_write_permission` does in steps."""
        return finish(self.wiping_write_permission(name))

    def add_write_permission(self, name: str) -> int:
        """Do at once what `adding_write_permission` does in steps."""
        return finish(self.adding_write_permission(name))

    def _changing_perm(self, name: str, change: Callable[[int], int]) -> Steps[int]:
        yield from self.settling()
        group = self._groups.get(name)
        return 0 if group is None else (yield from self._topics.changing_perm(group, change))

    # -- answers -------------------------------------------------------------------------------------------------

    def placement(self, topic: str) -> Placement | None:
        """Give what a topic's route is made of; topics with the same have the same route."""
        return self._topics.get(topic)

    def route(self, topic: str) -> TopicRouteData | None:
        """Give a topic's queues and the brokers that hold them; None where no registered broker does."""
        placement = self._topics.get(topic)
        shown = placement.shown() if placement is not None else []
        if not shown:
            return None
        return TopicRouteData([queues.group.data() for queues in shown], [queues.data() for queues in shown])

    def cluster_info(self) -> ClusterInfoBody:
        """Give all brokers that are registered."""
        return ClusterInfoBody({name: self._groups[name].data() for name in sorted(self._groups)}, self._clusters())

    def encoded_cluster_info(self) -> bytes:
        """Give the same encoded, from parts that are kept."""
        return join_cluster_info(
            {name: self._groups[name].encoded()[False] for name in sorted(self._groups)}, self._clusters()
        )

    def _clusters(self) -> dict[str, list[str]]:
        clusters: dict[str, list[str]] = {}
        for name in sorted(self._groups):
            clusters.setdefault(self._groups[name].cluster, []).append(name)
        return dict(sorted(clusters.items()))

    def member_group(self, cluster: str, name: str) -> BrokerData:
        """Give the replicas of one group; none for an unknown one."""
        group = self._groups.get(name)
        if group is None or group.cluster != cluster:
            return BrokerData({}, name, cluster)
        return group.data()

    def topics(self) -> list[str]:
        """Name all topics."""
        return self._topics_where(lambda _: True) if self._left else self._topics.names()

    def topics_of_cluster(self, cluster: str) -> list[str]:
        """Name the topics that a cluster's groups hold."""
        return self._topics_where(lambda queues: queues.group.cluster == cluster)

    def topics_with_flags(self, wanted: int, unwanted: int = 0) -> list[str]:
        """Name the topics some of whose queues have all wanted and none of the unwanted bits of topicSysFlag."""

        def has(queues: GroupQueues) -> bool:
            flags = queues.shape.topic_sys_flag
            return flags & wanted == wanted and not flags & unwanted

        return self._topics_where(has)

    def _topics_where(self, wanted: Callable[[GroupQueues], bool]) -> list[str]:
        names: list[str] = []
        for placement in self._topics:
            if any(wanted(queues) and not queues.group.is_gone for queues in placement.queues):
                names += placement.topics
        names.sort()
        return names

    def system_names(self) -> tuple[list[str], str | None]:
        """Name clusters and groups, which are topics too, and give the address of some broker."""
        clusters = sorted({group.cluster for group in self._groups.values()})
        addresses = (address for name in sorted(self._groups) for _, address in sorted(self._addresses(name)))
        return clusters + sorted(self._groups), next(addresses, None)

    def _addresses(self, name: str) -> Iterator[tuple[int, str]]:
        return iter(self._groups[name].addresses.items())


def _without_write(perm: int) -> int:
    return perm & ~PERM_WRITE


def _are_strangers(one: str, other: str) -> bool:
    """Say whether these are ids of different groups; who has none may be anybody."""
    return bool(one and other) and one != other


def _order(version: DataVersion) -> tuple[int, int, int]:
    return version.state_version, version.counter, version.timestamp
