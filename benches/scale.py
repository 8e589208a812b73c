"""One topic over several broker groups, alone: `python -m benches.scale --groups N --seconds S --json`.

Each group (of three, in mode raft) gets connections of its own from one generator, open loop at a rate (20,000 a second
unless told otherwise) or closed loop (`--rate 0 --in-flight W`), bodies of 128 bytes; code 0 alone counts, and
everything acknowledged is read back afterwards. Each run ends with one line of JSON; `make bench-scale` runs 1, 2, 3
and 5 groups.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from benches import ROOT
from benches.drivers import LOAD, build_load, masters_of
from benches.probes import disk
from benches.probes.window import Reading, Used
from benches.servers.ours import create_topic, ours
from benches.servers.running import Servers
from benches.stepped import Line, Stepped
from support.speaker import ask, lenient_json
from ternmq.config.settings import Flush
from ternmq.config.topology import Mode

TOPIC = "scale"
QUEUES = 8
RUNTIME_INFO = 28
PUT_TOTAL = "msgPutTotalTodayNow"
_MEASURED_WITHIN = 600.0
_READ_WITHIN = 900.0


@dataclass(frozen=True)
class Load:
    """What each group gets.

    Args:
        seconds: how long.
        rate: sends a second; None keeps `in_flight` unanswered.
        connections: of the generator.
        in_flight: unanswered sends of a connection at most.
        body: bytes of a message.
    """

    seconds: float
    rate: float | None
    connections: int
    in_flight: int
    body: int


@dataclass(frozen=True)
class Promise:
    """What an acknowledgement means.

    Args:
        mode: how the groups replicate.
        flush: when a message counts as written.
    """

    mode: Mode = "raft"
    flush: Flush = "sync"


def run(folder: Path, groups: int, load: Load, promise: Promise) -> dict[str, Any]:
    """Measure one load over so many groups.

    Args:
        folder: where the cluster's data lies.
        groups: broker groups.
        load: of each.
        promise: of their acknowledgements.

    Returns:
        The figures: rates a second, CPU-seconds a million messages, latencies in ms.
    """
    cluster = ours(folder, groups=groups, mode=promise.mode, flush=promise.flush)
    with cluster as servers:
        create_topic(servers, TOPIC, QUEUES)
        with _sender(servers, load) as program:
            program.expect("ready")
            os.sync()
            counted = _put_totals(servers)
            before = Reading.take(servers.pids, program.pid, ROOT)
            program.go_on()
            line = program.expect("measured", within=_MEASURED_WITHIN)
            used = Used.between(before, Reading.take(servers.pids, program.pid, ROOT))
            per_master = [after - first for first, after in zip(counted, _put_totals(servers), strict=True)]
            program.go_on()
            read = program.expect("read", within=_READ_WITHIN)
            program.finish()
    return asdict(promise) | figures(groups, load, line, used, per_master, read)


def figures(groups: int, load: Load, line: Line, used: Used, per_master: Sequence[int], read: Line) -> dict[str, Any]:
    """Put together what the generator, the counters and the masters said.

    Args:
        groups: broker groups.
        load: of each.
        line: of the generator, when it had measured.
        used: what the servers used meanwhile.
        per_master: what each master counted.
        read: of the generator, when it had read everything back.
    """
    count, seconds = int(line["count"]), float(line["seconds"])
    return {
        "groups": groups,
        "loop": "closed" if load.rate is None else "open",
        "seconds": round(seconds, 2),
        "body_bytes": load.body,
        "msg_per_s": round(count / seconds),
        "msg_per_s_by_master": [round(total / seconds) for total in per_master],
        "failed": int(line["failed"]),
        "lost": int(read["missing"]),
        "doubled": int(read["records"]) - int(read["distinct"]),
        "cpu_s_per_million": round(used.server_cpu * 1e6 / max(1, count), 2),
        "busy_share_of_cores": round(used.busy, 2),
        "p50_ms": float(line["p50_ms"]),
        "p99_ms": float(line["p99_ms"]),
        "written_mb_per_s": round(used.written_mb_per_second, 1),
    }


def _sender(servers: Servers, load: Load) -> Stepped:
    options: list[object] = ["--connections", load.connections, "--in-flight", load.in_flight, "--body", load.body]
    if load.rate is not None:
        options += ["--rate", load.rate]
    where = [masters_of(servers), TOPIC, "--queues", QUEUES]
    return Stepped([LOAD, "send", *where, *options, "--seconds", load.seconds, "--stepped"])


def _put_totals(servers: Servers) -> list[int]:
    """Messages that each master has counted itself."""
    tables = [lenient_json(ask(address, RUNTIME_INFO).body)["table"] for address in servers.leaders]
    return [int(table[PUT_TOTAL]) for table in tables]


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 1 if something that was acknowledged is not there once."""
    parser = argparse.ArgumentParser(prog="python -m benches.scale", description=__doc__)
    parser.add_argument(
        "--groups", type=int, action="append", metavar="N", help="Raft groups of three; may be repeated"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="load of a run")
    parser.add_argument("--rate", type=float, default=20_000.0, help="sends a second and group; 0: closed loop")
    parser.add_argument("--connections", type=int, default=4, help="to each group")
    parser.add_argument("--in-flight", type=int, help="of a connection; 32 in a closed loop, else 4,096 at most")
    parser.add_argument("--mode", choices=get_args(Mode), default="raft", help="of the groups")
    parser.add_argument("--flush", choices=get_args(Flush), default="sync", help="of the groups")
    parser.add_argument("--body", type=int, default=128, help="bytes")
    parser.add_argument("--json", action="store_true", help="nothing but the lines of JSON")
    options = parser.parse_args(words)
    build_load()
    rate = options.rate or None
    in_flight = options.in_flight or (32 if rate is None else 4_096)
    load = Load(options.seconds, rate, options.connections, in_flight, options.body)
    is_whole = True
    with tempfile.TemporaryDirectory(prefix="scale-", dir=ROOT / "target") as folder:
        if not options.json:
            print(f"raw: {disk.measure(Path(folder))}", file=sys.stderr)
        for groups in options.groups or [1, 2, 3, 5]:
            found = run(Path(folder), groups, load, Promise(options.mode, options.flush))
            is_whole &= found["lost"] == found["doubled"] == 0
            print(json.dumps(found), flush=True)
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
