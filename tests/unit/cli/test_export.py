"""Unit files from a topology."""

from pathlib import Path

import pytest

from ternmq.cli import main
from ternmq.config import dump_topology, generate_topology


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    file = tmp_path / "topology.toml"
    file.write_text(dump_topology(generate_topology(tmp_path, groups=1, is_free=lambda port: True)))
    return file


def test_each_node_gets_a_unit_that_starts_it(
    topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    units = tmp_path / "units"
    assert main.run(["export", "systemd", "--topology", str(topology), "--to", str(units)]) == 0
    names = {"ns1", "ns2", "ns3", "group-a-n0", "group-a-n1", "group-a-n2"}
    assert {file.name for file in units.iterdir()} == {f"ternmq-{name}.service" for name in names}
    assert len(capsys.readouterr().out.splitlines()) == 6
    text = (units / "ternmq-group-a-n1.service").read_text()
    assert "run broker --topology /etc/ternmq/topology.toml --node group-a/n1\n" in text
    assert "User=ternmq\n" in text
    assert "--insecure" not in text


def test_a_unit_of_one_node_says_what_it_is_told(topology: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    options = ["--node", "ns2", "--insecure", "--user", "mq", "--program", "/opt/mq/bin/ternmq"]
    there = ["--topology-there", "/srv/mq/cluster.toml"]
    command = ["export", "systemd", "--topology", str(topology), "--to", str(units), *options, *there]
    assert main.run(command) == 0
    (file,) = units.iterdir()
    text = file.read_text()
    assert "ExecStart=/opt/mq/bin/ternmq run namesrv --topology /srv/mq/cluster.toml --node ns2 --insecure\n" in text
    assert "User=mq\n" in text
    assert "ReadWritePaths=/srv/mq/data\n" in text


def test_a_node_that_is_not_there_is_a_wrong_command(
    topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "systemd", "--topology", str(topology), "--to", str(tmp_path / "units"), "--node", "ns9"]
    assert main.run(command) == 2
    assert 'no node "ns9"' in capsys.readouterr().err


def test_paths_with_blanks_and_signs_that_systemd_expands_are_written_for_it(topology: Path, tmp_path: Path) -> None:
    text = topology.read_text().replace('id = "n1"', 'id = "n1", data = "/srv/own 100% $data"')
    topology.write_text(text)
    units = tmp_path / "units"
    options = ["--node", "group-a/n1", "--program", "/opt/my mq/50%/tern$mq"]
    there = ["--topology-there", '/srv/a "b"/t.toml']
    assert main.run(["export", "systemd", "--topology", str(topology), "--to", str(units), *options, *there]) == 0
    text = (units / "ternmq-group-a-n1.service").read_text()
    start = '"/opt/my mq/50%%/tern$$mq" run broker --topology "/srv/a \\"b\\"/t.toml" --node group-a/n1'
    assert f"ExecStart={start}\n" in text
    assert 'ReadWritePaths="/srv/own 100%% $data"\n' in text
