"""Apache's namesrv.conf."""

from pathlib import Path

import pytest

from ternmq.config import read_namesrv_conf
from ternmq.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "namesrv.conf"
    path.write_text(text)
    return path


def test_the_usual_keys_are_taken(tmp_path: Path) -> None:
    text = "listenPort=19876\nkvConfigPath=/var/kv.json\norderMessageEnable=true\nscanNotActiveBrokerInterval=1000\n"
    conf = read_namesrv_conf(write(tmp_path, text + "serverWorkerThreads=8\n"))
    assert (conf.config.port, conf.config.kv_path) == (19876, Path("/var/kv.json"))
    assert (conf.config.order_message_enable, conf.config.scan_interval_ms) == (True, 1000)
    assert [key for key, _, _ in conf.summary.ignored] == ["serverWorkerThreads"]


def test_without_access_control_it_stays_on_loopback_unless_accepted(tmp_path: Path) -> None:
    path = write(tmp_path, "listenPort=19876\n")
    conf = read_namesrv_conf(path)
    assert conf.config.listen_host == "127.0.0.1"
    assert any("--insecure" in notice for notice in conf.summary.notices)
    assert read_namesrv_conf(path, insecure=True).config.listen_host == "0.0.0.0"
    with pytest.raises(ConfigError, match="--insecure"):
        read_namesrv_conf(write(tmp_path, "bindAddress=10.0.0.1\n"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("supportActingMaster=true", "elects a master instead"),
        ("enableControllerInNamesrv=true", "one consensus here"),
        ("listenport=1", "did you mean `listenPort`?"),
        ("listenPort=x", "is not an integer"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_namesrv_conf(write(tmp_path, line + "\n"))
    assert words in str(caught.value)
