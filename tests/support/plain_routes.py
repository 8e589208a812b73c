"""The routing table as a table of topics by groups, in which every change is made at once: what answers must be.

Slow with many topics and plain to read; the NameServer's own table is held against it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from ternmq.errors import NameTakenError, RegistrationRefusedError, StaleTermError
from ternmq.namesrv.route_table import DEFAULT_TIMEOUT_MS, BrokerIdentity, Registered, Registration
from ternmq.protocol.cluster_info import ClusterInfoBody
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.routes import MASTER_ID, BrokerData, QueueData, TopicRouteData
from ternmq.protocol.topics import PERM_READ_WRITE, PERM_WRITE, DataVersion


@dataclass(frozen=True)
class PlainLive:
    broker: BrokerIdentity
    version: DataVersion
    ha_address: str
    timeout_ms: int
    seen_ms: int
    connection_id: int


@dataclass
class PlainGroup:
    cluster: str
    addresses: dict[int, str] = field(default_factory=dict)
    acting_master: bool = False
    zone: str | None = None
    applied: DataVersion | None = None
    group_id: str = ""


class PlainRouteTable:
    """Rules and their order are those of `RouteTable`.

    Args:
        delete_missing_topics: forget topics of a group that a registration of its master no longer names.
    """

    def __init__(self, *, delete_missing_topics: bool = False) -> None:
        self._delete_missing_topics = delete_missing_topics
        self._topics: dict[str, dict[str, QueueData]] = {}
        self._groups: dict[str, PlainGroup] = {}
        self._live: dict[tuple[str, str], PlainLive] = {}
        # Kept when a group goes: within one process life the term of a group never goes back.
        self._terms: dict[str, tuple[str, int]] = {}

    # -- brokers come, stay and go -------------------------------------------------------------------------------

    def register(self, registration: Registration, now_ms: int) -> Registered:
        broker = registration.broker
        group = self._groups.get(broker.name)
        ids = {registration.group_id} if group is None else {registration.group_id, group.group_id}
        if len(ids - {""}) == 2:
            raise NameTakenError("another group", code=ResponseCode.SYSTEM_ERROR)
        self._check_term(registration)
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
            group = self._groups[broker.name] = PlainGroup(broker.cluster)
        self._enter(group, registration)
        if self._may_change_topics(group, registration):
            self._apply_topics(group, registration)
        self._live[broker.cluster, broker.address] = PlainLive(
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
        group_id, held = self._terms.get(registration.broker.name, ("", 0))
        if registration.term < held and not (group_id and registration.group_id and group_id != registration.group_id):
            raise StaleTermError(registration.broker.name, registration.term, held)

    def _is_superseded(self, group: PlainGroup, registration: Registration) -> bool:
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

    def _enter(self, group: PlainGroup, registration: Registration) -> None:
        broker = registration.broker
        group.cluster = broker.cluster
        group.acting_master = registration.acting_master
        group.zone = registration.zone
        group.group_id = registration.group_id or group.group_id
        for other in [number for number, address in group.addresses.items() if address == broker.address]:
            del group.addresses[other]
        group.addresses[broker.id] = broker.address

    def _may_change_topics(self, group: PlainGroup, registration: Registration) -> bool:
        if registration.broker.id == MASTER_ID:
            return group.applied != registration.version
        # The smallest id stands in while no master is registered, but only forwards.
        stands_in = registration.is_current and registration.broker.id == min(group.addresses)
        return stands_in and (group.applied is None or _order(registration.version) > _order(group.applied))

    def _apply_topics(self, group: PlainGroup, registration: Registration) -> None:
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

    def _master_of(self, group: PlainGroup, broker: BrokerIdentity) -> Registered:
        master = group.addresses.get(MASTER_ID)
        if broker.id == MASTER_ID or master is None:
            return Registered()
        live = self._live.get((broker.cluster, master))
        return Registered(master, live.ha_address) if live is not None else Registered()

    def unregister(self, broker: BrokerIdentity) -> None:
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
        elif mine and group.acting_master and MASTER_ID not in group.addresses:
            self._change_perm(broker.name, lambda perm: perm & ~PERM_WRITE)

    def connection_closed(self, connection_id: int) -> list[BrokerIdentity]:
        gone = [live.broker for live in self._live.values() if live.connection_id == connection_id]
        for broker in gone:
            self.unregister(broker)
        return gone

    def expire(self, now_ms: int) -> list[BrokerIdentity]:
        gone = [live.broker for live in self._live.values() if now_ms - live.seen_ms > live.timeout_ms]
        for broker in gone:
            self.unregister(broker)
        return gone

    # -- topics --------------------------------------------------------------------------------------------------

    def add_topic(self, topic: str, queues: Iterable[QueueData]) -> None:
        for data in queues:
            if data.broker_name in self._groups:
                self._topics.setdefault(topic, {})[data.broker_name] = data

    def miss_topic(self, topic: str, name: str) -> None:
        if self._delete_missing_topics:
            self._remove_queues(name, [topic])

    def delete_topic(self, topic: str, cluster: str | None = None) -> None:
        if cluster is None:
            names = list(self._topics.get(topic, {}))
        else:
            names = [name for name, group in self._groups.items() if group.cluster == cluster]
        for name in names:
            self._remove_queues(name, [topic])

    def wipe_write_permission(self, name: str) -> int:
        return self._change_perm(name, lambda perm: perm & ~PERM_WRITE)

    def add_write_permission(self, name: str) -> int:
        return self._change_perm(name, lambda _: PERM_READ_WRITE)

    def _change_perm(self, name: str, change: Callable[[int], int]) -> int:
        count = 0
        for queues in self._topics.values():
            data = queues.get(name)
            if data is not None:
                queues[name] = msgspec.structs.replace(data, perm=change(data.perm))
                count += 1
        return count

    def _remove_queues(self, name: str, topics: Iterable[str]) -> None:
        for topic in topics:
            queues = self._topics.get(topic)
            if queues is not None and queues.pop(name, None) is not None and not queues:
                del self._topics[topic]

    # -- answers -------------------------------------------------------------------------------------------------

    def route(self, topic: str) -> TopicRouteData | None:
        queues = self._topics.get(topic, {})
        names = sorted(name for name in queues if name in self._groups)
        if not names:
            return None
        return TopicRouteData([self._broker_data(name) for name in names], [queues[name] for name in names])

    def cluster_info(self) -> ClusterInfoBody:
        clusters: dict[str, list[str]] = {}
        for name in sorted(self._groups):
            clusters.setdefault(self._groups[name].cluster, []).append(name)
        return ClusterInfoBody(
            {name: self._broker_data(name) for name in sorted(self._groups)}, dict(sorted(clusters.items()))
        )

    def topics(self) -> list[str]:
        return sorted(self._topics)

    def topics_of_cluster(self, cluster: str) -> list[str]:
        names = {name for name, group in self._groups.items() if group.cluster == cluster}
        return sorted(topic for topic, queues in self._topics.items() if not names.isdisjoint(queues))

    def _broker_data(self, name: str) -> BrokerData:
        group = self._groups[name]
        return BrokerData(dict(sorted(group.addresses.items())), name, group.cluster, group.acting_master, group.zone)


def _order(version: DataVersion) -> tuple[int, int, int]:
    return version.state_version, version.counter, version.timestamp
