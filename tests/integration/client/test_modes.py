"""Each mode of a broker group keeps what it promises, and may lose what it says: real processes, our client."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import ternmq
from support.cluster import Cluster, MakeCluster
from support.processes import wait_for
from support.reading import fresh, until, with_client
from support.speaker import PULL, ask, messages_shown, messages_taken, pull_fields
from support.tern import PROGRAM
from ternmq import StoredUnconfirmedError
from ternmq.config import dump_topology, load_topology
from ternmq.config.generate import add_group

SLAVE_MODES = ("async-slave", "sync-double-write")


def made(make_cluster: MakeCluster, mode: str, *, groups: int = 1, flush: str = "sync") -> Cluster:
    return make_cluster(groups=groups, options=("--mode", mode, "--flush", flush))


async def sent(mq: ternmq.Client, topic: str, bodies: list[str]) -> None:
    async with mq.producer(fresh("p"), timeout=15) as out:
        await asyncio.gather(*(out.send(topic, body.encode()) for body in bodies))


async def read(mq: ternmq.Client, group: str, topic: str, wanted: Collection[str]) -> set[str]:
    """Consume until all that is wanted has come; gives everything that came."""
    found: set[str] = set()
    async with mq.consumer(group, topic, start="earliest") as inbox, asyncio.timeout(30):
        async for message in inbox:
            async with message:
                found.add(message.body.decode())
            if found.issuperset(wanted):
                break
    return found


@asynccontextmanager
async def sending(mq: ternmq.Client, topic: str, *, timeout: float) -> AsyncIterator[list[str]]:
    """Have four senders send one message after the other; gives what was acknowledged, which grows meanwhile."""
    acknowledged: list[str] = []
    stop = asyncio.Event()

    async def send(key: int) -> None:
        async with mq.producer(fresh("p"), timeout=timeout) as out:
            while not stop.is_set():
                body = f"{key}/{len(acknowledged)}"
                await out.send(topic, body.encode())
                acknowledged.append(body)

    async with asyncio.TaskGroup() as tasks:
        for key in range(4):
            tasks.create_task(send(key))
        yield acknowledged
        stop.set()


@pytest.mark.parametrize("flush", ["sync", "async"])
def test_a_master_that_restarts_disturbs_no_sender_and_its_own_messages_wait_for_it(
    make_cluster: MakeCluster, flush: str
) -> None:
    cluster = made(make_cluster, "multi-master", groups=2, flush=flush)
    gone = cluster.leader(cluster.groups[0])

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("multi-master")
        await mq.admin.create_topic(topic, queues=4)
        async with sending(mq, topic, timeout=5) as acknowledged:
            await until(lambda: len(acknowledged) > 200, "some messages on both masters")
            await asyncio.to_thread(cluster.kill, gone)
            before = len(acknowledged)
            await until(lambda: len(acknowledged) > before + 400, "sends to go on at the other master")
        await asyncio.to_thread(cluster.start, gone)
        await read(mq, fresh("g"), topic, acknowledged)

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize(("mode", "flush"), [("async-slave", "sync"), ("sync-double-write", "async")])
def test_a_consumer_goes_on_at_the_slave_and_everything_goes_on_when_the_master_is_back(
    make_cluster: MakeCluster, mode: str, flush: str
) -> None:
    cluster = made(make_cluster, mode, flush=flush)
    master, slave = cluster.members()
    assert cluster.leader() == master

    async def scenario(mq: ternmq.Client) -> None:
        topic, group = fresh("slave"), fresh("g")
        await mq.admin.create_topic(topic, queues=4)
        first, second, third = ([f"{part}/{number}" for number in range(200)] for part in "abc")
        await sent(mq, topic, first)
        # The group is known from here on: without a master none is made.
        await read(mq, group, topic, first)
        await sent(mq, topic, second)
        await asyncio.to_thread(
            wait_for, lambda: messages_shown(cluster.address(master), topic) == 400, 10, "the master's own count"
        )
        shown = await asyncio.to_thread(command, cluster, "cluster", "replicas", cluster.group, "--json")
        replicas = json.loads(shown.stdout)["items"]
        assert [(each["member"], each["role"]) for each in replicas] == [("n0", "leader"), ("n1", "follower")]
        assert all(0 <= each["frames_behind"] <= 5 for each in replicas)
        await asyncio.to_thread(cluster.kill, master)
        await asyncio.to_thread(
            wait_for, lambda: messages_shown(cluster.address(slave), topic) == 400, 10, "the slave to have all"
        )
        await read(mq, group, topic, second)
        async with mq.producer(fresh("p"), timeout=2) as out:
            with pytest.raises(ternmq.NotWritableError):
                await out.send(topic, b"nobody takes it")
        await asyncio.to_thread(cluster.start, master)
        await sent(mq, topic, third)
        await read(mq, group, topic, third)

    with_client(cluster.nameservers, scenario)


def test_a_consumer_far_behind_is_sent_to_the_slave_while_the_master_is_there(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "async-slave")
    master, slave = cluster.members()
    # Nothing counts as near: whoever is not at the end of the log is far behind.
    cluster.restart_brokers_with("access_in_memory_percent", 0)
    cluster.leader()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("far-behind")
        await mq.admin.create_topic(topic, queues=4)
        bodies = [str(number) for number in range(400)]
        await sent(mq, topic, bodies)
        await asyncio.to_thread(wait_for, lambda: cluster.has_all(slave), 10, "the slave to have all")
        assert suggested(cluster, master, topic) == suggested(cluster, slave, topic) == "1"
        before = {name: messages_taken(cluster.address(name)) for name in (master, slave)}

        def taken_from(name: str) -> int:
            return messages_taken(cluster.address(name)) - before[name]

        await read(mq, fresh("g"), topic, bodies)
        assert taken_from(slave) > taken_from(master)
        await asyncio.to_thread(cluster.kill, slave)
        await asyncio.to_thread(
            wait_for, lambda: suggested(cluster, master, topic) == "0", 10, "the master to miss its slave"
        )
        await read(mq, fresh("g"), topic, bodies)

    with_client(cluster.nameservers, scenario)


def suggested(cluster: Cluster, name: str, topic: str) -> str:
    """The broker id that a member names in its answer to a pull of a queue's first message."""
    answer = ask(cluster.address(name), PULL, pull_fields(topic, 0, 0, count=1))
    assert answer.code == 0, answer
    return answer.fields["suggestWhichBrokerId"]


def test_without_its_slave_double_write_answers_11_and_stores(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "sync-double-write")
    _, slave = cluster.members()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("double-write")
        await mq.admin.create_topic(topic, queues=4)
        await sent(mq, topic, ["both"])
        await asyncio.to_thread(cluster.kill, slave)
        async with mq.producer(fresh("p"), timeout=5) as out:
            with pytest.raises(StoredUnconfirmedError) as alone:
                await out.send(topic, b"alone")
            assert alone.value.code == 11
        await asyncio.to_thread(cluster.start, slave)
        await sent(mq, topic, ["both again"])
        assert await read(mq, fresh("g"), topic, ("both again", "alone", "both")) == {"both", "alone", "both again"}

    with_client(cluster.nameservers, scenario)


def test_a_slave_that_stands_still_makes_double_write_answer_12_or_11_and_never_0(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "sync-double-write")
    _, slave = cluster.members()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("double-write")
        await mq.admin.create_topic(topic, queues=4)
        await asyncio.to_thread(cluster.pause, slave)
        try:
            async with mq.producer(fresh("p"), timeout=8) as out:
                for body in (b"first", b"second"):
                    with pytest.raises(StoredUnconfirmedError) as late:
                        await out.send(topic, body)
                    assert late.value.code in (11, 12)
        finally:
            cluster.resume(slave)

    with_client(cluster.nameservers, scenario)


def test_the_lag_of_a_slave_that_stands_still_grows_and_is_0_when_it_has_everything(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "async-slave")
    _, slave = cluster.members()

    def shown() -> dict[str, Any]:
        items = json.loads(command(cluster, "cluster", "replicas", cluster.group, "--json").stdout)["items"]
        by_member: dict[str, dict[str, Any]] = {item["member"]: item for item in items}
        assert (by_member["n0"]["lag_ms"], by_member["n0"]["bytes_behind"]) == (0, 0)
        return by_member["n1"]

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("lag")
        await mq.admin.create_topic(topic, queues=4)
        await sent(mq, topic, ["both"])
        has_all = partial(wait_for, lambda: shown()["lag_ms"] == 0, 20, "the slave to have all", every=0.2)
        await asyncio.to_thread(has_all)
        await asyncio.to_thread(cluster.pause, slave)
        try:
            assert (await asyncio.to_thread(shown))["lag_ms"] == 0, "it lacks nothing yet"
            await sent(mq, topic, ["alone"])
            first = await asyncio.to_thread(shown)
            assert (first["role"], first["address"]) == ("silent", cluster.address(slave))
            assert first["frames_behind"] > 0
            assert first["bytes_behind"] > 0
            assert 0 < first["lag_ms"] < (await asyncio.to_thread(shown))["lag_ms"]
        finally:
            cluster.resume(slave)
        await asyncio.to_thread(has_all)
        assert (await asyncio.to_thread(shown))["role"] == "follower"

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize("mode", SLAVE_MODES)
def test_a_slave_whose_disk_was_replaced_has_everything_again(make_cluster: MakeCluster, mode: str) -> None:
    cluster = made(make_cluster, mode)
    master, slave = cluster.members()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("replaced")
        await mq.admin.create_topic(topic, queues=4)
        await sent(mq, topic, [str(number) for number in range(300)])
        await asyncio.to_thread(cluster.kill, slave)
        shutil.rmtree(cluster.data(slave))
        await asyncio.to_thread(cluster.start, slave)
        await sent(mq, topic, ["more"])
        await asyncio.to_thread(cluster.kill, master)
        await asyncio.to_thread(
            wait_for, lambda: messages_shown(cluster.address(slave), topic) == 301, 20, "the slave to have all"
        )

    with_client(cluster.nameservers, scenario)


def test_a_master_whose_disk_was_emptied_does_not_begin_anew(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "async-slave")
    master, _ = cluster.members()
    cluster.kill(master)
    shutil.rmtree(cluster.data(master))
    cluster.launch(master)
    wait_for(lambda: not cluster.identity(master).is_alive(), 20, "the empty master to stop")
    assert (
        "the data directory of group-a/n0 is empty, but its group was founded with it"
        in cluster.log(master).read_text()
    )


def test_a_slave_is_promoted_by_force_and_the_old_master_follows_and_sets_aside_what_it_alone_has(
    make_cluster: MakeCluster,
) -> None:
    cluster = made(make_cluster, "async-slave")
    master, slave = cluster.members()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("promoted")
        await mq.admin.create_topic(topic, queues=4)
        both = [f"both/{number}" for number in range(100)]
        await sent(mq, topic, both)
        # What comes now the slave does not get.
        await asyncio.to_thread(cluster.kill, slave)
        await sent(mq, topic, [f"alone/{number}" for number in range(50)])
        await asyncio.to_thread(cluster.kill, master)
        await asyncio.to_thread(cluster.start, slave)
        group, member = slave.split("/")
        refused = await asyncio.to_thread(command, cluster, "cluster", "promote", group, member)
        assert refused.returncode != 0
        assert "may be there alone" in refused.stderr
        forced = await asyncio.to_thread(command, cluster, "cluster", "promote", group, member, "--force", "--json")
        assert forced.returncode == 0, forced.stderr
        assert json.loads(forced.stdout)["items"][0]["new_master"] == slave
        await sent(mq, topic, ["after"])
        # The old master learns of it, ends, and follows when it is started again.
        await asyncio.to_thread(cluster.launch, master)
        await asyncio.to_thread(wait_for, lambda: not cluster.identity(master).is_alive(), 20, "the old master to end")
        await asyncio.to_thread(cluster.start, master)
        assert await asyncio.to_thread(cluster.leader) == slave
        await asyncio.to_thread(wait_for, lambda: aside(cluster, master) != [], 20, "what it alone had")
        assert "50 messages that the master does not have were set aside" in cluster.log(master).read_text()
        assert await read(mq, fresh("g"), topic, {*both, "after"}) == {*both, "after"}
        (file,) = aside(cluster, master)
        shown = await asyncio.to_thread(ternmq_says, "cluster", "set-aside", str(file))
        kept = [json.loads(line) for line in shown.splitlines()]
        assert sorted(message["body"] for message in kept) == sorted(f"alone/{number}" for number in range(50))
        assert {message["topic"] for message in kept} == {topic}
        produce = ("produce", topic, "--format", "jsonl", "-n", cluster.nameservers)
        await asyncio.to_thread(ternmq_says, *produce, given=shown)
        await read(mq, fresh("g"), topic, {*both, "after", "alone/0", "alone/49"})

    with_client(cluster.nameservers, scenario)


@pytest.mark.parametrize("mode", SLAVE_MODES)
def test_a_master_that_lives_hands_over_and_nothing_is_lost(make_cluster: MakeCluster, mode: str) -> None:
    cluster = made(make_cluster, mode)
    master, slave = cluster.members()

    async def scenario(mq: ternmq.Client) -> None:
        topic = fresh("handed-over")
        await mq.admin.create_topic(topic, queues=4)
        async with sending(mq, topic, timeout=15) as acknowledged:
            for target in (slave, master):
                before = len(acknowledged)
                await until(lambda before=before: len(acknowledged) > before + 200, "sends to go on")  # type: ignore[misc]
                group, member = target.split("/")
                done = await asyncio.to_thread(command, cluster, "cluster", "transfer-leader", group, "--to", member)
                assert done.returncode == 0, done.stderr
                assert await asyncio.to_thread(cluster.leader) == target
        await read(mq, fresh("g"), topic, acknowledged)

    with_client(cluster.nameservers, scenario)


def command(cluster: Cluster, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, *arguments, "-n", cluster.nameservers], capture_output=True, text=True, timeout=30, check=False
    )


def ternmq_says(*arguments: str, given: str | None = None) -> str:
    return subprocess.run(
        [PROGRAM, *arguments], input=given, capture_output=True, text=True, timeout=30, check=True
    ).stdout


def aside(cluster: Cluster, name: str) -> list[Path]:
    """Files that a replica has set aside."""
    return list(cluster.data(name).glob("set-aside/*"))


def test_a_group_is_not_moved_to_another_kind_of_mode_by_an_edit(make_cluster: MakeCluster) -> None:
    cluster = made(make_cluster, "raft")
    cluster.down()
    file = cluster.directory / "topology.toml"
    file.write_text(file.read_text().replace('mode = "raft"', 'mode = "async-slave"'))
    said = subprocess.run(
        [PROGRAM, "run", "broker", "--topology", file, "--node", "group-a/n0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert said.returncode != 0
    assert "was founded with replicas that elect their leader and is configured with mode async-slave" in (
        said.stderr + said.stdout
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        pytest.param(('name = "DefaultCluster"', 'name = "Elsewhere"'), "it belongs to another cluster", id="cluster"),
        pytest.param(("file:cluster.secret", "file:other.secret"), "it does not know the cluster secret", id="secret"),
    ],
)
def test_a_slave_that_does_not_belong_gets_nothing_and_it_is_said_why(
    make_cluster: MakeCluster, edit: tuple[str, str], said: str
) -> None:
    cluster = made(make_cluster, "async-slave")
    master, slave = cluster.members()
    with_client(cluster.nameservers, lambda mq: sent(mq, "orders", ["kept"]))
    cluster.kill(slave)
    # An empty disk: whoever took it in would give it everything.
    shutil.rmtree(cluster.data(slave))
    file = cluster.directory / "topology.toml"
    before = file.read_text()
    assert edit[0] in before
    (cluster.directory / "other.secret").write_text("another secret of this length\n")
    (cluster.directory / "other.secret").chmod(0o600)
    file.write_text(before.replace(*edit))
    cluster.launch(slave)
    try:
        wait_for(lambda: said in cluster.log(slave).read_text() + cluster.log(master).read_text(), 20, said)
        with_client(cluster.nameservers, lambda mq: sent(mq, "orders", ["still taken"]))
        stored = [path for path in cluster.data(slave).rglob("*") if path.is_file() and b"kept" in path.read_bytes()]
        assert not stored
    finally:
        file.write_text(before)


def test_a_second_master_that_claims_the_name_of_a_group_is_refused_and_says_so(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = made(make_cluster, "multi-master")
    (master,) = cluster.members()
    topology = load_topology(cluster.directory / "topology.toml")
    twin = add_group(topology, "twin")
    # The file of somebody who copied a group and left its name.
    twin = msgspec.structs.replace(
        twin, group=(msgspec.structs.replace(twin.group[1], name=cluster.group),), base=tmp_path
    )
    file = tmp_path / "topology.toml"
    file.write_text(dump_topology(twin))
    shutil.copy(cluster.directory / "cluster.secret", tmp_path)
    with (tmp_path / "log").open("wb") as log:
        command = [str(PROGRAM), "run", "broker", "--topology", str(file), "--node", master]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
            try:
                said = f"{cluster.group} is another group, with {cluster.address(master)}"
                wait_for(lambda: said in (tmp_path / "log").read_text(), 20, said)
                assert cluster.leader() == master
                with_client(cluster.nameservers, lambda mq: sent(mq, "orders", ["to the first"]))
            finally:
                process.terminate()
