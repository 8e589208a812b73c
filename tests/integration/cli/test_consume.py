"""``consume``: a viewer without a group, a member with one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from support.cluster import Cluster, MakeCluster
from support.processes import wait_for
from support.speaker import ask
from support.tern import PROGRAM

_ALL_GROUPS, _ALL_OFFSETS, _GROUP_MEMBERS = 201, 43, 203


def _ternmq(cluster: Cluster, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAM), *arguments, "--data", str(cluster.directory)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)


def _send(cluster: Cluster, topic: str, lines: list[str]) -> None:
    done = _ternmq(cluster, "produce", topic, "--quiet", stdin="".join(f"{line}\n" for line in lines))
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def _consuming(cluster: Cluster, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(PROGRAM), "consume", *arguments, "--data", str(cluster.directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert "Ctrl-C ends it" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def _kept(cluster: Cluster) -> list[bytes]:
    """What the master keeps of groups: their settings and their offsets."""
    address = cluster.address(cluster.leader())
    return [ask(address, code).body for code in (_ALL_GROUPS, _ALL_OFFSETS)]


def test_who_looks_without_a_group_sees_everything_each_time_and_leaves_nothing_behind(cluster: Cluster) -> None:
    _ternmq(cluster, "topic", "create", "viewed", "--if-exists", "ok")
    lines = [f"line {number}" for number in range(100)]
    _send(cluster, "viewed", lines)
    before = _kept(cluster)
    for _ in range(2):
        read = _ternmq(cluster, "consume", "viewed", "--from", "earliest", "--count", "100", "--idle", "10")
        assert (read.returncode, sorted(read.stdout.splitlines())) == (0, sorted(lines))
    assert _kept(cluster) == before


def test_two_terminals_both_see_everything_and_nobody_hears_of_them(cluster: Cluster) -> None:
    _ternmq(cluster, "topic", "create", "terminals", "--if-exists", "ok")
    lines = [f"line {number}" for number in range(50)]
    with (
        _consuming(cluster, "terminals", "--count", "50") as one,
        _consuming(cluster, "terminals", "--count", "50") as two,
    ):
        for group in ("TOOLS_CONSUMER", "ternmq-consume"):
            address = cluster.address(cluster.leader())
            assert ask(address, _GROUP_MEMBERS, {"consumerGroup": group}).code == 206, "not online"
        _send(cluster, "terminals", lines)
        for process in (one, two):
            assert sorted(process.communicate(timeout=30)[0].splitlines()) == sorted(lines)


def test_two_topics_at_once_are_both_shown_whole(cluster: Cluster) -> None:
    for topic in ("ca", "cb"):
        _ternmq(cluster, "topic", "create", topic, "--if-exists", "ok")
    arguments = ("--from", "earliest", "--count", "160")
    with _consuming(cluster, "ca", *arguments) as of_a, _consuming(cluster, "cb", *arguments) as of_b:
        for topic in ("ca", "cb"):
            _send(cluster, topic, [str(number) for number in range(160)])
        for process in (of_a, of_b):
            assert sorted(map(int, process.communicate(timeout=30)[0].split())) == list(range(160))


@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_a_group_that_has_read_before_says_that_it_goes_on_where_it_stopped(cluster: Cluster, start: str) -> None:
    topic, group = f"resumed-{start}", f"again-{start}"
    _ternmq(cluster, "topic", "create", topic, "--if-exists", "ok")
    _send(cluster, topic, ["1", "2"])
    first = _ternmq(cluster, "consume", topic, "--group", group, "--from", "earliest", "--count", "2")
    assert first.returncode == 0
    assert "goes on where it stopped" not in first.stderr
    _send(cluster, topic, ["3"])
    second = _ternmq(cluster, "consume", topic, "--group", group, "--from", start, "--count", "1", "--idle", "10")
    assert second.stdout == "3\n"
    assert f"{group} has read {topic} before and goes on where it stopped, not at {start}" in second.stderr


def test_a_viewer_follows_a_leader_that_is_killed(make_cluster: MakeCluster) -> None:
    cluster = make_cluster()
    _ternmq(cluster, "topic", "create", "followed")
    with _consuming(cluster, "followed", "--count", "40") as viewer:
        _send(cluster, "followed", [str(number) for number in range(20)])
        old = cluster.leader()
        cluster.kill(old)
        cluster.leader(other_than=old)
        _send(cluster, "followed", [str(number) for number in range(20, 40)])
        assert sorted(map(int, viewer.communicate(timeout=30)[0].split())) == list(range(40))
        wait_for(lambda: viewer.poll() == 0, 5, "its end")
