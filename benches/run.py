"""Rates, latencies and server CPU per message of one Raft group of three on this machine.

Starts a cluster of its own, creates a topic for each row, sends for some seconds, reads everything back, and prints a
table. A rate counts only if nothing that was acknowledged is missing. CPU is user and system time of all three brokers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TERNMQ = Path(sys.executable).parent / "ternmq"
LOAD = ROOT / "target" / "release" / "tern-load"


@dataclass(frozen=True)
class Row:
    """One line of the table: how the load is shaped."""

    name: str
    connections: int
    in_flight: int
    body_bytes: int


ROWS = (
    Row("1 sender, one at a time, 128 B", 1, 1, 128),
    Row("32 senders, one at a time, 128 B", 32, 1, 128),
    Row("32 senders, one at a time, 1 KiB", 32, 1, 1024),
    Row("4 x 64 in flight, 128 B", 4, 64, 128),
    Row("4 x 256 in flight, 1 KiB", 4, 256, 1024),
)


HEADINGS = (
    f"{'row':36} {'msg/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'server us/msg':>14} {'client us/msg':>14} {'lost':>5}"
)


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="load per row, seconds")
    parser.add_argument("--base-port", type=int, default=26_000)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args()
    build = ["cargo", "build", "--release", "--quiet", "--locked", "--package", "tern-load"]
    subprocess.run(build, cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory(prefix="ternmq-bench-") as folder:
        nodes = up(Path(folder), options.base_port)
        try:
            return run_rows(nodes, options.seconds, as_json=options.json)
        finally:
            subprocess.run([TERNMQ, "down", "--data", folder, "--quiet"], check=False, stdout=subprocess.DEVNULL)


def up(folder: Path, base_port: int) -> list[dict[str, Any]]:
    """Start one group of three and return its nodes."""
    where = ["--data", str(folder), "--groups", "1", "--base-port", str(base_port)]
    command = [str(TERNMQ), "up", "--detach", "--json", *where]
    started = subprocess.run(command, check=True, capture_output=True, text=True)
    items: list[dict[str, Any]] = json.loads(started.stdout)["items"]
    return items


def run_rows(nodes: list[dict[str, Any]], seconds: float, *, as_json: bool) -> int:
    """Measure and print each row; 1 if an acknowledged message was missing."""
    nameserver = next(node["address"] for node in nodes if node["kind"] == "namesrv")
    brokers = [node for node in nodes if node["kind"] == "broker"]
    leader = next(node["address"] for node in brokers if node["role"] == "leader")
    lost = 0
    if not as_json:
        out(HEADINGS)
    for number, row in enumerate(ROWS):
        topic = f"bench-{number}"
        create = [TERNMQ, "topic", "create", topic, "--queues", "8", "--endpoints", nameserver, "--quiet"]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL)
        figures = measure(row, topic, leader, [node["pid"] for node in brokers], seconds)
        lost += figures["missing"]
        out(json.dumps({"row": row.name, **figures}) if as_json else line(row, figures))
    return 1 if lost else 0


def measure(row: Row, topic: str, leader: str, pids: list[int], seconds: float) -> dict[str, Any]:
    """Run the load generator once, with the servers' CPU time around it."""
    shape = ["--connections", row.connections, "--in-flight", row.in_flight, "--body", row.body_bytes]
    command = [LOAD, leader, topic, "--seconds", seconds, *shape]
    before = cpu_seconds(pids)
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    after = cpu_seconds(pids)
    if not done.stdout:
        raise SystemExit(f"the load generator failed: {done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    count = max(1, figures["acknowledged"])
    figures["server_us_per_message"] = round((after - before) / count * 1e6, 2)
    figures["client_us_per_message"] = round(figures["client_cpu_seconds"] / count * 1e6, 2)
    return figures


def line(row: Row, figures: dict[str, Any]) -> str:
    """Give a row of the table."""
    return (
        f"{row.name:36} {figures['per_second']:>9,} {figures['p50_ms']:>8.2f} {figures['p99_ms']:>8.2f} "
        f"{figures['server_us_per_message']:>14.1f} {figures['client_us_per_message']:>14.1f} {figures['missing']:>5}"
    )


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of processes, seconds."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / 100


def out(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
