"""A row of the table of settings is all it takes: read from each file, told to the engine, shown to tools."""

from pathlib import Path

import pytest

from ternmq.broker.engine import engine_settings
from ternmq.config import (
    BrokerConfig,
    broker_config,
    check_topology,
    parse_topology,
    read_broker_conf,
    read_namesrv_conf,
)
from ternmq.config.apache_places import shown_broker, shown_nameserver
from ternmq.config.setting import Setting, Value
from ternmq.config.settings import BROKER, NAMESERVER

CONF = (
    "brokerName=a\nbrokerIP1=127.0.0.1\nnamesrvAddr=127.0.0.1:9876\nflushDiskType=SYNC_FLUSH\nstorePathRootDir=/tmp/a\n"
)
TOPOLOGY = (
    '[[nameserver]]\nid = "ns1"\n[[group]]\nname = "a"\nmode = "multi-master"\nmembers = [{ id = "n0" }]\n'
    # Every time is written, as a profile's own would not fit every other.
    '[defaults]\nheartbeat = "50ms"\nelection_min = "200ms"\nelection_max = "1s"\n'
)
IN_APACHE = [row for row in BROKER if row.apache is not None]
TIMES = {"heartbeat_ms": 60, "election_min_ms": 300, "election_max_ms": 2_000}


def names(rows: tuple[Setting, ...] | list[Setting]) -> list[str]:
    return [row.name for row in rows]


def another(row: Setting) -> Value:
    """Give a value within the bounds that is not the default."""
    if row.kind == "switch":
        return not row.default
    if row.kind == "word":
        return next(word for word in row.words if word != row.default)
    if row.name in TIMES:
        return TIMES[row.name]
    return row.least if row.least is not None and row.least != row.default else int(row.default) + 1


def from_topology(text: str) -> BrokerConfig:
    topology = parse_topology(text.encode(), "topology.toml", Path("/base"))
    check_topology(topology)
    return broker_config(topology, "a/n0")


@pytest.mark.parametrize("row", BROKER, ids=names(BROKER))
def test_a_topology_file_says_every_setting_of_a_broker(row: Setting) -> None:
    value = another(row)
    said = f'"{row.in_words(value)}"' if row.kind in {"word", "size", "duration"} else row.in_words(value)
    # Of a key given twice TOML would refuse the file.
    others = "".join(line for line in TOPOLOGY.splitlines(keepends=True) if not line.startswith(f"{row.key} ="))
    config = from_topology(f"{others}{row.key} = {said}\n")
    assert getattr(config, row.name) == value


@pytest.mark.parametrize("row", IN_APACHE, ids=names(IN_APACHE))
def test_a_broker_conf_says_every_setting_that_has_a_key_there_and_26_shows_it(row: Setting, tmp_path: Path) -> None:
    value = another(row)
    path = tmp_path / "broker.conf"
    path.write_text(f"{CONF}{row.apache} = {row.in_apache_words(value)}\n")
    config = read_broker_conf(path).config
    assert getattr(config, row.name) == value
    assert shown_broker(config)[row.apache or ""] == row.in_apache_words(value)


@pytest.mark.parametrize("row", NAMESERVER, ids=names(NAMESERVER))
def test_a_namesrv_conf_says_every_setting_of_a_nameserver_and_319_shows_it(row: Setting, tmp_path: Path) -> None:
    value = another(row)
    path = tmp_path / "namesrv.conf"
    path.write_text(f"{row.apache} = {row.in_apache_words(value)}\n")
    config = read_namesrv_conf(path).config
    assert getattr(config, row.name) == value
    assert shown_nameserver(config)[row.apache or ""] == row.in_apache_words(value)


def test_what_26_shows_is_a_broker_conf_that_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "broker.conf"
    path.write_text(CONF + "".join(f"{row.apache} = {row.in_apache_words(another(row))}\n" for row in IN_APACHE))
    first = read_broker_conf(path).config
    path.write_text("".join(f"{key}={value}\n" for key, value in shown_broker(first).items()))
    assert shown_broker(read_broker_conf(path).config) == shown_broker(first)


def test_the_engine_is_told_every_setting_that_it_takes_under_its_name() -> None:
    told = engine_settings(from_topology(TOPOLOGY), [])
    assert {row.name for row in BROKER if row.name in told} == {row.name for row in BROKER if row.in_engine}


@pytest.mark.parametrize("row", BROKER + NAMESERVER, ids=names(BROKER + NAMESERVER))
def test_a_row_is_whole(row: Setting) -> None:
    assert row.help.endswith(".")
    if row.kind in {"number", "size"}:
        assert (row.least or 0) <= int(row.default) <= (row.most or int(row.default))
    if row.kind == "word":
        assert row.default in row.words
    elif row.kind != "switch" and row.apache is not None:
        assert None not in (row.least, row.most), "a refusal of Apache's file names both bounds"


def test_no_two_settings_of_a_file_have_one_key() -> None:
    for rows in (BROKER, NAMESERVER):
        keys = [row.key for row in rows] + [key for row in rows for key in (row.apache, row.apache_before) if key]
        assert sorted(set(keys)) == sorted(keys)
