"""A leader goes away while the client works; on a network in memory, in virtual time."""

import asyncio

import pytest

from support.memory.client import connect
from support.memory.cluster import MemoryCluster
from support.memory.virtual_time import run
from ternmq.errors import NotWritableError, OutcomeUnknownError, SendTimeoutError, UnreachableError


def _cluster(groups: int = 1, nameservers: int = 1) -> MemoryCluster:
    cluster = MemoryCluster(groups=groups, nameservers=nameservers)
    cluster.create_topic("t", 4)
    return cluster


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _later(seconds: float, cluster: MemoryCluster, address: str, *, register: bool = True) -> None:
    await asyncio.sleep(seconds)
    cluster.elect(address[0], address, register=register)


def test_sends_of_a_killed_leader_wait_for_the_new_one_inside_their_time() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            began = _now()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(0.5, cluster, "a1:1"))
                sends = [tasks.create_task(out.send("t", b"x", shard=f"k{number}")) for number in range(50)]
            assert all(send.result().queue.broker == "a" for send in sends)
            assert _now() - began < 0.8
            assert len(cluster.bodies("t")) == 51

    run(scenario())


def test_a_send_on_its_way_at_the_kill_is_sent_again_under_the_same_id() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.brokers["a0:1"].send_codes = [0]  # stored, and the answer gets lost
            send = asyncio.create_task(out.send("t", b"x"))
            await asyncio.sleep(0.01)
            cluster.kill("a0:1")
            await _later(0.2, cluster, "a1:1")
            receipt = await send
        ids = [fields["i"].split("\x02")[0].split("\x01")[1] for _, fields in cluster.network.sent(310)]
        assert ids[1:] == [receipt.id, receipt.id]

    run(scenario())


def test_other_groups_take_unsharded_sends_at_once() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            began = _now()
            receipts = [await out.send("t", b"x") for _ in range(20)]
            assert {receipt.queue.broker for receipt in receipts} == {"b"}
            assert _now() - began < 0.1

    run(scenario())


def test_shard_keys_of_a_group_without_a_leader_wait_instead_of_moving() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            before = {key: (await out.send("t", b"1", shard=key)).queue for key in map(str, range(20))}
            cluster.kill("a0:1")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(1.0, cluster, "a2:1"))
                after = {key: tasks.create_task(out.send("t", b"2", shard=key)) for key in before}
            assert {key: task.result().queue for key, task in after.items()} == before

    run(scenario())


def test_shard_keys_stay_while_a_nameserver_knows_only_half_of_the_groups() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            before = {key: (await out.send("t", b"1", shard=key)).queue for key in map(str, range(20))}
            cluster.start_nameserver("ns1:1")  # restarted: empty, and only group b comes back
            cluster.register("b")
            await asyncio.sleep(31)  # a poll later
            after = {key: (await out.send("t", b"2", shard=key)).queue for key in before}
            assert after == before

    run(scenario())


def test_the_order_of_a_shard_key_survives_a_kill() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            futures = [await out.post("t", str(number).encode(), shard="k") for number in range(200)]
            await asyncio.sleep(0.1)
            cluster.kill("a0:1")
            await _later(0.3, cluster, "a1:1")
            await asyncio.gather(*futures)
        numbers = [int(body) for body in cluster.bodies("t")]
        assert sorted(set(numbers)) == list(range(200))
        assert list(dict.fromkeys(numbers)) == list(range(200)), "first copies are in order"

    run(scenario())


def test_a_refusal_that_names_the_leader_is_followed_at_once() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.elect("a", "a1:1", register=False)  # no NameServer knows
            began = _now()
            await out.send("t", b"x")
            assert _now() - began < 0.01

    run(scenario())


def test_refusals_of_an_election_are_not_counted_as_tries() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", retries=1) as out:
            cluster.brokers["a0:1"].send_codes = [*([14] * 6), 2]
            await out.send("t", b"x")
            assert len(cluster.network.sent(310)) == 8

    run(scenario())


def test_nameservers_that_lag_are_asked_in_turn() -> None:
    async def scenario() -> None:
        cluster = _cluster(nameservers=3)
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            cluster.elect("a", "a1:1", register=False)
            cluster.register("a", ("ns3:1",))  # only one has heard of it
            began, asked = _now(), len(cluster.network.sent(106))
            await out.send("t", b"x")
            assert _now() - began < 0.05
            assert len(cluster.network.sent(106)) - asked <= 3

    run(scenario())


@pytest.mark.parametrize("elected_after", [0.005, 0.015, 0.025, 0.06])
def test_a_leader_is_found_soon_after_it_is_elected(elected_after: float) -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            began = _now()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(elected_after, cluster, "a1:1"))
                tasks.create_task(out.send("t", b"x"))
            # The pauses have doubled up to then, and there are three trips.
            assert _now() - began <= 2 * elected_after + 0.016

    run(scenario())


def test_questions_for_a_leader_that_does_not_come_grow_rare() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            asked = len(cluster.network.sent(106))
            with pytest.raises(UnreachableError):
                await out.send("t", b"x")
            assert len(cluster.network.sent(106)) - asked <= 3.0 / 0.2 + 5

    run(scenario())


@pytest.mark.parametrize("silent", ["the rejected master", "a NameServer"])
def test_a_host_that_died_holds_up_no_question(silent: str) -> None:
    async def scenario() -> None:
        cluster = _cluster(nameservers=3)
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            if silent == "a NameServer":
                cluster.stop("ns1:1")
                cluster.kill("a0:1")
                sent = asyncio.create_task(out.send("t", b"x"))
            else:
                cluster.brokers["a0:1"].send_codes = [14]
                sent = asyncio.create_task(out.send("t", b"x"))
                while not cluster.network.sent(30):  # noqa: ASYNC110  # it refused, and is asked whether it leads
                    await asyncio.sleep(0.0005)
                cluster.stop("a0:1")
            began = _now()
            await _later(0.025, cluster, "a1:1")
            await sent
            assert _now() - began < 0.1

    run(scenario())


def test_another_group_that_loses_its_leader_is_asked_about_at_once() -> None:
    async def scenario() -> None:
        cluster = _cluster(groups=2)
        async with connect(cluster) as mq, mq.producer("p") as out:
            keys = {(await out.send("t", b"1", shard=key)).queue.broker: key for key in map(str, range(20))}
            cluster.kill("a0:1")
            waiting = asyncio.create_task(out.send("t", b"2", shard=keys["a"]))
            await asyncio.sleep(1.0)  # the pauses of group a have grown
            cluster.kill("b0:1")
            began = _now()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(0.025, cluster, "b1:1"))
                tasks.create_task(out.send("t", b"2", shard=keys["b"]))
            assert _now() - began < 0.05
            cluster.elect("a", "a1:1")
            await waiting

    run(scenario())


def test_without_a_new_leader_a_send_ends_in_time_and_says_that_nothing_was_sent() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.kill("a0:1")
            await asyncio.sleep(0.1)
            began = _now()
            with pytest.raises(NotWritableError):
                await out.send("t", b"x")
            assert 2.9 < _now() - began < 3.1
            assert len(cluster.bodies("t")) == 1

    run(scenario())


def test_a_send_that_may_be_stored_has_an_unknown_outcome() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.brokers["a0:1"].send_codes = [0]
            send = asyncio.create_task(out.send("t", b"x"))
            await asyncio.sleep(0.01)
            cluster.kill("a0:1")
            with pytest.raises(OutcomeUnknownError):
                await send

    run(scenario())


def test_a_broker_that_never_answers_ends_in_a_timeout() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.stop("a0:1")
            began = _now()
            with pytest.raises(SendTimeoutError) as raised:
                await out.send("t", b"x")
            assert 2.9 < _now() - began < 3.1
            assert isinstance(raised.value, TimeoutError)

    run(scenario())


def test_a_stopped_leader_costs_an_election_and_not_the_whole_timeout() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.stop("a0:1")
            began = _now()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(1.0, cluster, "a1:1"))
                send = tasks.create_task(out.send("t", b"x"))
            assert send.result().queue.broker == "a"
            assert _now() - began < 2.0

    run(scenario())


def test_a_leader_that_was_refused_before_is_found_when_it_leads_again() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.elect("a", "a1:1")
            await out.send("t", b"where the refusal's hint led")
            cluster.stop("a1:1")
            began = _now()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_later(0.5, cluster, "a0:1"))
                send = tasks.create_task(out.send("t", b"x"))
            assert send.result().queue.broker == "a"
            assert _now() - began < 2.0

    run(scenario())


def test_without_retries_what_a_stopped_leader_may_have_stored_is_not_sent_again() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p", retries=0) as out:
            await out.send("t", b"before")
            cluster.stop("a0:1")
            began = _now()
            send = asyncio.create_task(out.send("t", b"x"))
            await _later(1.0, cluster, "a1:1")
            with pytest.raises(OutcomeUnknownError, match="its master was replaced before it answered"):
                await send
            assert _now() - began < 2.0
            assert [address for address, _ in cluster.network.sent(310)] == ["a0:1", "a0:1"]

    run(scenario())


def test_a_leader_that_was_only_cut_off_for_a_moment_is_used_again() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.network.transports[0].lost("a0:1")  # the connection breaks, the broker lives
            await asyncio.sleep(0.005)
            began = _now()
            await out.send("t", b"x")
            assert _now() - began < 0.3

    run(scenario())


def test_two_replicas_that_name_each_other_are_not_asked_in_a_tight_circle() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            for address, other in (("a0:1", "a1:1"), ("a1:1", "a0:1")):
                broker = cluster.brokers[address]
                broker._lead = (  # type: ignore[method-assign]
                    lambda exchange, *_, other=other: exchange.answer(14, {"leaderAddr": other, "leaderTerm": "7"})
                )
                broker._refuse = broker._lead  # type: ignore[assignment, method-assign]
            with pytest.raises(NotWritableError) as raised:
                await out.send("t", b"x")
            assert raised.value.certain
            assert len(cluster.network.sent(310)) < 100

    run(scenario())


def test_the_last_nameserver_alone_is_enough_to_find_a_new_leader() -> None:
    async def scenario() -> None:
        cluster = _cluster(nameservers=3)
        async with connect(cluster) as mq, mq.producer("p") as out:
            await out.send("t", b"before")
            cluster.network.kill("ns1:1")
            cluster.stop("ns2:1")
            cluster.kill("a0:1")
            await _later(0.3, cluster, "a2:1")
            await out.send("t", b"x")
            await out.send("new-topic", b"y")

    run(scenario())


def test_a_replica_that_comes_back_knows_the_members_before_it_leads_again() -> None:
    """Else the member that reaches it first takes all queues, and everything in flight is handled twice."""

    async def scenario() -> None:
        cluster = _cluster()
        async with (
            connect(cluster) as one,
            connect(cluster) as two,
            one.consumer("g", "t"),
            two.consumer("g", "t"),
        ):
            cluster.kill("a0:1")
            cluster.elect("a", "a1:1")  # and no NameServer shows the dead one any more
            await asyncio.sleep(5)
            cluster.start_broker("a", "a0:1")
            cluster.register("a")
            await asyncio.sleep(2)
            assert len(cluster.brokers["a0:1"].members["g"]) == 2

    run(scenario())


def test_a_replica_that_stays_away_is_given_up_after_a_minute() -> None:
    async def scenario() -> None:
        cluster = _cluster()
        async with connect(cluster) as mq, mq.consumer("g", "t"):
            cluster.kill("a0:1")
            cluster.elect("a", "a1:1")
            await asyncio.sleep(70)
            before = len(cluster.network.sent(34))
            await asyncio.sleep(29)
            assert {address for address, _ in cluster.network.sent(34)[before:]} <= {"a1:1", "a2:1"}

    run(scenario())
