"""Apache's own configuration classes, asked in a JVM: no key of theirs is unknown, and a file of theirs starts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import maven
from support.apache import ApacheCluster
from support.apache_configuration import (
    BROKER_CLASSES,
    NAMESERVER_CLASSES,
    keys,
)
from support.apache_key_names import stored_keys
from support.speaker import ask
from ternmq.config import read_broker_conf, read_namesrv_conf

GET_BROKER_CONFIG = 26
# 488 with the keys of DLedger, which a single master does not show.
LEAST_SHOWN = 480


@pytest.mark.parametrize("version", BROKER_CLASSES)
def test_the_stored_names_are_those_of_apaches_classes(version: str) -> None:
    maven.require_java()
    stored = stored_keys()
    for name in {*BROKER_CLASSES[version], *NAMESERVER_CLASSES[version]}:
        assert {key.name for key in keys(version, [name])} == stored[version, name]


@pytest.mark.parametrize("version", BROKER_CLASSES)
def test_a_file_with_every_key_of_apaches_broker_at_its_default_starts(tmp_path: Path, version: str) -> None:
    maven.require_java()
    own = {"namesrvAddr": "127.0.0.1:9876", "listenPort": "10911", "storePathRootDir": str(tmp_path / "store")}
    entries = {key.name: key.default for key in keys(version, BROKER_CLASSES[version])} | own
    conf = read_broker_conf(write(tmp_path, entries), insecure=True)
    # Its role is a master's, which takes slaves.
    assert (conf.config.mode, conf.config.open) == ("async-slave", True)
    assert conf.summary.unknown == []
    assert len(conf.summary.lines()) < 70


@pytest.mark.parametrize("version", NAMESERVER_CLASSES)
def test_a_file_with_every_key_of_apaches_nameserver_at_its_default_starts(tmp_path: Path, version: str) -> None:
    maven.require_java()
    entries = {key.name: key.default for key in keys(version, NAMESERVER_CLASSES[version])} | {"listenPort": "9876"}
    assert read_namesrv_conf(write(tmp_path, entries)).config.port == 9876


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[str]:
    """What a running broker of Apache's answers to getBrokerConfig."""
    maven.require_java()
    cluster = ApacheCluster(tmp_path / "apache")
    try:
        cluster.up()
        yield ask(cluster.address(cluster.brokers[0]), GET_BROKER_CONFIG).body.decode()
    finally:
        cluster.down()


@pytest.mark.long
@pytest.mark.parametrize("is_printed", [False, True])
def test_what_a_broker_of_5_5_0_says_of_itself_starts(tmp_path: Path, saved: str, is_printed: bool) -> None:
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    if is_printed:
        pairs = [line.split("=", 1) for line in lines]
        lines = ["============127.0.0.1:10911============", *(f"{key:<50}=  {value}" for key, value in pairs)]
    path = tmp_path / "saved.conf"
    path.write_text("\n".join(lines) + "\n")
    summary = read_broker_conf(path).summary
    assert len(summary.mapped) + len(summary.ignored) == len(lines) - is_printed >= LEAST_SHOWN


def write(folder: Path, entries: dict[str, str]) -> Path:
    path = folder / "all.conf"
    path.write_text("".join(f"{key}={value}\n" for key, value in entries.items()))
    return path
