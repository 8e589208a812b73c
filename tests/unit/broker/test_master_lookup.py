"""A slave of Apache's files finds its master, remembers it, and waits only where it never knew one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from support.memory.virtual_time import run
from ternmq.broker.master_lookup import with_master
from ternmq.config import BrokerConfig, read_broker_conf
from ternmq.config.node import Member
from ternmq.errors import ConfigError


def slave(tmp_path: Path, extra: str = "") -> BrokerConfig:
    file = tmp_path / "broker.conf"
    file.write_text(
        "brokerName=a\nbrokerId=1\nbrokerRole=SLAVE\nnamesrvAddr=127.0.0.1:9876\nlistenPort=20911\n"
        f"storePathRootDir={tmp_path / 'store'}\n{extra}"
    )
    return read_broker_conf(file).config


async def looked_up(config: BrokerConfig, answers: Sequence[str | dict[int, str] | None]) -> tuple[BrokerConfig, int]:
    """The configuration with its master, and how often it was asked for."""
    given = list(answers)

    async def ask() -> dict[int, str]:
        answer = given.pop(0)
        return answer if isinstance(answer, dict) else {0: answer} if answer else {}

    found = await with_master(config, ask)
    return found, len(answers) - len(given)


def test_a_slave_waits_for_its_master_and_dials_the_port_behind_its_clients_port(tmp_path: Path) -> None:
    config = slave(tmp_path)
    found, asked = run(looked_up(config, [None, None, "10.0.0.7:10911"]))
    assert found.members[0] == Member("n0", "10.0.0.7", 10912)
    assert asked == 3
    assert found == replace(config, members=(found.members[0], config.members[1]))


def test_a_slave_that_has_found_its_master_once_starts_without_it(tmp_path: Path) -> None:
    config = slave(tmp_path)
    run(looked_up(config, ["10.0.0.7:10911"]))
    found, asked = run(looked_up(config, [None]))
    assert (found.members[0], asked) == (Member("n0", "10.0.0.7", 10912), 1)
    moved, _ = run(looked_up(config, ["10.0.0.8:10911"]))
    assert moved.members[0] == Member("n0", "10.0.0.8", 10912)


def test_what_a_file_says_of_the_master_is_taken_and_nobody_is_asked(tmp_path: Path) -> None:
    config = slave(tmp_path, "haMasterAddress=10.0.0.9:7001\nbrokerIP1=10.0.0.2\nbindAddress=127.0.0.1\n")
    assert run(looked_up(config, [])) == (config, 0)


def test_a_file_that_holds_no_address_is_not_believed(tmp_path: Path) -> None:
    config = slave(tmp_path)
    config.data.mkdir(parents=True)
    (config.data / "master.address").write_text("nowhere")
    found, asked = run(looked_up(config, [None, "10.0.0.7:10911"]))
    assert (found.members[0].host, asked) == ("10.0.0.7", 2)


def test_an_empty_master_does_not_begin_beside_a_slave_that_holds_its_messages(tmp_path: Path) -> None:
    slave(tmp_path)
    text = (tmp_path / "broker.conf").read_text()
    (tmp_path / "broker.conf").write_text(text.replace("brokerId=1", "brokerId=0").replace("SLAVE", "ASYNC_MASTER"))
    master = read_broker_conf(tmp_path / "broker.conf").config
    with pytest.raises(ConfigError, match=r"a slave of its group holds its messages \(1 at 10.0.0.8:10911\)"):
        run(looked_up(master, [{1: "10.0.0.8:10911"}]))
    assert run(looked_up(master, [{0: "10.0.0.7:10911"}])) == (master, 1)
    master.data.mkdir(parents=True)
    (master.data / "raft.state").touch()
    assert run(looked_up(master, [])) == (master, 0)
