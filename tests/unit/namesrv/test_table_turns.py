"""Changes of the table while others wait: in order, never two at once, and without holding up the event loop."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from ternmq.errors import RegistrationRefusedError
from ternmq.namesrv.handlers.registration import RegistrationHandlers
from ternmq.namesrv.kv_store import KvStore
from ternmq.namesrv.placements import finish
from ternmq.namesrv.route_table import BrokerIdentity, Registration, RouteTable
from ternmq.namesrv.table_turns import TableTurns
from ternmq.protocol.registration import RegisterBrokerBody
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table
from ternmq.remoting import Reply, Request

A, B = "10.0.0.1:10911", "10.0.0.2:10911"
NAMES = [f"topic-{number}" for number in range(20_000)]


class Handlers:
    """103 and 104 over one table, as the dispatcher starts them: a task for each, in order."""

    def __init__(self, folder: Path, *, max_waiting_bytes: int = 64 << 20) -> None:
        self.table = RouteTable()
        self.turns = TableTurns(max_waiting_bytes)
        self.handlers = RegistrationHandlers(self.table, self.turns, KvStore(folder / "kv.json"), lambda: 0)

    def register(
        self, names: list[str], *, address: str = A, term: int = 1, connection: int = 1, body: bytes | None = None
    ) -> asyncio.Task[Reply]:
        table = topic_table({name: TopicConfig(topic_name=name) for name in names}, DataVersion(term, term, term))
        raw = body if body is not None else RegisterBrokerBody([], table).encode()
        return self._start(self.handlers.register, 103, raw, address, connection)

    def unregister(self, *, address: str = A, connection: int = 1) -> asyncio.Task[Reply]:
        return self._start(self.handlers.unregister, 104, b"", address, connection)

    def _start(self, handler: Any, code: int, body: bytes, address: str, connection: int) -> asyncio.Task[Reply]:
        fields = {"brokerName": "g", "brokerAddr": address, "clusterName": "c", "brokerId": "0"}
        work: Awaitable[Reply] = handler(Request(code, 513, 0, False, "127.0.0.1:1", connection, fields, body))
        return asyncio.ensure_future(work)


@pytest.fixture
def handlers(tmp_path: Path) -> Handlers:
    return Handlers(tmp_path)


@pytest.mark.asyncio
async def test_other_work_of_the_loop_goes_on_while_a_large_table_is_taken(handlers: Handlers) -> None:
    registration = handlers.register(NAMES)
    turns = 0
    while not registration.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await registration).code == 0
    assert turns > 3, "the loop had several turns meanwhile"
    assert handlers.table.topics() == sorted(NAMES)


def test_no_step_of_a_large_table_handles_more_than_a_part_of_it() -> None:
    table = RouteTable()
    topics = {name: TopicConfig(topic_name=name) for name in NAMES}
    steps = sum(1 for _ in table.registering(Registration(BrokerIdentity("c", "g", 0, A), topics, DataVersion(1)), 0))
    assert steps >= 20
    table.unregister(BrokerIdentity("c", "g", 0, A))
    assert sum(1 for _ in table.settling()) >= 20
    assert table.topics() == []


def test_a_changed_table_touches_only_the_topics_that_it_changes() -> None:
    table = RouteTable()
    topics = {name: TopicConfig(topic_name=name) for name in NAMES}
    broker = BrokerIdentity("c", "g", 0, A)
    table.register(Registration(broker, topics, DataVersion(1)), 0)
    before = {name: table.placement(name) for name in NAMES}
    table.register(Registration(broker, topics | {"new": TopicConfig(topic_name="new")}, DataVersion(2)), 0)
    assert all(table.placement(name) is placement for name, placement in before.items())
    assert table.placement("new") is before[NAMES[0]], "it is held as the others are, and shares their answer"


@pytest.mark.asyncio
async def test_an_unregistration_right_after_a_registration_comes_after_it(handlers: Handlers) -> None:
    replies = await asyncio.gather(handlers.register(NAMES), handlers.unregister())
    assert [reply.code for reply in replies] == [0, 0]
    assert handlers.table.topics() == []
    assert handlers.table.route(NAMES[0]) is None


@pytest.mark.asyncio
async def test_of_two_registrations_the_later_stays_and_an_older_term_is_refused(handlers: Handlers) -> None:
    old, new = handlers.register(NAMES, term=1), handlers.register(["T", "U"], address=B, term=2)
    late = handlers.register(NAMES, term=1)
    assert (await old).code == (await new).code == 0
    with pytest.raises(RegistrationRefusedError):
        await late
    assert handlers.table.member_group("c", "g").broker_addrs == {0: B}
    assert {"T", "U"} <= set(handlers.table.topics())


@pytest.mark.asyncio
async def test_a_broker_whose_connection_closes_before_its_turn_is_not_entered(handlers: Handlers) -> None:
    first, second = handlers.register(NAMES), handlers.register(["T", "U"], address=B, term=2, connection=2)
    await asyncio.sleep(0)
    handlers.turns.connection_closed(2)
    assert handlers.table.connection_closed(2) == []
    assert (await first).code == 0
    with pytest.raises(RegistrationRefusedError, match="closed before"):
        await second
    assert handlers.table.member_group("c", "g").broker_addrs == {0: A}
    assert (await handlers.register(["T", "U"], address=B, term=2, connection=2)).code == 0, "nothing is left of it"


@pytest.mark.asyncio
async def test_a_broker_whose_connection_closes_while_its_table_is_taken_is_gone(handlers: Handlers) -> None:
    for turns in range(1, 12):
        # In the first of them its body is still being read.
        registration = handlers.register(NAMES)
        for _ in range(turns):
            await asyncio.sleep(0)
        handlers.turns.connection_closed(1)
        handlers.table.connection_closed(1)
        await registration
        finish(handlers.table.settling())
        assert handlers.table.topics() == [], turns
        assert handlers.table.cluster_info().broker_addr_table == {}, turns


@pytest.mark.asyncio
async def test_a_question_during_a_registration_says_that_the_table_has_changed(handlers: Handlers) -> None:
    broker = BrokerIdentity("c", "g", 0, A)
    registering = handlers.table.registering(
        Registration(broker, {name: TopicConfig(topic_name=name) for name in NAMES}, DataVersion(1), connection_id=1), 0
    )
    next(registering)
    assert handlers.table.query_version(broker, DataVersion(1), 0, 1) == (True, None)
    finish(registering)
    assert handlers.table.query_version(broker, DataVersion(1), 0, 1) == (False, DataVersion(1))


@pytest.mark.asyncio
async def test_more_waiting_tables_than_there_is_room_for_are_refused_as_busy(tmp_path: Path) -> None:
    handlers = Handlers(tmp_path, max_waiting_bytes=1)
    first, second = handlers.register(NAMES), handlers.register(["T", "U"], address=B, term=2)
    assert (await first).code == 0
    with pytest.raises(RegistrationRefusedError) as refused:
        await second
    assert refused.value.code == 2
    assert (await handlers.register(["T", "U"], address=B, term=2)).code == 0


@pytest.mark.asyncio
async def test_a_table_that_is_no_plain_json_is_taken_all_the_same(handlers: Handlers) -> None:
    body = b"{topicConfigSerializeWrapper:{dataVersion:{counter:1},topicConfigTable:{'T':{perm:4},'U':{perm:6}}}}"
    assert (await handlers.register([], body=body)).code == 0
    assert handlers.table.topics() == ["T", "U"]
