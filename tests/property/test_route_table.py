"""The routing table under arbitrary interleavings of brokers, elections, silence and cut connections.

Elections are honest: one leader a term. Everything else is not: registrations arrive late, twice, out of order, over
old connections; brokers fall silent; tools wipe and delete.
"""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from ternmq.errors import StaleTermError
from ternmq.namesrv.route_table import BrokerIdentity, Registration, RouteTable
from ternmq.protocol.topics import DataVersion, TopicConfig

GROUPS = ("g", "h")
MEMBERS = (0, 1, 2)
TOPICS = ("S", "T", "U", "V")
TIMEOUT_MS = 10_000


def address(group: str, member: int) -> str:
    return f"10.0.{GROUPS.index(group)}.{member}:10911"


@dataclass
class Group:
    """What a group's own log would say."""

    term: int = 0
    leaders: dict[int, int] = field(default_factory=dict)
    counter: int = 1
    queues: int = 1


class Registrations(RuleBasedStateMachine):
    """Drives one table; what was registered is remembered so that it can arrive again, late."""

    sent = Bundle("sent")

    @initialize()
    def begin(self) -> None:
        self.table = RouteTable()
        self.now = 0
        self.groups = {name: Group() for name in GROUPS}
        self.newest_term = dict.fromkeys(GROUPS, 0)
        self.last_heard: dict[str, int] = {}
        self.connection_of: dict[str, int] = {}
        for number, name in enumerate(GROUPS):
            self.elect(name, number)

    @rule(group=st.sampled_from(GROUPS), member=st.sampled_from(MEMBERS))
    def elect(self, group: str, member: int) -> None:
        state = self.groups[group]
        state.term += 1
        state.leaders[state.term] = member

    @rule(group=st.sampled_from(GROUPS), queues=st.integers(1, 16))
    def change_topics(self, group: str, queues: int) -> None:
        self.groups[group].counter += 1
        self.groups[group].queues = queues

    @rule(
        target=sent,
        group=st.sampled_from(GROUPS),
        member=st.sampled_from(MEMBERS),
        back=st.integers(0, 1),
        as_leader=st.booleans(),
        topics=st.sets(st.sampled_from(TOPICS), min_size=2),
        connection=st.integers(1, 6),
    )
    def prepare(
        self, group: str, member: int, back: int, as_leader: bool, topics: set[str], connection: int
    ) -> Registration:
        """A member says what it believes, which may be a term old."""
        state = self.groups[group]
        term = max(1, state.term - back)
        if as_leader:
            member = state.leaders[term]
        leads = state.leaders[term] == member
        return Registration(
            broker=BrokerIdentity("c", group, 0 if leads else member + 1, address(group, member)),
            topics={
                name: TopicConfig(topic_name=name, read_queue_nums=state.queues, write_queue_nums=state.queues)
                for name in topics
            },
            version=DataVersion(state.counter, term, state.counter),
            term=term,
            timeout_ms=TIMEOUT_MS,
            is_current=True,
            connection_id=connection,
        )

    @rule(registration=sent)
    def register(self, registration: Registration) -> None:
        broker = registration.broker
        fenced = broker.id == 0 and registration.term < self.newest_term[broker.name]
        before = self.table.generation
        if fenced:
            with pytest.raises(StaleTermError) as caught:
                self.table.register(registration, self.now)
            assert caught.value.held == self.newest_term[broker.name]
            assert self.table.generation == before
            return
        self.table.register(registration, self.now)
        if broker.id == 0:
            self.newest_term[broker.name] = registration.term
        if self._placed(broker):
            self.last_heard[broker.address] = self.now
            self.connection_of[broker.address] = registration.connection_id

    def _placed(self, broker: BrokerIdentity) -> bool:
        return self.table.member_group("c", broker.name).broker_addrs.get(broker.id) == broker.address

    @rule(registration=sent, connection=st.integers(1, 6))
    def ask(self, registration: Registration, connection: int) -> None:
        broker = registration.broker
        changed, _ = self.table.query_version(broker, registration.version, self.now, connection)
        if not changed:
            assert self._placed(broker)
        if broker.address in self.connection_of:
            self.last_heard[broker.address] = self.now
            self.connection_of[broker.address] = connection

    @rule(registration=sent)
    def unregister(self, registration: Registration) -> None:
        self.table.unregister(registration.broker)
        self._forget(registration.broker.address)

    @rule(connection=st.integers(1, 6))
    def cut(self, connection: int) -> None:
        for broker in self.table.connection_closed(connection):
            assert self.connection_of[broker.address] == connection
            self._forget(broker.address)
        assert connection not in self.connection_of.values()

    @rule(step_ms=st.integers(1, 8_000))
    def pass_time(self, step_ms: int) -> None:
        self.now += step_ms
        for broker in self.table.expire(self.now):
            assert self.now - self.last_heard[broker.address] > TIMEOUT_MS
            self._forget(broker.address)

    @rule(group=st.sampled_from(GROUPS))
    def wipe(self, group: str) -> None:
        self.table.wipe_write_permission(group)

    @rule(topic=st.sampled_from(TOPICS))
    def delete(self, topic: str) -> None:
        self.table.delete_topic(topic)
        assert self.table.route(topic) is None

    def _forget(self, gone: str) -> None:
        self.last_heard.pop(gone, None)
        self.connection_of.pop(gone, None)

    @invariant()
    def the_master_of_a_group_is_the_leader_of_the_newest_term_seen(self) -> None:
        for name, state in self.groups.items():
            master = self.table.member_group("c", name).broker_addrs.get(0)
            if master is not None:
                assert master == address(name, state.leaders[self.newest_term[name]])

    @invariant()
    def an_address_has_one_id(self) -> None:
        for name in GROUPS:
            held = list(self.table.member_group("c", name).broker_addrs.values())
            assert len(held) == len(set(held))

    @invariant()
    def whoever_is_shown_was_heard_within_its_timeout_or_is_about_to_go(self) -> None:
        for name in GROUPS:
            for shown in self.table.member_group("c", name).broker_addrs.values():
                assert self.now - self.last_heard[shown] <= TIMEOUT_MS

    @invariant()
    def routes_name_only_groups_that_have_someone(self) -> None:
        for topic in self.table.topics():
            route = self.table.route(topic)
            assert route is not None, topic
            assert [data.broker_name for data in route.queue_datas] == [data.broker_name for data in route.broker_datas]
            assert all(data.broker_addrs for data in route.broker_datas)


Registrations.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestRegistrations = Registrations.TestCase
