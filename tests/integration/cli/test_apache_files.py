"""`ternmq run -c` with files of Apache's: real processes that register, or end with one sentence."""

import signal
import subprocess
from pathlib import Path

import pytest

from support.ports import free_block
from support.processes import wait_for
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json
from support.tern import PROGRAM

STOP_SECONDS = 20


def run(*arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PROGRAM, "run", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def shown(address: str) -> dict[str, dict[str, str]]:
    """Addresses by broker name and id, as a NameServer shows them; none while it does not answer."""
    try:
        table = lenient_json(ask(address, CLUSTER_INFO).body).get("brokerAddrTable") or {}
    except (SpeakerError, ValueError):
        return {}
    return {name: entry["brokerAddrs"] for name, entry in table.items()}


def test_a_file_as_it_is_mostly_posted_starts_a_broker_that_registers_and_drains(tmp_path: Path) -> None:
    port = free_block(20)
    nameserver = f"127.0.0.1:{port}"
    (tmp_path / "namesrv.conf").write_text(f"listenPort={port}\nkvConfigPath={tmp_path}/kv.json\n")
    store = tmp_path / "store"
    file = tmp_path / "broker.conf"
    file.write_bytes(
        "# 所属集群名字\nbrokerClusterName=rocketmq-cluster\nbrokerName=broker@a.1\nbrokerId=0\n".encode("gbk")
        + f"namesrvAddr={nameserver};\nbrokerIP1=127.0.0.1\nlistenPort={port + 12}\nfastListenPort={port + 10}\n"
        f"deleteWhen=04 \nfileReservedTime=120\nmapedFileSizeCommitLog=67108864\nmapedFileSizeConsumeQueue=300000\n"
        f"storePathRootDir={store}\nstorePathCommitLog={store}/commitlog\nstorePathConsumeQueue={store}/consumequeue\n"
        f"storePathIndex={store}/index\nstoreCheckpoint={store}/checkpoint\nabortFile={store}/abort\n"
        "maxMessageSize=65536\nbrokerRole=ASYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n"
        "checkTransactionMessageEnable=false\nsendMessageThreadPoolNums=128\n".encode()
    )
    nodes = [run("namesrv", "-c", tmp_path / "namesrv.conf"), run("broker", "-c", file)]
    try:
        expected = {"broker@a.1": {"0": f"127.0.0.1:{port + 12}"}}
        wait_for(lambda: shown(nameserver) == expected, STOP_SECONDS, "the broker to register")
        nodes[1].send_signal(signal.SIGTERM)
        said, _ = nodes[1].communicate(timeout=STOP_SECONDS)
        assert nodes[1].returncode == 0, said
        assert "flushDiskType = ASYNC_FLUSH: an acknowledged message may be lost when the power goes" in said
        assert "taken: mapedFileSizeCommitLog = 67108864" in said
    finally:
        for node in nodes:
            node.kill()
            node.communicate()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("brokerIP1=no-such-host.invalid", ':3: brokerIP1 = "no-such-host.invalid" does not resolve here'),
        ("brokerIP1=${HOST_IP}", ':3: brokerIP1 = ${HOST_IP} holds "${", a placeholder'),
        ("namesrvAddr=http://127.0.0.1:9876", ':3: namesrvAddr = "http://127.0.0.1:9876" is a URL'),
    ],
)
def test_a_value_that_cannot_be_meant_ends_the_start_with_file_and_line(
    tmp_path: Path, line: str, sentence: str
) -> None:
    file = tmp_path / "broker.conf"
    file.write_text(f"brokerName=a\nnamesrvAddr=127.0.0.1:9876\n{line}\nstorePathRootDir={tmp_path / 'store'}\n")
    node = run("broker", "-c", file, "--insecure")
    try:
        said, _ = node.communicate(timeout=STOP_SECONDS)
    finally:
        node.kill()
        node.communicate()
    assert node.returncode == 2, said
    assert f"error: {file}{sentence}" in said
    assert "0.0.0.0" not in said


# The keys of the samples that RocketMQ ships, by their folders, a file a broker; ports and folders are added below.
_COMMON = "brokerClusterName=DefaultCluster\ndeleteWhen=04\nfileReservedTime=48\n"
_ASYNC = "flushDiskType=ASYNC_FLUSH\n"


def _master(name: str, role: str) -> str:
    return f"{_COMMON}brokerName={name}\nbrokerId=0\nbrokerRole={role}\n{_ASYNC}"


def _slave(name: str) -> str:
    return f"{_COMMON}brokerName={name}\nbrokerId=1\nbrokerRole=SLAVE\n{_ASYNC}"


SAMPLES = {
    "2m-noslave": [_master("broker-a", "ASYNC_MASTER"), _master("broker-b", "ASYNC_MASTER")],
    "2m-2s-async": [
        _slave("broker-a"), _master("broker-a", "ASYNC_MASTER"), _master("broker-b", "ASYNC_MASTER"),
        _slave("broker-b"),
    ],
    "2m-2s-sync": [
        _slave("broker-a"), _master("broker-a", "SYNC_MASTER"), _master("broker-b", "SYNC_MASTER"), _slave("broker-b"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_files_that_rocketmq_ships_start_masters_and_slaves_that_find_them(tmp_path: Path, sample: str) -> None:
    port = free_block(20 + 10 * len(SAMPLES[sample]))
    nameserver = f"127.0.0.1:{port}"
    (tmp_path / "namesrv.conf").write_text(f"listenPort={port}\nkvConfigPath={tmp_path}/kv.json\n")
    nodes = [run("namesrv", "-c", tmp_path / "namesrv.conf")]
    expected: dict[str, dict[str, str]] = {}
    try:
        for number, text in enumerate(SAMPLES[sample], start=1):
            listen = port + 2 + 10 * number
            file = tmp_path / f"{number}.properties"
            file.write_text(f"{text}listenPort={listen}\nstorePathRootDir={tmp_path}/store-{number}\n"
                            "mappedFileSizeCommitLog=67108864\n")  # fmt: skip
            name, identity = (text.split(f"{key}=")[1].split("\n")[0] for key in ("brokerName", "brokerId"))
            expected.setdefault(name, {})[identity] = f"127.0.0.1:{listen}"
            nodes.append(run("broker", "-c", file, "-n", nameserver))
        wait_for(lambda: shown(nameserver) == expected, 2 * STOP_SECONDS, "all to register under their ids")
        ternmq("topic", "create", "orders", "-n", nameserver)
        sent = ternmq("produce", "orders", "-n", nameserver, "--json", said="\n".join(map(str, range(500))))
        assert '"acknowledged": 500' in sent
        read = ternmq("consume", "orders", "-n", nameserver, "--from", "earliest", "--count", "500")
        assert len(read.splitlines()) == 500
    finally:
        for node in nodes:
            node.kill()
            node.communicate()


def ternmq(*arguments: str, said: str | None = None) -> str:
    done = subprocess.run(
        [PROGRAM, *arguments], input=said, capture_output=True, text=True, timeout=STOP_SECONDS * 2, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
