"""Files as operators have them, one small input of each kind: it starts, or one sentence says what to change where."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ternmq.config import BrokerConf, read_broker_conf, read_namesrv_conf
from ternmq.config.apache_keys import BROKER_KEYS
from ternmq.config.names import nearest
from ternmq.errors import ConfigError

Reader = Callable[..., BrokerConf]

NAMES = "brokerClusterName=c\nbrokerName=a\nnamesrvAddr=10.0.0.5:9876\n"
OLD = "mapedFileSizeCommitLog=104857600\nmapedFileSizeConsumeQueue=300000\n"
PATHS = (
    "storePathRootDir=/data/store\nstorePathCommitLog=/data/store/commitlog\nstorePathConsumeQueue=/disk2/consumequeue\n"
    "storePathIndex=/disk2/index\nstoreCheckpoint=/disk2/checkpoint\nabortFile=/disk2/abort\n"
)
RAFT = (
    "brokerName=a\nnamesrvAddr=10.0.0.5:9876\nenableDLegerCommitLog=true\ndLegerGroup=a\ndLegerSelfId=n0\n"
    "dLegerPeers=n0-mq-0.mq-headless:40911;n1-mq-1.mq-headless:40911;n2-mq-2.mq-headless:40911\n"
)

STARTING = {
    "nothing but an address": "brokerIP1=127.0.0.1\nnamesrvAddr=10.0.0.5:9876\n",
    "old names of sizes": NAMES + OLD,
    "a path for each folder": NAMES + PATHS,
    "keys that no release reads": NAMES
    + "fastListenPort=10909\nenableProxy=true\ncheckTransactionMessageEnable=false\n",
    "the default delay levels": NAMES
    + "messageDelayLevel = 1s 5s  10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h\n",
    "blanks at the ends": "brokerName = a \nnamesrvAddr = 10.0.0.5:9876;10.0.0.6:9876; \nlistenPort=10911 \n",
    "comments in Chinese": "# 存储路径\n" + NAMES,
    "what a Windows editor saves": "\ufeff" + NAMES.replace("\n", "\r\n"),
    "names of containers": "brokerName=a\nnamesrvAddr=rmq_namesrv:9876\nbrokerIP1=rmq_broker\n",
    "a name with an at sign": RAFT.replace("=a\n", "=beijing@broker.v1\n"),
    "a controller's address without its switch": NAMES + "controllerAddr=10.0.0.1:9878\nenableControllerMode=false\n",
    "what mqadmin printed": "============10.0.0.1:10911============\nbrokerName     =  a\nnamesrvAddr    =  h:9876\n",
}

REFUSED = {
    "a URL": (NAMES + "namesrvAddr=http://10.0.0.5:9876\n", '4: namesrvAddr = "http://10.0.0.5:9876" is a URL'),
    "a NameServer without a port": (NAMES + "namesrvAddr=10.0.0.5\n", '4: namesrvAddr = "10.0.0.5" is not host:port'),
    "a shell's variable": (NAMES + "brokerIP1=${HOST_IP}\n", '4: brokerIP1 = ${HOST_IP} holds "${"'),
    "a template's field": (NAMES + "brokerIP1={{ .Values.ip }}\n", 'brokerIP1 = {{ .Values.ip }} holds "{{"'),
    "a template's line": ("{{ range .Env }}\n" + NAMES, "1: this is a line of a template"),
    "an example's words": (NAMES + "brokerIP1=your ip here\n", '"your ip here" is neither a host name nor an IP'),
    "an example's number": (NAMES + "brokerIP1=192.168.x.x\n", '"192.168.x.x" is not an IP address'),
    "an address out of range": (NAMES + "brokerIP1=10.0.0.256\n", '"10.0.0.256" is not an IP address'),
    "two addresses": (NAMES + "brokerIP1=10.0.0.1;10.0.0.2\n", '4: brokerIP1 = "10.0.0.1;10.0.0.2" is a list'),
    "an address with its port": (NAMES + "brokerIP1=10.0.0.1:10911\n", "has a port; write the host alone"),
    "every interface": (NAMES + "brokerIP1=0.0.0.0\n", "4: brokerIP1 = 0.0.0.0 is a wildcard"),
    "a comment behind a value": (NAMES + "flushDiskType=SYNC_FLUSH # safe\n", "has a comment behind it"),
    "other delay levels": (NAMES + "messageDelayLevel=1s 1d\n", "4: messageDelayLevel = 1s 1d cannot be honoured"),
    "TLS": (NAMES + "useTLS=true\n", "TLS is not there yet, and it is never dropped silently"),
    "a plug-in": (NAMES + "messageStorePlugIn=org.example.Store\n", "store plug-ins are Java classes"),
    "an old size out of bounds": (
        NAMES + "mapedFileSizeCommitLog=1024\n",
        "4: mapedFileSizeCommitLog = 1024 is outside",
    ),
    "a list of disks": (
        NAMES + "storePathRootDir=/a\nstorePathCommitLog=/a/1,/a/2\n",
        "5: storePathCommitLog = /a/1,/a/2",
    ),
    "a path of Windows": (
        NAMES + "storePathRootDir=D:\\\\store\n",
        "4: storePathRootDir = D:\\store is a path of Windows",
    ),
    "a slave with the id of a master": (
        NAMES + "brokerRole=SLAVE\nbrokerId=0\n",
        "5: brokerId = 0 of a slave; slaves have the ids 1 to 4",
    ),
    "a master with the id of a slave": (
        NAMES + "brokerRole=SYNC_MASTER\nbrokerId=1\n",
        "5: brokerId = 1 of a master",
    ),
    "two members": (
        RAFT.replace(";n2-mq-2.mq-headless:40911", ""),
        "6: dLegerPeers has 2 members; a Raft group has 3 or 5: an even number survives no more failures",
    ),
    "a Raft group without a name": (
        RAFT.replace("brokerName=a\n", ""),
        "write brokerName=a into the file of every member",
    ),
    "peers without ids": (
        RAFT + "dLegerPeers=mq0:40911;mq1:40911\n",
        '7: dLegerPeers has "mq0:40911", which is not id-host',
    ),
    "a number of another script": (NAMES + "listenPort=\uff11\uff10\n", "is not an integer"),
    "a value without a key": (NAMES + "=10911\n", "4: there is a value without a key"),
}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.delenv("NAMESRV_ADDR", raising=False)

    def reader(text: str) -> BrokerConf:
        path = tmp_path / "broker.conf"
        path.write_bytes(text.encode())
        return read_broker_conf(path, insecure=True, secret=b"s" * 16)

    return reader


@pytest.mark.parametrize("kind", STARTING)
def test_a_file_of_this_kind_starts(read: Reader, kind: str) -> None:
    assert read(STARTING[kind]).summary.unknown == []


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_of_this_kind_is_refused_with_file_line_and_what_to_change(
    read: Reader, tmp_path: Path, kind: str
) -> None:
    text, words = REFUSED[kind]
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{tmp_path / 'broker.conf'}:")
    assert words in str(caught.value)


def test_the_old_name_of_the_log_size_is_honoured_and_the_new_one_wins(read: Reader) -> None:
    assert read(NAMES + OLD).config.segment_size_bytes == 104857600
    assert read(NAMES + OLD + "mappedFileSizeCommitLog=67108864\n").config.segment_size_bytes == 67108864


def test_a_broker_without_a_name_is_called_after_its_machine_as_by_apache(
    read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "mq-1.example.org")
    conf = read(STARTING["nothing but an address"])
    assert conf.config.group == "mq-1.example.org"
    assert any("called mq-1.example.org" in notice for notice in conf.summary.notices)


def test_a_master_that_tells_clients_loopback_while_its_nameserver_is_elsewhere_says_so(read: Reader) -> None:
    assert any("clients are told 127.0.0.1" in notice for notice in read(NAMES).summary.notices)
    near = read(NAMES.replace("10.0.0.5", "127.0.0.1"))
    assert not any("clients are told" in notice for notice in near.summary.notices)


def test_a_key_that_is_given_twice_with_different_values_is_noticed(read: Reader) -> None:
    notices = read(NAMES + "listenPort=10911\nlistenPort=20911\nbrokerName=a\n").summary.notices
    assert "listenPort is given in line 4 and again in line 5; the last counts" in notices
    assert not any("brokerName" in notice for notice in notices)


def test_asynchronous_flush_says_what_it_may_lose(read: Reader) -> None:
    for flush in ("", "flushDiskType=ASYNC_FLUSH\n"):
        assert any("when the power goes" in said for said in read(NAMES + flush).summary.notices)


def test_many_keys_of_one_reason_are_one_line_and_secrets_are_never_printed(read: Reader) -> None:
    timers = [key for key in BROKER_KEYS if key.startswith("timer")]
    text = NAMES + "".join(f"{key}=1\n" for key in timers) + "objectStoreSecretKey=hunter2\n"
    lines = read(text).summary.lines()
    assert sum("timerWheelEnable" in line for line in lines) == 1
    assert len(lines) < 10
    assert "hunter2" not in "\n".join(lines)


def test_a_home_folder_is_meant_by_a_tilde(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/mq")
    assert read(NAMES + "storePathRootDir=~/store\n").config.data == Path("/home/mq/store")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("flushDiskTyp", "did you mean `flushDiskType`?"),
        ("listenport", "did you mean `listenPort`?"),
        ("namesrvAddress", "did you mean `namesrvAddr`?"),
        ("brokerClusterNam", "did you mean `brokerClusterName`?"),
        ("commitLogLevel", ""),
        ("enableHttp", ""),
        ("sslEnable", ""),
    ],
)
def test_a_hint_is_given_only_where_it_is_near(key: str, hint: str) -> None:
    assert nearest(key, BROKER_KEYS) == hint


def test_a_nameservers_file_may_have_the_keys_of_brokers(tmp_path: Path) -> None:
    path = tmp_path / "shared.conf"
    path.write_text("brokerName=a\nflushDiskType=SYNC_FLUSH\nlistenPort=9876\nserverSocketSndBufSize=2048\n")
    assert read_namesrv_conf(path).summary.unknown == []


def test_a_nameservers_file_is_refused_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "namesrv.conf"
    path.write_text("listenPort=9876\nbindAddress=${POD_IP}\n")
    with pytest.raises(ConfigError, match=r"namesrv\.conf:2: bindAddress = \$\{POD_IP\} holds"):
        read_namesrv_conf(path)
