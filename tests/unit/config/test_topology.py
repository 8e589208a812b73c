"""A topology file: what is taken, and each rule that refuses one, with the words that say what to change."""

from pathlib import Path

import pytest

from ternmq.config import (
    broker_config,
    check_topology,
    load_topology,
    nameserver_config,
    parse_topology,
    topology_warnings,
)
from ternmq.errors import ConfigError

NAMESERVER = '[[nameserver]]\nid = "ns1"\nlisten = "127.0.0.1:9876"\n'
MEMBERS = """members = [
  { id = "n0", port = 11012, raft = 11015, metrics = 11016 },
  { id = "n1", port = 11022, raft = 11025, metrics = 11026 },
  { id = "n2", port = 11032, raft = 11035, metrics = 11036 },
]
"""
GROUP = f'[[group]]\nname = "a"\n{MEMBERS}'
GOOD = NAMESERVER + GROUP
SLAVES = NAMESERVER + '[[group]]\nname = "a"\nmode = "async-slave"\n'


def checked(text: str) -> None:
    check_topology(parse_topology(text.encode(), "topology.toml", Path("/base")))


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(text)
    return str(caught.value)


def members(*hosts: str, extra: str = "") -> str:
    rows = ", ".join(f'{{ id = "n{number}", host = "{host}"{extra} }}' for number, host in enumerate(hosts))
    return f"members = [{rows}]\n"


def test_a_sound_topology_is_taken() -> None:
    checked(GOOD)


def test_derived_ports_are_those_that_rocketmq_users_know() -> None:
    text = NAMESERVER + '[[group]]\nname = "a"\nport = 10911\n' + members("10.0.0.1", "10.0.0.2", "10.0.0.3")
    topology = parse_topology((text + "[cluster]\n").encode(), "t", Path("/base"))
    config = broker_config(topology, "a/n1", insecure=True, secret=b"s" * 16)
    assert (config.port, config.fast_port, config.peer_port) == (10911, 10909, 40911)
    assert config.data == Path("/base/data/a/n1")
    assert config.advertised == "10.0.0.2:10911"
    assert config.follower_broker_id() == 2


@pytest.mark.parametrize("mode", ["async-slave", "sync-double-write"])
def test_a_slave_has_the_broker_id_of_its_number_and_a_former_master_that_of_its_successor(mode: str) -> None:
    text = NAMESERVER + f'[[group]]\nname = "a"\nmode = "{mode}"\n' + members("10.0.0.1", "10.0.0.2", "10.0.0.3")
    topology = parse_topology((text + "[cluster]\n").encode(), "t", Path("/base"))
    master, *slaves = (broker_config(topology, f"a/n{at}", insecure=True, secret=b"s" * 16) for at in range(3))
    assert [slave.follower_broker_id("n0") for slave in slaves] == [1, 2]
    assert master.follower_broker_id("n2") == 2
    assert master.follower_broker_id(None) == 0
    assert {config.mode for config in (master, *slaves)} == {mode}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[cluster]\nnam = 1\n", "unknown key `nam` in [cluster]; did you mean `name`?"),
        ("[defaults]\nsegmentsize = '1GiB'\n", "did you mean `segment_size`?"),
        ("[defaults]\nretention = '72h'\n", "retention is not there yet"),
        ('[[group]]\nname = "a"\npeers = []\n', "peers are the members of a [[group]]"),
        ('[[group]]\nname = "a"\nmembers = [{ id = "n0", prot = 1 }]\n', "did you mean `port`?"),
        ("[defaults]\nflush = 'never'\n", "Invalid enum value 'never'"),
        ("[defaults]\ndefault_topic_queues = 0\n", "default_topic_queues"),
        ("[defaults]\nmax_topics = 0\n", "max_topics"),
        ("[defaults]\nmax_groups = 40001\n", "max_groups"),
        ("x =", "is not TOML"),
    ],
)
def test_a_key_or_value_that_cannot_be_read_is_named(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GROUP, "no [[nameserver]]"),
        (GOOD + NAMESERVER, 'two of [[nameserver]] are called "ns1"'),
        (GOOD + GROUP, 'two of [[group]] are called "a"'),
        (GOOD.replace('"127.0.0.1:9876"', '"127.0.0.1"'), "is not host:port"),
        (GOOD.replace('"127.0.0.1:9876"', '"0.0.0.0:9876"'), "is a wildcard"),
        (GOOD.replace('"ns1"', '"../ns1"'), "use 1 to 64 letters"),
        (GOOD.replace('name = "a"', 'name = "a b"'), "use 1 to 100 letters"),
        ('[cluster]\nname = ""\n' + GOOD, "cluster.name"),
        (GOOD.replace('"n2"', '"n1"'), 'are called "n1"'),
        (GOOD.replace('"n2"', '"m1"'), "have the same number"),
        (GOOD.replace('"n2"', '"two"'), "is not a letter and a number"),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members("10.0.0.1"), "write dev = true"),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members("10.0.0.1", "10.0.0.2"), "use 3 or 5"),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members(*(f"10.0.0.{n}" for n in range(1, 5))), "use 3 or 5"),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members(*(f"10.0.0.{n}" for n in range(1, 8))), "use 3 or 5"),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members("10.0.0.1", "10.0.0.1", "10.0.0.2"), "colocate = true"),
        (
            NAMESERVER + '[[group]]\nname = "a"\nmode = "multi-master"\n' + members("10.0.0.1", "10.0.0.2"),
            "a group of its own",
        ),
        (
            SLAVES + members("10.0.0.1"),
            'has mode = "multi-master"',
        ),
        (
            NAMESERVER
            + '[[group]]\nname = "a"\nmode = "async-slave"\n'
            + members(*(f"10.0.0.{n}" for n in range(1, 7))),
            "a master and 1 to 4 slaves",
        ),
        (
            NAMESERVER + '[[group]]\nname = "a"\nmode = "sync-double-write"\n' + members("10.0.0.1", "10.0.0.1"),
            "colocate = true",
        ),
        (
            NAMESERVER
            + '[[group]]\nname = "a"\nmode = "sync-double-write"\n'
            + 'members = [{ id = "n1", host = "10.0.0.1" }, { id = "n0", host = "10.0.0.2" }]\n',
            "give the master the smallest number",
        ),
        (NAMESERVER + '[[group]]\nname = "a"\n' + members("10.0.0.1", "10.0.0.2", "127.0.0.1"), "loopback host"),
        (GOOD.replace("11022", "11013"), "both use port 11013"),
        (GOOD.replace("11022", "11014"), "the fast port of a/n1 and the client port of a/n0"),
        (GOOD.replace("raft = 11025", "raft = 9876"), "both use port 9876"),
        (GOOD.replace(", metrics = 11026", "").replace(", metrics = 11036", ""), "both use port 5557"),
        (
            NAMESERVER + '[[group]]\nname = "a"\nport = 40000\n' + members("10.0.0.1", "10.0.0.2", "10.0.0.3"),
            "would be 70000, which is no port",
        ),
        (GOOD.replace('name = "a"', 'name = "a"\nadvertise = "0.0.0.0"'), "a wildcard"),
        (
            NAMESERVER + '[[group]]\nname = "a"\nadvertise = "x"\n' + members("10.0.0.1", "10.0.0.2", "10.0.0.3"),
            "put {id} into advertise",
        ),
        (
            NAMESERVER
            + '[[group]]\nname = "a"\n'
            + members("10.0.0.1", "10.0.0.2", "10.0.0.3", extra=', advertise = "127.0.0.1"'),
            "set advertise to an address",
        ),
        ("[defaults]\nsegment_size = '1MiB'\n" + GOOD, "at least 33554432"),
        ("[defaults]\nsegment_size = '64'\n" + GOOD, "is not a number with a unit"),
        ("[defaults]\nmax_message = '16MiB'\n" + GOOD, "at most 15728640"),
        ("[defaults]\nin_flight = '1MiB'\n" + GOOD, "at least 33554432"),
        ("[defaults]\nframe_ring = '1KiB'\n" + GOOD, "at least 1048576"),
    ],
)
def test_a_broken_rule_is_refused_with_what_to_change(text: str, words: str) -> None:
    assert words in refused(text)


def test_a_group_of_one_starts_where_it_was_accepted() -> None:
    checked(NAMESERVER + '[[group]]\nname = "a"\ndev = true\nmembers = [{ id = "n0" }]\n')


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("heartbeat = '10ms'", "at least 20 ms"),
        ("heartbeat = '100ms'\nelection_min = '200ms'", "at least three heartbeats"),
        ("timing = 'lan'\nelection_max = '200ms'", "at least twice election_min"),
    ],
)
def test_times_under_which_a_healthy_group_would_elect_are_refused(setting: str, words: str) -> None:
    topology = parse_topology(f"[defaults]\n{setting}\n{GOOD}".encode(), "t", Path())
    with pytest.raises(ConfigError, match=words):
        broker_config(topology, "a/n0")


def test_times_come_from_the_profile_and_single_ones_override_it() -> None:
    topology = parse_topology(f"[defaults]\ntiming = 'wan'\nelection_max = '4s'\n{GOOD}".encode(), "t", Path())
    config = broker_config(topology, "a/n0")
    assert (config.heartbeat_ms, config.election_min_ms, config.election_max_ms) == (300, 1000, 4000)


def test_listening_beyond_loopback_has_to_be_accepted() -> None:
    text = NAMESERVER.replace("127.0.0.1:", "10.0.0.1:") + '[[group]]\nname = "a"\n'
    topology = parse_topology((text + members("10.0.0.1", "10.0.0.2", "10.0.0.3")).encode(), "t", Path())
    with pytest.raises(ConfigError, match="--insecure"):
        nameserver_config(topology, "ns1")
    assert nameserver_config(topology, "ns1", insecure=True).listen_host == "10.0.0.1"
    with pytest.raises(ConfigError, match="--insecure"):
        broker_config(topology, "a/n0", secret=b"s" * 16)
    assert broker_config(topology, "a/n0", secret=b"s" * 16, insecure=True).listen_host == "0.0.0.0"


def test_members_beyond_loopback_need_a_secret() -> None:
    text = NAMESERVER + '[[group]]\nname = "a"\n' + members("10.0.0.1", "10.0.0.2", "10.0.0.3")
    with pytest.raises(ConfigError, match="no cluster secret"):
        broker_config(parse_topology(text.encode(), "t", Path()), "a/n0", insecure=True)


def test_a_node_that_is_not_in_the_file_is_answered_with_those_that_are() -> None:
    topology = parse_topology(GOOD.encode(), "t", Path())
    with pytest.raises(ConfigError, match="it has ns1, a/n0, a/n1, a/n2"):
        broker_config(topology, "a/n9")
    with pytest.raises(ConfigError, match="it has ns1, a/n0, a/n1, a/n2"):
        nameserver_config(topology, "ns9")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("hunter2hunter2hunter2", "must be a reference"),
        ("file:missing", "cannot be read"),
        ("env:TERNMQ_TEST_NO_SUCH", "has no TERNMQ_TEST_NO_SUCH"),
        ("env:TERNMQ_TEST_SHORT", "shorter than 16 bytes"),
    ],
)
def test_a_secret_is_a_reference_that_leads_to_one(
    reference: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERNMQ_TEST_SHORT", "short")
    topology = parse_topology(f'[cluster]\nsecret = "{reference}"\n{GOOD}'.encode(), "t", tmp_path)
    with pytest.raises(ConfigError, match=words) as caught:
        broker_config(topology, "a/n0")
    assert "hunter2" not in str(caught.value)


def test_a_secret_never_shows_in_a_printed_configuration(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("0123456789abcdef\n")
    topology = parse_topology(f'[cluster]\nsecret = "file:s"\n{GOOD}'.encode(), "t", tmp_path)
    config = broker_config(topology, "a/n0")
    assert config.secret == b"0123456789abcdef"
    assert "0123456789abcdef" not in repr(config)


def test_a_file_over_one_mebibyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="at most 1048576"):
        load_topology(path)


def test_what_is_allowed_but_risky_is_warned_of() -> None:
    text = "[defaults]\nflush = 'async'\n" + GOOD.replace("raft = 11025", "raft = 41025")
    warnings = "\n".join(topology_warnings(parse_topology(text.encode(), "t", Path())))
    assert "one NameServer only" in warnings
    assert "every acknowledgement waits for the disks of a majority" in warnings
    assert "the raft port 41025 of a/n1 lies in the range of outgoing connections" in warnings


def test_leadership_may_be_preferred_at_a_member_of_a_raft_group_only() -> None:
    preferred = 'preferred_leader = "n1"\n'
    parsed = parse_topology((GOOD + preferred).encode(), "t", Path("/base"))
    assert {broker_config(parsed, f"a/{name}").preferred_leader for name in ("n0", "n1")} == {"n1"}
    assert "n7" in refused(GOOD + 'preferred_leader = "n7"\n')
    assert "only a Raft group" in refused(SLAVES + members("127.0.0.1", "127.0.0.1") + preferred)
