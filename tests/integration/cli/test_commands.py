"""Commands against a running cluster: what they print, and how they exit."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from support.cluster import Cluster
from support.processes import Identity
from support.tern import PROGRAM


def _ternmq(cluster: Cluster, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments, "--data", cluster.directory],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _items(done: subprocess.CompletedProcess[str], schema: str) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == schema
    items: list[dict[str, Any]] = document["items"]
    return items


def test_ps_names_every_node_with_its_process_and_role(cluster: Cluster) -> None:
    items = _items(_ternmq(cluster, "ps", "--json"), "ternmq.ps/1")
    assert [list(item) for item in items] == [["name", "kind", "group", "pid", "address", "role"]] * 6
    assert [item["name"] for item in items] == ["ns1", "ns2", "ns3", "group-a/n0", "group-a/n1", "group-a/n2"]
    assert [item["kind"] for item in items] == ["namesrv"] * 3 + ["broker"] * 3
    assert sorted(item["role"] for item in items) == ["follower"] * 2 + ["leader"] + ["serving"] * 3
    assert {item["name"]: item["pid"] for item in items} == {
        name: node.identity.pid for name, node in cluster.nodes.items()
    }


def test_a_pipe_gets_tsv(cluster: Cluster) -> None:
    lines = _ternmq(cluster, "ps").stdout.splitlines()
    assert lines[0] == "name\tkind\tgroup\tpid\taddress\trole"
    assert lines[1].split("\t")[:3] == ["ns1", "namesrv", "-"]
    assert len(lines) == 7


def test_a_topic_is_created_listed_and_routed(cluster: Cluster) -> None:
    created = _items(_ternmq(cluster, "topic", "create", "orders", "--queues", "3", "--json"), "ternmq.topic.create/1")
    assert created == [{"name": "orders", "groups": ["group-a"], "read_queues": 3, "write_queues": 3}]
    listed = _items(_ternmq(cluster, "topic", "list", "--json"), "ternmq.topic.list/1")
    assert created[0] in listed
    assert not {"TBW102", "SCHEDULE_TOPIC_XXXX", "group-a", "DefaultCluster"} & {item["name"] for item in listed}
    everything = _items(_ternmq(cluster, "topic", "list", "--all", "--json"), "ternmq.topic.list/1")
    assert "TBW102" in {item["name"] for item in everything}
    route = _items(_ternmq(cluster, "topic", "route", "orders", "--json"), "ternmq.topic.route/1")
    assert [(row["group"], row["read_queues"], row["write_queues"], row["perm"]) for row in route] == [
        ("group-a", 3, 3, "rw")
    ]
    assert route[0]["master"] == cluster.address(cluster.leader())
    assert len(route[0]["members"]) == 3


def test_a_topic_that_exists_is_refused_unless_that_is_fine(cluster: Cluster) -> None:
    assert _ternmq(cluster, "topic", "create", "twice").returncode == 0
    again = _ternmq(cluster, "topic", "create", "twice")
    assert again.returncode == 1
    assert "topic twice exists" in again.stderr
    assert _ternmq(cluster, "topic", "create", "twice", "--if-exists", "ok").returncode == 0


def test_an_unknown_topic_is_a_negative_answer(cluster: Cluster) -> None:
    done = _ternmq(cluster, "topic", "route", "nowhere")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "nowhere" in done.stderr


def test_lines_go_in_and_come_out(cluster: Cluster) -> None:
    _ternmq(cluster, "topic", "create", "lines", "--if-exists", "ok")
    lines = [f"line {number}" for number in range(200)]
    sent = _items(
        _ternmq(cluster, "produce", "lines", "--tag", "t", "--json", stdin="\n".join(lines) + "\n"), "ternmq.produce/1"
    )
    assert (sent[0]["acknowledged"], sent[0]["rejected"], sent[0]["unknown"]) == (200, 0, 0)
    read = _ternmq(cluster, "consume", "lines", "--from", "earliest", "--group", "readers", "--count", "200", "--quiet")
    assert read.returncode == 0
    assert sorted(read.stdout.splitlines()) == sorted(lines)
    assert read.stderr == ""


def test_messages_keep_keys_tags_and_shards_and_their_order(cluster: Cluster) -> None:
    _ternmq(cluster, "topic", "create", "objects", "--if-exists", "ok")
    messages = [
        {"body": f"b{number}", "keys": [f"k{number}"], "tag": "even" if number % 2 == 0 else "odd", "shard": "s"}
        for number in range(20)
    ]
    stdin = "".join(json.dumps(message) + "\n" for message in messages)
    assert _ternmq(cluster, "produce", "objects", "--format", "jsonl", stdin=stdin).returncode == 0
    read = _ternmq(
        cluster, "consume", "objects", "--from", "earliest", "--group", "evens", "--filter", "even", "--count", "10",
        "--format", "jsonl",
    )  # fmt: skip
    received = [json.loads(line) for line in read.stdout.splitlines()]
    members = ("body", "keys", "tag", "shard")
    assert [{name: one[name] for name in members} for one in received] == messages[::2]
    assert len({one["queue"] for one in received}) == 1


def test_consume_without_messages_ends_when_it_was_idle(cluster: Cluster) -> None:
    _ternmq(cluster, "topic", "create", "silent", "--if-exists", "ok")
    read = _ternmq(cluster, "consume", "silent", "--group", "waiters", "--idle", "0.5", "--count", "1")
    assert read.returncode == 1
    assert read.stdout == ""
    assert _ternmq(cluster, "consume", "silent", "--group", "waiters", "--idle", "0.5").returncode == 0


def test_a_bad_line_is_named_and_nothing_is_guessed(cluster: Cluster) -> None:
    done = _ternmq(cluster, "produce", "bad-lines", "--format", "jsonl", stdin='{"body": "x"}\n{"colour": 1}\n')
    assert done.returncode == 2
    assert "line 2" in done.stderr


def test_cluster_info_shows_who_is_seen_by_whom(cluster: Cluster) -> None:
    rows = _items(_ternmq(cluster, "cluster", "info", "--json"), "ternmq.cluster.info/1")
    assert len(rows) == 3
    assert {row["address"] for row in rows} == {cluster.address(name) for name in cluster.brokers}
    assert all(sorted(row["nameservers"]) == sorted(cluster.nameserver_addresses) for row in rows)
    assert [row["role"] for row in rows].count("leader") == 1


def test_leadership_is_handed_over_to_the_member_that_is_named(cluster: Cluster) -> None:
    old = cluster.leader()
    target = next(name for name in cluster.members() if name != old)
    done = _ternmq(cluster, "cluster", "transfer-leader", "group-a", "--to", target.split("/")[1], "--json")
    item = _items(done, "ternmq.cluster.transfer-leader/1")[0]
    assert (item["old_leader"], item["new_leader"]) == (old, target)
    assert cluster.leader(other_than=old) == target


def test_a_killed_leader_stays_dead_until_it_is_started(cluster: Cluster) -> None:
    old = cluster.leader()
    item = _items(_ternmq(cluster, "kill-leader", "--json"), "ternmq.kill-leader/1")[0]
    assert item["name"] == old
    assert not cluster.identity(old).is_alive()
    cluster.leader(other_than=old)
    shown = {one["name"]: one for one in _items(_ternmq(cluster, "ps", "--json"), "ternmq.ps/1")}
    assert (shown[old]["pid"], shown[old]["role"]) == (None, "dead")
    cluster.start(old)
    shown = {one["name"]: one for one in _items(_ternmq(cluster, "ps", "--json"), "ternmq.ps/1")}
    assert shown[old]["role"] == "follower"
    assert shown[old]["pid"] == cluster.identity(old).pid


def test_starting_several_nodes_starts_those_that_are_dead(cluster: Cluster) -> None:
    old = cluster.leader()
    assert _ternmq(cluster, "kill-leader", "--json").returncode == 0
    cluster.leader(other_than=old)
    others = [name for name in cluster.members() if name != old]
    done = _ternmq(cluster, "start", others[0], old, others[1], "--json")
    (item,) = _items(done, "ternmq.start/1")
    cluster.nodes[old].identity = Identity.of(item["pid"])
    assert item["name"] == old
    assert all(f"{name} runs already" in done.stderr for name in others)


def test_start_without_a_name_starts_all_that_are_dead(cluster: Cluster) -> None:
    old = cluster.leader()
    assert _ternmq(cluster, "kill-leader", "--json").returncode == 0
    cluster.leader(other_than=old)
    (item,) = _items(_ternmq(cluster, "start", "--json"), "ternmq.start/1")
    cluster.nodes[old].identity = Identity.of(item["pid"])
    assert item["name"] == old
    again = _ternmq(cluster, "start", "--json")
    assert _items(again, "ternmq.start/1") == []
    assert again.stderr == "all nodes run\n"


def test_what_does_not_exist_is_said_with_what_does(cluster: Cluster) -> None:
    done = _ternmq(cluster, "kill-leader", "group-z")
    assert done.returncode == 1
    assert "group-a" in done.stderr
    done = _ternmq(cluster, "start", "ns1")
    assert done.returncode == 1
    assert "runs already" in done.stderr


def test_a_second_cluster_in_the_same_folder_is_refused(cluster: Cluster) -> None:
    done = _ternmq(cluster, "up")
    assert done.returncode == 1
    assert "runs in" in done.stderr
    assert "ternmq down" in done.stderr


def test_a_broker_is_no_nameserver(cluster: Cluster) -> None:
    broker = cluster.address(cluster.leader())
    for command in (["topic", "list"], ["cluster", "info"], ["topic", "route", "t"]):
        done = subprocess.run(
            [PROGRAM, *command, "--endpoints", broker], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 2
        assert done.stderr.startswith(
            f"error: {broker} is a broker, not a NameServer; give the address of a NameServer"
        )


@pytest.mark.parametrize("command", [["topic", "list"], ["cluster", "info"], ["consume", "x", "--count", "1"]])
def test_nameservers_that_nobody_reaches_exit_with_3(command: list[str]) -> None:
    done = subprocess.run(
        [PROGRAM, *command, "--endpoints", "127.0.0.1:1"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr == (
        "error: no NameServer answers: 127.0.0.1:1 cannot be reached: Connection refused (os error 111)\n"
        "  try: see what runs with `ternmq ps`, or give other addresses with --endpoints\n"
    )
    assert sys.executable not in done.stderr  # no traceback
