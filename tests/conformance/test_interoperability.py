"""Both ways: our client and commands on Apache's servers, our brokers at Apache's NameServer, and Apache's at ours."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ternmq
from conformance.messages import assert_came_back
from support import maven
from support.apache import ApacheCluster
from support.battery import Battery, events
from support.ports import free_block
from support.processes import wait_for
from support.reading import read
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json
from support.tern import PROGRAM, TernCluster

pytestmark = [pytest.mark.java, pytest.mark.long]
QUEUES = 4
COUNT = 24
REGISTERED_SECONDS = 30
COMMAND_SECONDS = 30
BODIES = [b"x", "Grüße, 世界".encode(), b"\x00\x01\x02\xff", b"compress me " * 2000]


@pytest.fixture
def apache(tmp_path: Path) -> Iterator[ApacheCluster]:
    maven.require_java()
    cluster = ApacheCluster(tmp_path / "apache")
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def java(tmp_path: Path) -> Iterator[Battery]:
    maven.require_java()
    battery = Battery(tmp_path)
    try:
        yield battery
    finally:
        battery.close()


def test_our_client_and_our_commands_work_on_apaches_servers(apache: ApacheCluster, topic: str) -> None:
    _ternmq("topic", "create", topic, "--queues", str(QUEUES), "-n", apache.nameservers)
    shown = json.loads(_ternmq("topic", "list", "--json", "-n", apache.nameservers))
    assert topic in [item["name"] for item in shown["items"]]
    route = _ternmq("topic", "route", topic, "--json", "-n", apache.nameservers)
    assert apache.address("group-a/n0") in route
    info = _ternmq("cluster", "info", "--json", "-n", apache.nameservers)
    assert apache.address("group-a/n0") in info
    assert '"ApacheCluster"' in info

    async def scenario() -> None:
        async with ternmq.connect(apache.nameservers) as mq, mq.producer("p") as out:
            receipts = {}
            for number, body in enumerate(BODIES):
                receipt = await out.send(topic, body, tag="t", keys=[f"k{number}"], properties={"number": str(number)})
                receipts[receipt.id] = (receipt, body, number)
            for item in await out.send_batch(topic, [b"one", b"two", b"three"]):
                assert item.queue.broker == "group-a"
            async with mq.consumer("ours-on-theirs", topic, start="earliest") as inbox:
                messages = await read(inbox, len(BODIES) + 3)
        found = {message.id: message for message in messages}
        for ident, (receipt, body, number) in receipts.items():
            came = found[ident]
            assert (came.body, came.tag, came.keys) == (body, "t", [f"k{number}"])
            assert came.properties == {"number": str(number)}
            assert (came.queue, came.queue_offset) == (receipt.queue, receipt.queue_offset)
        assert {message.body for message in messages} == {*BODIES, b"one", b"two", b"three"}

    asyncio.run(scenario())


def test_our_brokers_at_apaches_nameserver_serve_a_java_producer_and_a_java_push_consumer(
    tmp_path: Path, java: Battery, topic: str, group: str
) -> None:
    nameserver = ApacheCluster(tmp_path / "apache", replicas=0)
    try:
        nameserver.up()
        with _our_brokers(tmp_path, nameserver.nameservers):
            _pass_messages(java, nameserver.nameservers, topic, group, {"ours"})
    finally:
        nameserver.down()


def test_an_apache_broker_at_our_nameservers_and_our_brokers_beside_it_serve_java_clients(
    tmp_path: Path, java: Battery, topic: str, group: str
) -> None:
    ours = TernCluster(tmp_path / "ours")
    theirs: ApacheCluster | None = None
    try:
        ours.up()
        theirs = ApacheCluster(tmp_path / "apache", nameservers=0, foreign=ours.nameserver_addresses, group="theirs")
        theirs.up()
        _pass_messages(java, ours.nameservers, topic, group, {ours.group, "theirs"})
        shown = _ternmq("topic", "route", topic, "--json", "-n", ours.nameservers)
        assert theirs.address("theirs/n0") in shown
    finally:
        if theirs is not None:
            theirs.down()
        ours.down()


def _pass_messages(java: Battery, nameservers: str, topic: str, group: str, brokers: set[str]) -> None:
    java.run(nameservers, "create-topic", topic, QUEUES)
    sent = events(java.run(nameservers, "sync", topic, COUNT), "sent")
    assert {line["broker"] for line in sent} == brokers
    assert_came_back(sent, events(java.run(nameservers, "pull", topic), "pulled"))
    lines = java.run(nameservers, "push", topic, group, "*", "first", COUNT)
    assert not events(lines, "timeout")
    assert len(events(lines, "consumed")) == COUNT
    assert_came_back(sent, events(lines, "consumed"))


@contextmanager
def _our_brokers(directory: Path, nameservers: str) -> Iterator[None]:
    """Three replicas from an Apache configuration file each."""
    first = free_block(40)
    peers = ";".join(f"n{number}-127.0.0.1:{first + 30 + number}" for number in range(3))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(3):
            file = directory / f"n{number}.conf"
            file.write_text(
                f"brokerClusterName=Mixed\nbrokerName=ours\nlistenPort={first + 2 + number * 10}\n"
                f"brokerIP1=127.0.0.1\nstorePathRootDir={directory}/n{number}\nenableDLegerCommitLog=true\n"
                f"dLegerGroup=ours\ndLegerPeers={peers}\ndLegerSelfId=n{number}\n"
            )
            with (directory / f"n{number}.log").open("wb") as log:
                command = [str(PROGRAM), "run", "broker", "-c", str(file), "-n", nameservers]
                running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        wait_for(lambda: _registered(nameservers, "ours"), REGISTERED_SECONDS, "our brokers to register", every=0.1)
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(COMMAND_SECONDS)


def _registered(nameserver: str, group: str) -> bool:
    try:
        table = lenient_json(ask(nameserver, CLUSTER_INFO).body).get("brokerAddrTable") or {}
    except (SpeakerError, ValueError):
        return False
    addresses = table.get(group, {}).get("brokerAddrs", {})
    return "0" in addresses and len(addresses) == 3


def _ternmq(*arguments: str) -> str:
    done = subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"ternmq {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout
