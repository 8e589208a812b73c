"""A signal ends `consume` and `produce` as a person would want it: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from typing import IO

import pytest

from support.cluster import Cluster
from support.processes import wait_for
from support.reading import fresh
from support.tern import PROGRAM

_SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


def _start(cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, *arguments, "--data", cluster.directory],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _lines_of(stream: IO[str] | None) -> list[str]:
    """Collect lines while they come."""
    lines: list[str] = []

    def collect() -> None:
        assert stream is not None
        lines.extend(stream)

    threading.Thread(target=collect, daemon=True).start()
    return lines


def _send(cluster: Cluster, topic: str, count: int) -> None:
    lines = "".join(f"{number}\n" for number in range(count))
    done = subprocess.run(
        [PROGRAM, "produce", topic, "--data", cluster.directory],
        input=lines, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("number", "code"), _SIGNALS)
def test_what_consume_has_printed_before_a_signal_does_not_come_again(
    cluster: Cluster, number: signal.Signals, code: int
) -> None:
    topic, group = fresh("stopped"), fresh("g")
    _send(cluster, topic, 50)
    with _start(cluster, "consume", topic, "--group", group, "--from", "earliest") as consumer:
        assert consumer.stdout is not None
        printed = [consumer.stdout.readline() for _ in range(50)]
        consumer.send_signal(number)
        rest, told = consumer.communicate(timeout=30)
    assert sorted(int(line) for line in printed) == list(range(50))
    assert rest == ""
    assert consumer.returncode == code, told
    assert f"50 messages; ended by {number.name}" in told
    again = subprocess.run(
        [PROGRAM, "consume", topic, "--group", group, "--idle", "1", "--data", cluster.directory],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert again.stdout == ""


@pytest.mark.parametrize(("number", "code"), _SIGNALS)
def test_what_produce_has_read_before_a_signal_is_sent_and_summed_up(
    cluster: Cluster, number: signal.Signals, code: int
) -> None:
    topic = fresh("sending")
    with _start(cluster, "produce", topic, "--json") as producer:
        told = _lines_of(producer.stderr)
        assert producer.stdin is not None
        producer.stdin.write("".join(f"{line}\n" for line in range(100)) + "half a li")
        producer.stdin.flush()
        wait_for(lambda: any("of 100 read" in line for line in told), 30, "produce to have read its lines")
        producer.send_signal(number)
        # Its input stays open: it is the signal that ends it.
        assert producer.wait(timeout=30) == code
        assert producer.stdout is not None
        (item,) = json.loads(producer.stdout.read())["items"]
    assert (item["acknowledged"], item["rejected"], item["unknown"]) == (100, 0, 0)
