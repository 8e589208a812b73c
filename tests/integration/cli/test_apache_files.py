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
