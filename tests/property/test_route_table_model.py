"""The routing table, which shares and goes in steps, against one that does neither; see `support.plain_routes`.

Any sequence of registrations, departures, single topics and permissions must give the same answers, and so must brokers
that leave while a registration is being applied: as if they had left right after it.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.plain_routes import PlainRouteTable
from ternmq.errors import RegistrationRefusedError
from ternmq.namesrv.encoded_routes import EncodedRoutes
from ternmq.namesrv.kv_store import KvStore
from ternmq.namesrv.placements import finish
from ternmq.namesrv.route_table import BrokerIdentity, Registered, Registration, RouteTable
from ternmq.protocol.routes import QueueData
from ternmq.protocol.topics import DataVersion, TopicConfig

GROUPS = ("g", "h", "i")
CLUSTERS = ("c", "d")
TOPICS = ("S", "T", "U", "V", "W")
TIMEOUT_MS = 10_000

groups = st.sampled_from(GROUPS)
connections = st.integers(1, 4)
shapes = st.tuples(st.sampled_from((4, 6)), st.integers(1, 2), st.sampled_from((0, 1)))
tables = st.dictionaries(st.sampled_from(TOPICS), shapes, min_size=2)
registrations = st.builds(
    lambda group, cluster, number, as_id, table, counter, term, acting, connection, founding: Registration(
        broker=BrokerIdentity(cluster, group, as_id, f"10.0.{GROUPS.index(group)}.{number}:10911"),
        topics={
            name: TopicConfig(
                topic_name=name, perm=perm, read_queue_nums=queues, write_queue_nums=queues, topic_sys_flag=flag
            )
            for name, (perm, queues, flag) in table.items()
        },
        version=DataVersion(counter, term, counter),
        term=term,
        timeout_ms=TIMEOUT_MS,
        is_current=True,
        acting_master=acting,
        connection_id=connection,
        group_id=founding,
    ),
    groups,
    st.sampled_from(CLUSTERS),
    st.integers(0, 2),
    st.integers(0, 2),
    tables,
    st.integers(1, 9),
    st.integers(1, 3),
    st.booleans(),
    connections,
    st.sampled_from(("", "one", "other")),
)


class TablesAlike(RuleBasedStateMachine):
    """Does the same to both."""

    @initialize(delete_missing=st.booleans())
    def begin(self, delete_missing: bool) -> None:
        self.now = 0
        self.table = RouteTable(delete_missing_topics=delete_missing)
        self.plain = PlainRouteTable(delete_missing_topics=delete_missing)
        self.folder = TemporaryDirectory()
        kv = KvStore(Path(self.folder.name) / "kv.json")
        # So little room that bodies are dropped all the time.
        self.encoded = EncodedRoutes(self.table, kv, with_order=True, max_bytes=1_500)

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(registration=registrations)
    def register(self, registration: Registration) -> None:
        self._register(registration, 1, lambda table: None)

    @rule(registration=registrations, steps=st.integers(1, 12), connection=connections)
    def register_while_a_connection_closes(self, registration: Registration, steps: int, connection: int) -> None:
        self._register(registration, steps, lambda table: table.connection_closed(connection))

    @rule(registration=registrations, steps=st.integers(1, 12))
    def register_while_silent_ones_go(self, registration: Registration, steps: int) -> None:
        self._register(registration, steps, lambda table: table.expire(self.now))

    def _register(
        self, registration: Registration, steps: int, leave: Callable[[RouteTable | PlainRouteTable], object]
    ) -> None:
        try:
            expected = self.plain.register(registration, self.now)
        except RegistrationRefusedError as refused:
            with pytest.raises(type(refused)):
                self.table.register(registration, self.now)
            leave(self.plain)
            leave(self.table)
            return
        registering = self.table.registering(registration, self.now)
        # From the first step on it is entered. What becomes of one that closes before is its turn's business.
        for _ in islice(registering, steps):
            self.what_is_shown_is_there()
        leave(self.plain)
        leave(self.table)
        self.what_is_shown_is_there()
        answer = finish(registering)
        # Where the master left meanwhile, a slave is not told of it any more.
        assert answer in (expected, Registered(), None)

    @rule(registration=registrations)
    def unregister(self, registration: Registration) -> None:
        self.plain.unregister(registration.broker)
        self.table.unregister(registration.broker)

    @rule(step_ms=st.integers(1, 8_000))
    def pass_time(self, step_ms: int) -> None:
        self.now += step_ms
        assert self.table.expire(self.now) == self.plain.expire(self.now)

    @rule(connection=connections)
    def cut(self, connection: int) -> None:
        assert self.table.connection_closed(connection) == self.plain.connection_closed(connection)

    @rule(group=groups, wipe=st.booleans())
    def change_permissions(self, group: str, wipe: bool) -> None:
        if wipe:
            assert self.table.wipe_write_permission(group) == self.plain.wipe_write_permission(group)
        else:
            assert self.table.add_write_permission(group) == self.plain.add_write_permission(group)

    @rule(topic=st.sampled_from(TOPICS), group=groups, shape=shapes)
    def add_topic(self, topic: str, group: str, shape: tuple[int, int, int]) -> None:
        perm, queues, flag = shape
        for table in (self.table, self.plain):
            table.add_topic(topic, [QueueData(group, perm, queues, flag, queues)])

    @rule(topic=st.sampled_from(TOPICS), group=groups)
    def miss_topic(self, topic: str, group: str) -> None:
        self.table.miss_topic(topic, group)
        self.plain.miss_topic(topic, group)

    @rule(topic=st.sampled_from(TOPICS), cluster=st.sampled_from((None, *CLUSTERS)))
    def delete_topic(self, topic: str, cluster: str | None) -> None:
        self.table.delete_topic(topic, cluster)
        self.plain.delete_topic(topic, cluster)

    def what_is_shown_is_there(self) -> None:
        """Between two steps, too: nothing of a group that is gone is shown."""
        there = set(self.table.cluster_info().broker_addr_table)
        for topic in TOPICS:
            route = self.table.route(topic)
            assert route is None or {data.broker_name for data in route.queue_datas} <= there
            assert (route is not None) == (topic in self.table.topics())

    @invariant()
    def both_answer_alike(self) -> None:
        self.what_is_shown_is_there()
        finish(self.table.settling())
        for topic in TOPICS:
            route = self.plain.route(topic)
            assert self.table.route(topic) == route, topic
            for standard in (False, True):
                body = None if route is None else route.encode(standard=standard)
                assert self.encoded.body(topic, standard=standard) == body
        assert self.table.topics() == self.plain.topics()
        for cluster in CLUSTERS:
            assert self.table.topics_of_cluster(cluster) == self.plain.topics_of_cluster(cluster)
        assert self.table.cluster_info() == self.plain.cluster_info()
        assert self.table.encoded_cluster_info() == self.plain.cluster_info().encode()

    @invariant()
    def topics_that_are_held_alike_share_what_is_kept(self) -> None:
        held = [placement.queues for placement in self.table._topics]
        assert len(held) == len(set(held))
        assert all(held)
        kinds = {tuple(queues.data() for queues in shared) for shared in held}
        assert len(kinds) == len(held), "no two placements say the same"
        assert sorted(name for placement in self.table._topics for name in placement.topics) == self.table.topics()


TablesAlike.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestTablesAlike = TablesAlike.TestCase
