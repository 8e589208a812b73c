"""What registration costs: tables sent and made, beside the topics that come and go; on a network in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from support.memory.network import Exchange, MemoryNetwork, Server
from support.memory.virtual_time import run
from ternmq.broker.registration import ASK_SECONDS, Registrar, RegistrationState, ReplicaIdentity
from ternmq.protocol.registration import decode_register_body
from ternmq.protocol.routes import decode_route
from ternmq.protocol.topics import DataVersion, TopicConfig

TABLE, TOPIC, ASK = 103, 217, 322
ADDRESSES = ("ns1:1", "ns2:1", "ns3:1")


class NameServer(Server):
    """Takes everything, after a pause of its own; forgets topics that a table does not have."""

    def __init__(self, version: str, pause: Callable[[], float]) -> None:
        self.version = version
        self.pause = pause
        self.topics: set[str] = set()

    def request(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        asyncio.get_running_loop().call_later(self.pause(), self.take, exchange, code, fields, body)

    def take(self, exchange: Exchange, code: int, fields: dict[str, str], body: bytes) -> None:
        if code == TOPIC and self.version == "4.9":
            exchange.answer(3)
            return
        if code == TABLE:
            table = decode_register_body(body, compressed=False, version=513)
            self.topics = set(table.topic_config_serialize_wrapper.topic_config_table)
        elif code == TOPIC and decode_route(body).queue_datas:
            self.topics.add(fields["topic"])
        elif code == TOPIC:
            self.topics.discard(fields["topic"])
        exchange.answer(fields={"changed": "false"})


class Replica:
    """A registrar whose topics a test creates, and counts of what it did."""

    def __init__(self, version: str = "5.x", topics: int = 640, pause: Callable[[], float] = lambda: 0.0) -> None:
        self.network = MemoryNetwork()
        self.nameservers = [NameServer(version, pause) for _ in ADDRESSES]
        self.network.servers.update(zip(ADDRESSES, self.nameservers, strict=True))
        self.topics = {f"t{number}": TopicConfig(topic_name=f"t{number}") for number in range(topics)}
        self.broker_id = 0
        self.counter = 1
        self.made = 0
        self.endpoint = self.network.open_endpoint()
        self.registrar = Registrar(
            self.endpoint, ADDRESSES, ReplicaIdentity("c", "g", "b:1", "b:2"), self.state, self.topic
        )

    def state(self) -> RegistrationState:
        self.made += 1
        return RegistrationState(self.broker_id, 1, DataVersion(self.counter, 1, 0), dict(self.topics))

    def topic(self, name: str) -> TopicConfig | None:
        return self.topics.get(name)

    def create(self, name: str) -> None:
        self.topics[name] = TopicConfig(topic_name=name)
        self._changed()

    def delete(self, name: str) -> None:
        del self.topics[name]
        self._changed()

    def _changed(self) -> None:
        self.counter += 1
        self.registrar.topics_changed()

    async def created(self, name: str) -> bool:
        self.create(name)
        return await self.registrar.wait_registered(1.0, [name])

    async def deleted(self, name: str) -> bool:
        self.delete(name)
        return await self.registrar.wait_registered(1.0, [name])

    def sent(self, code: int) -> int:
        return len(self.network.sent(code))


def scenario(
    steps: Callable[[Replica], Awaitable[None]],
    version: str = "5.x",
    topics: int = 640,
    pause: Callable[[], float] = lambda: 0.0,
) -> None:
    async def within() -> None:
        replica = Replica(version, topics, pause)
        replica.registrar.start()
        assert await replica.registrar.wait_registered(1.0)
        assert (replica.sent(TABLE), replica.made) == (3, 1), "one table for all, and each has it"
        await steps(replica)
        await replica.registrar.stop()
        await replica.endpoint.close()

    run(within())


def test_one_table_serves_all_that_wait() -> None:
    async def steps(replica: Replica) -> None:
        shown = await asyncio.gather(*(replica.created(f"new{number}") for number in range(256)))
        assert all(shown)
        assert replica.made == 2
        assert replica.sent(TABLE) == 6
        assert replica.sent(TOPIC) == 0, "so many at once are cheaper as a table"

    scenario(steps)


def test_one_table_serves_all_deletions_that_wait() -> None:
    async def steps(replica: Replica) -> None:
        assert all(await asyncio.gather(*(replica.deleted(f"t{number}") for number in range(256))))
        assert replica.made == 2

    scenario(steps)


def test_topics_deleted_one_after_the_other_are_told_one_by_one() -> None:
    async def steps(replica: Replica) -> None:
        for number in range(100):
            assert await replica.deleted(f"t{number}")
        assert replica.sent(TOPIC) >= 290

    scenario(steps)


def test_topics_created_one_after_the_other_are_shown_one_by_one() -> None:
    async def steps(replica: Replica) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(1_000):
            assert await replica.created(f"new{number}")
        took = loop.time() - began
        assert took <= 1_000 * 0.006, "a request there and back, at times behind a table"
        assert 2_900 <= replica.sent(TOPIC) <= 3_000
        # A table takes 2 ms here, and the next one comes ten times as long after it, but for two seconds' worth.
        assert replica.made - 1 <= (2.0 + took) / 0.020 + 1

    scenario(steps)


def test_what_was_shown_one_by_one_is_in_a_table_soon() -> None:
    async def steps(replica: Replica) -> None:
        for number in range(10):
            await replica.created(f"new{number}")
        assert await replica.registrar.wait_registered(0.1)
        assert replica.sent(TABLE) <= 9

    scenario(steps)


def test_topics_that_nobody_waits_for_keep_tables_at_a_distance() -> None:
    async def steps(replica: Replica) -> None:
        for number in range(500):
            replica.create(f"new{number}")
            await asyncio.sleep(0.01)
        assert replica.made - 1 <= (2.0 + 5.0) / 0.020 + 1

    scenario(steps)


def test_a_topic_that_comes_by_use_is_shown_at_once() -> None:
    async def steps(replica: Replica) -> None:
        for number in range(20):
            replica.create(f"new{number}")
            await asyncio.sleep(0.005)
            assert all(f"new{number}" in server.topics for server in replica.nameservers)

    scenario(steps)


def test_a_new_leader_shows_topics_at_once_whatever_it_did_as_a_follower() -> None:
    async def steps(replica: Replica) -> None:
        replica.broker_id = 1
        replica.registrar.changed()
        assert await replica.registrar.wait_registered(0.1)
        replica.broker_id = 0
        replica.registrar.changed()
        assert await replica.registrar.wait_registered(0.1)
        replica.create("new")
        await asyncio.sleep(0.005)
        assert all("new" in server.topics for server in replica.nameservers)

    scenario(steps)


def test_a_followers_table_waits_for_its_question() -> None:
    async def steps(replica: Replica) -> None:
        replica.broker_id = 1
        replica.registrar.changed()
        assert await replica.registrar.wait_registered(0.1), "a role waits for nothing"
        before = replica.made
        for number in range(1_000):
            replica.create(f"new{number}")
            await asyncio.sleep(0.01)
        assert replica.made - before <= 1_000 * 0.01 / ASK_SECONDS + 1

    scenario(steps)


def test_a_nameserver_that_knows_no_single_topics_gets_tables() -> None:
    async def steps(replica: Replica) -> None:
        for number in range(3):
            assert await replica.created(f"new{number}")
        assert replica.sent(TOPIC) == 3, "asked once each"
        assert replica.made == 4

    scenario(steps, "4.9")


def test_a_topic_shown_by_itself_is_not_taken_for_shown_again_when_it_changes() -> None:
    async def steps(replica: Replica) -> None:
        await replica.created("new")
        await replica.created("new")
        assert replica.sent(TOPIC) == 6

    scenario(steps)


def test_a_nameserver_that_lost_its_connection_gets_the_table_before_any_topic() -> None:
    async def steps(replica: Replica) -> None:
        server = replica.network.servers["ns2:1"]
        replica.network.kill("ns2:1")
        replica.network.servers["ns2:1"] = server
        seen = len(replica.network.requests)
        await asyncio.sleep(0)  # the broken connection is told
        assert await replica.created("new")
        after = [code for address, code, _ in replica.network.requests[seen:] if address == "ns2:1"]
        assert after[0] == TABLE

    scenario(steps)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_answered_is_what_every_nameserver_shows_whichever_is_slow(seed: int) -> None:
    random = Random(seed)

    async def steps(replica: Replica) -> None:
        async def one(name: str) -> None:
            for _ in range(10):
                assert await replica.created(name)
                assert all(name in server.topics for server in replica.nameservers)
                await asyncio.sleep(random.random() * 0.1)
                assert await replica.deleted(name)
                assert not any(name in server.topics for server in replica.nameservers)

        await asyncio.gather(*(one(f"new{number}") for number in range(random.choice([1, 2, 5, 20]))))

    scenario(steps, topics=640, pause=lambda: random.choice([0.0, 0.001, 0.03]))
