"""Apache's broker.conf: an unchanged file starts, every key has one of four kinds, contradictions are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ternmq.config import BrokerConf, read_broker_conf
from ternmq.config.conf_members import parse_peers
from ternmq.errors import ConfigError

Reader = Callable[..., BrokerConf]

DLEDGER = """\
brokerClusterName = RaftCluster
brokerName=RaftNode00
listenPort=30911
namesrvAddr=127.0.0.1:9876
storePathRootDir=/tmp/rmqstore/node00
storePathCommitLog=/tmp/rmqstore/node00/commitlog
enableDLegerCommitLog=true
dLegerGroup=RaftNode00
dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913
## must be unique
dLegerSelfId=n0
sendMessageThreadPoolNums=16
"""
SINGLE = "brokerName=single\nnamesrvAddr=127.0.0.1:9876\nstorePathRootDir=/tmp/single\n"
FAR = DLEDGER.replace("127.0.0.1:4", "mq-a.example.org:4").replace("n0-mq-a.", "n0-mq-b.")


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def reader(text: str, **options: object) -> BrokerConf:
        path = tmp_path / "broker.conf"
        path.write_text(text)
        return read_broker_conf(path, **options)  # type: ignore[arg-type]

    return reader


def test_an_unchanged_dledger_file_starts_without_flags_on_loopback(read: Reader) -> None:
    conf = read(DLEDGER)
    config = conf.config
    assert (config.cluster, config.group, config.member, config.mode) == ("RaftCluster", "RaftNode00", "n0", "raft")
    assert [(peer.id, peer.host, peer.peer_port) for peer in config.members] == [
        ("n0", "127.0.0.1", 40911),
        ("n1", "127.0.0.1", 40912),
        ("n2", "127.0.0.1", 40913),
    ]
    assert (config.port, config.fast_port, config.peer_port) == (30911, 30909, 40911)
    assert (config.listen_host, config.advertised) == ("127.0.0.1", "127.0.0.1:30911")
    assert config.data == Path("/tmp/rmqstore/node00")
    assert config.nameservers == ("127.0.0.1:9876",)
    assert config.flush == "sync"
    assert [key for key, _, _ in conf.summary.ignored] == ["sendMessageThreadPoolNums"]
    assert "taken: listenPort = 30911" in "\n".join(conf.summary.lines())


def test_peers_are_split_at_the_first_dash_so_host_names_may_have_more() -> None:
    assert parse_peers("n0-mq-a-0.example.org:40911")[0].host == "mq-a-0.example.org"


def test_the_option_for_nameservers_wins_over_the_file(read: Reader) -> None:
    assert read(DLEDGER, nameservers="10.0.0.1:1;10.0.0.2:2").config.nameservers == ("10.0.0.1:1", "10.0.0.2:2")


def test_asynchronous_flush_does_not_lower_a_raft_group_unless_insisted(read: Reader) -> None:
    text = DLEDGER + "flushDiskType=ASYNC_FLUSH\n"
    conf = read(text)
    assert conf.config.flush == "sync"
    assert any("--keep-flush" in notice for notice in conf.summary.notices)
    assert read(text, keep_flush=True).config.flush == "async"


def test_a_single_master_without_flush_setting_is_asynchronous_as_at_apache(read: Reader) -> None:
    conf = read(SINGLE)
    assert (conf.config.mode, conf.config.flush) == ("multi-master", "async")
    assert any("when the power goes within half a second" in notice for notice in conf.summary.notices)
    assert read(SINGLE + "flushDiskType=SYNC_FLUSH\n").config.flush == "sync"


def test_sizes_switches_and_counts_are_taken(read: Reader) -> None:
    config = read(
        DLEDGER
        + "mappedFileSizeCommitLog=67108864\nmaxMessageSize=1048576\nautoCreateTopicEnable=false\n"
        + "defaultTopicQueueNums=4\nautoCreateSubscriptionGroup=FALSE\nslaveReadEnable=false\n"
        + "maxTopicNums=50\nmaxSubscriptionGroupNums=60\n"
    ).config
    assert (config.segment_size_bytes, config.max_message_bytes, config.default_topic_queues) == (64 << 20, 1 << 20, 4)
    assert (config.auto_create_topic, config.auto_create_group, config.slave_read) == (False, False, False)
    assert (config.max_topics, config.max_groups) == (50, 60)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("enableControllerMode=true", "one consensus here, not two"),
        ("aclEnable=true", "access control is not there yet"),
        ("authenticationEnabled=true", "access control is not there yet"),
        ("authorizationEnabled=true", "access control is not there yet"),
        ("brokerPermission=4", "set it to 6"),
        ("readUnCommitted=true", "may still be taken back"),
        ("enableSlaveActingMaster=true", "elects a master instead"),
        ("startAcceptSendRequestTimeStamp=5", "delayed opening"),
        ("readOnlyCommitLogStorePaths=/old", "stores of Java brokers"),
        ("isInBrokerContainer=true", "one in a process"),
        ("dLegerSelfId=n7", "is not in dLegerPeers, which has n0, n1, n2"),
        ("dLegerSelfId=self", "is not a letter and a number"),
        ("dLegerPeers=n0-127.0.0.1:40911", "for a single broker remove enableDLegerCommitLog"),
        ("dLegerPeers=n0-127.0.0.1:40911;n1-127.0.0.1:40912", "has 2 members; a Raft group has 3 or 5: an even number"),
        ("dLegerPeers=n0-127.0.0.1:1;n0-127.0.0.1:2;n2-127.0.0.1:3", "names n0 twice"),
        ("dLegerPeers=n0-127.0.0.1:1;m0-127.0.0.1:2;n2-127.0.0.1:3", "the same number"),
        ("dLegerPeers=n0.127.0.0.1:40911", "is not id-host:port"),
        ("dLegerPeers=", "dLegerPeers is missing"),
        ("dLegerSelfId=", "dLegerSelfId is missing"),
        ("brokerName=", "brokerName is missing"),
        ("brokerName=a b", "use 1 to 100 letters"),
        ("listenPort=port", "is not an integer"),
        ("listenPort=70000", "outside 3 to 65535"),
        ("listenPort=40911", "is also a client port"),
        ("listenPort=40913", "is also a client port"),
        ("brokerIP1=0.0.0.0", "is a wildcard"),
        ("mappedFileSizeCommitLog=1024", "outside 33554432"),
        ("maxMessageSize=99999999", "outside 1 to"),
        ("maxTopicNums=0", "outside 1 to 40000"),
        ("maxSubscriptionGroupNums=40001", "outside 1 to 40000"),
        ("storePathCommitLog=/other/disk", "set storePathRootDir to the disk that shall hold the log"),
        ("flushDiskType=NEVER", "neither SYNC_FLUSH nor ASYNC_FLUSH"),
        ("slaveReadEnable=yes", "is neither true nor false"),
        ("namesrvAddr=here", "is not host:port"),
        ("flushDiskTyp=SYNC_FLUSH", "unknown key flushDiskTyp; did you mean `flushDiskType`?"),
    ],
)
def test_what_cannot_be_honoured_stops_the_start_and_says_what_to_change(read: Reader, extra: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(DLEDGER + extra + "\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("brokerRole=MASTER", "is none of ASYNC_MASTER, SYNC_MASTER, SLAVE"),
        ("brokerRole=SLAVE", "slaves have the ids 1 to 4"),
        ("brokerRole=SLAVE\nbrokerId=5", "slaves have the ids 1 to 4"),
        ("brokerRole=SLAVE\nbrokerId=1\nhaMasterAddress=10.0.0.1", "haMasterAddress"),
        ("brokerId=2", "a master has brokerId = 0"),
        ("dLegerSelfId=n0", "enableDLegerCommitLog is not true"),
    ],
)
def test_a_single_master_file_that_contradicts_itself_is_refused(read: Reader, extra: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(SINGLE + extra + "\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("role", "mode"), [("ASYNC_MASTER", "async-slave"), ("SYNC_MASTER", "sync-double-write"), ("SLAVE", "async-slave")]
)
def test_a_file_that_names_its_role_is_a_master_that_takes_slaves_or_a_slave(
    read: Reader, role: str, mode: str
) -> None:
    number = 2 if role == "SLAVE" else 0
    config = read(SINGLE + f"brokerRole={role}\nbrokerId={number}\nlistenPort=20911\n").config
    assert (config.mode, config.open, config.member, config.peer_port) == (mode, True, f"n{number}", 20912)
    unknown = [member.id for member in config.members if not member.host]
    assert unknown == (["n0"] if role == "SLAVE" else ["n1", "n2", "n3", "n4"])
    assert config.follower_broker_id("n0") == number


def test_a_slave_takes_the_address_of_its_master_where_its_file_says_it(read: Reader) -> None:
    text = SINGLE + "brokerRole=SLAVE\nbrokerId=1\nhaListenPort=7001\nhaMasterAddress=127.0.0.1:10912\n"
    config = read(text).config
    assert [(member.id, member.host, member.peer_port) for member in config.members] == [
        ("n0", "127.0.0.1", 10912),
        ("n1", "127.0.0.1", 7001),
    ]


def test_a_synchronous_master_of_apache_5_that_would_not_wait_is_noticed(read: Reader) -> None:
    notices = read(SINGLE + "brokerRole=SYNC_MASTER\ninSyncReplicas=1\n").summary.notices
    assert any("a sender waits for a slave" in notice for notice in notices)


def test_all_faults_of_a_file_are_said_at_once(read: Reader) -> None:
    with pytest.raises(ConfigError) as caught:
        read(DLEDGER + "aclEnable=true\nlistenPrt=1\n")
    assert "access control" in str(caught.value)
    assert "did you mean `listenPort`?" in str(caught.value)


def test_a_lenient_reader_warns_of_unknown_keys_only(read: Reader) -> None:
    conf = read(DLEDGER + "myOwnKey=1\n", lenient=True)
    assert conf.summary.unknown == ["myOwnKey"]
    assert "unknown, ignored: myOwnKey" in conf.summary.lines()


def test_a_refused_key_at_its_harmless_value_is_no_obstacle(read: Reader) -> None:
    read(DLEDGER + "enableControllerMode=false\naclEnable=FALSE\nbrokerPermission=6\n")


def test_members_on_other_machines_need_a_secret_and_an_accepted_listener(read: Reader) -> None:
    with pytest.raises(ConfigError, match="--insecure"):
        read(FAR, secret=b"s" * 16)
    with pytest.raises(ConfigError, match="TERNMQ_SECRET"):
        read(FAR, insecure=True)
    config = read(FAR, secret=b"s" * 16, insecure=True).config
    assert (config.listen_host, config.advertise_host) == ("0.0.0.0", "mq-b.example.org")


def test_a_loopback_address_is_not_told_to_clients_of_a_group_on_several_machines(read: Reader) -> None:
    with pytest.raises(ConfigError, match="name an address that clients reach"):
        read(FAR + "brokerIP1=127.0.0.1\n", secret=b"s" * 16, insecure=True)


def test_a_raft_group_called_otherwise_than_the_broker_is_noticed(read: Reader) -> None:
    notices = read(DLEDGER + "dLegerGroup=other\nbrokerRole=SLAVE\n").summary.notices
    assert any("dLegerGroup = other differs" in notice for notice in notices)
    assert any("brokerRole = SLAVE means nothing" in notice for notice in notices)


def test_the_preferred_leader_of_apache_is_ours_and_of_several_the_first(read: Reader) -> None:
    assert read(DLEDGER).config.preferred_leader is None
    assert read(DLEDGER + "preferredLeaderId=n2\n").config.preferred_leader == "n2"
    several = read(DLEDGER + "preferredLeaderId=n1;n2\n")
    assert several.config.preferred_leader == "n1"
    assert any("leadership is handed to n1" in notice for notice in several.summary.notices)
    with pytest.raises(ConfigError, match="preferredLeaderId = n7 is not in dLegerPeers, which has n0, n1, n2"):
        read(DLEDGER + "preferredLeaderId=n7\n")
