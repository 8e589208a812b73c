"""A backlog beyond memory: `python -m benches.backlog --messages 20000000 --memory 2G --json`.

Our cluster runs in a control group whose memory, page cache included, is less than the backlog that it is given first.
Then a producer sends at a steady rate, alone (A) and while a reader catches up from the first message (B), A B A B. The
producer's messages go to a topic of their own in the same log, so that the backlog has an end. Each B reads all of it,
and counts every message by a number of its own: one that is missing or there twice ends the run with 1.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

from benches import ROOT
from benches.drivers import LOAD, build_load, masters_of
from benches.probes import disk
from benches.probes.memory_group import MemoryGroup, NoMemoryGroupError
from benches.probes.processes import resident_bytes
from benches.probes.window import Reading, Used
from benches.servers.ours import create_topic, ours
from benches.servers.running import Servers
from benches.stepped import Line, LoadFailedError, Stepped
from support.speaker import ask, lenient_json
from ternmq.config.settings import Flush
from ternmq.config.topology import Mode

BACKLOG, LIVE = "backlog", "live"
QUEUES = 8
RUNTIME_INFO = 28
_FILLED_WITHIN = 1800.0
_READ_WITHIN = 1800.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Shape:
    """What is measured.

    Args:
        messages: of the backlog.
        body: bytes of each.
        memory: bytes that the servers and their page cache may take; None: all of the machine.
        rate: sends a second of the producer.
        seconds: how long the producer sends in A, and in B at least.
        rounds: of A and B.
        connections: of the reader; its queues are shared among them.
        max_messages: that a pull asks for.
        mode: how the group replicates.
        flush: when a message counts as written.
    """

    messages: int
    body: int
    memory: int | None
    rate: float
    seconds: float
    rounds: int
    connections: int
    max_messages: int
    mode: Mode
    flush: Flush


class Watch:
    """Looks at the memory of processes again and again, from a thread.

    Args:
        pids: whose.
        group: whose memory is looked at, too.
    """

    def __init__(self, pids: Sequence[int], group: MemoryGroup | None) -> None:
        self.most_bytes = self.most_group_bytes = 0
        self.first_bytes = resident_bytes(pids)
        self._pids = pids
        self._group = group
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            with contextlib.suppress(OSError):  # one of them has ended
                self.most_bytes = max(self.most_bytes, resident_bytes(self._pids))
                if self._group is not None:
                    self.most_group_bytes = max(self.most_group_bytes, self._group.used_bytes())

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def run(folder: Path, shape: Shape) -> dict[str, Any]:
    """Measure.

    Args:
        folder: where the cluster's data lies.
        shape: what.

    Returns:
        The figures; `missing` and `doubled` are of all reads together.

    Raises:
        NoMemoryGroupError: memory cannot be limited here.
    """
    group = None if shape.memory is None else MemoryGroup(f"ternmq-backlog-{os.getpid()}", shape.memory)
    try:
        with _running(folder, shape, group) as servers:
            return _measure(servers, shape, group)
    finally:
        if group is not None:
            group.remove()


@contextlib.contextmanager
def _running(folder: Path, shape: Shape, group: MemoryGroup | None) -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        with group.entered() if group is not None else contextlib.nullcontext():
            servers = stack.enter_context(ours(folder, mode=shape.mode, flush=shape.flush))
        yield servers


def _measure(servers: Servers, shape: Shape, group: MemoryGroup | None) -> dict[str, Any]:
    for topic in (BACKLOG, LIVE):
        create_topic(servers, topic, QUEUES)
    filled = _fill(servers, shape)
    os.sync()
    alone: list[Line] = []
    beside: list[Line] = []
    reads: list[dict[str, Any]] = []
    for _ in range(shape.rounds):
        with _producer(servers, shape, shape.seconds) as producer:
            producer.expect("ready")
            producer.go_on()
            alone.append(producer.expect("measured", within=_READ_WITHIN))
        read, line = _catch_up(servers, shape, group)
        reads.append(read)
        beside.append(line)
    return figures(shape, filled, alone, beside, reads)


def _fill(servers: Servers, shape: Shape) -> Line:
    options = ["--connections", 4, "--in-flight", 256, "--body", shape.body, "--count", shape.messages]
    with Stepped(_load("send", servers, BACKLOG, *options, "--save", os.devnull, "--stepped")) as program:
        program.expect("ready")
        program.go_on()
        line = program.expect("measured", within=_FILLED_WITHIN)
        program.go_on()
        if program.finish() != 0:
            raise LoadFailedError(f"not all of the backlog was acknowledged: {line}")
    return line


def _producer(servers: Servers, shape: Shape, seconds: float) -> Stepped:
    options = ["--connections", 4, "--in-flight", 4_096, "--rate", shape.rate, "--body", shape.body]
    return Stepped(_load("send", servers, LIVE, *options, "--seconds", seconds, "--save", os.devnull, "--stepped"))


def _catch_up(servers: Servers, shape: Shape, group: MemoryGroup | None) -> tuple[dict[str, Any], Line]:
    """Read the whole backlog while the producer sends; the producer's window ends before the reader does."""
    options = ["--connections", shape.connections, "--max-messages", shape.max_messages, "--tally", "--stepped"]
    with (
        Stepped(_load("pull", servers, BACKLOG, *options)) as reader,
        _producer(servers, shape, shape.seconds) as producer,
    ):
        reader.expect("ready")
        producer.expect("ready")
        cold = _counted(servers, "coldPulls")
        before = Reading.take(servers.pids, reader.pid, ROOT)
        with Watch(servers.broker_pids, group) as brokers, Watch([reader.pid], None) as own:
            reader.go_on()
            producer.go_on()
            sent = producer.expect("measured", within=_READ_WITHIN)
            is_reading = not reader.has_said()
            measured = reader.expect("measured", within=_READ_WITHIN)
        used = Used.between(before, Reading.take(servers.pids, reader.pid, ROOT))
        cold = _counted(servers, "coldPulls") - cold
        reader.go_on()
        tally = reader.expect("tally")
        reader.finish()
    return {
        "seconds": measured["seconds"],
        "bytes": measured["bytes"],
        "pulls": measured["pulls"],
        "cold_pulls": cold,
        "records": tally["records"],
        "doubled": tally["doubled"],
        "gaps": tally["gaps"],
        "covers_producer": is_reading,
        "brokers_rss": brokers.most_bytes,
        "brokers_rss_before": brokers.first_bytes,
        "reader_rss": own.most_bytes,
        "group": brokers.most_group_bytes,
        "busy": used.busy,
    }, sent


def figures(
    shape: Shape, filled: Line, alone: Sequence[Line], beside: Sequence[Line], reads: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Put together what the programs said.

    Args:
        shape: what was measured.
        filled: of the program that sent the backlog.
        alone: of the producer, each A.
        beside: of the producer, each B.
        reads: of the reader, each B.
    """
    p99 = [[float(line["p99_ms"]) for line in lines] for lines in (alone, beside)]
    rates = [read["bytes"] / read["seconds"] / 1e6 for read in reads]
    return {
        "mode": shape.mode,
        "flush": shape.flush,
        "messages": shape.messages,
        "body_bytes": shape.body,
        "backlog_mb": round(max(read["bytes"] for read in reads) / 1e6),
        "memory_mb": None if shape.memory is None else round(shape.memory / 1e6),
        "fill_msg_per_s": round(shape.messages / float(filled["seconds"])),
        "producer_rate": shape.rate,
        "producer_failed": sum(int(line["failed"]) for line in (*alone, *beside)),
        "p50_alone_ms": [float(line["p50_ms"]) for line in alone],
        "p50_reading_ms": [float(line["p50_ms"]) for line in beside],
        "p99_alone_ms": p99[0],
        "p99_reading_ms": p99[1],
        "p99_ratio": round(median(p99[1]) / median(p99[0]), 2),
        "covers_producer": all(read["covers_producer"] for read in reads),
        "read_mb_per_s": [round(rate, 1) for rate in rates],
        "read_msg_per_s": [round(read["records"] / read["seconds"]) for read in reads],
        "cold_share_of_pulls": [round(read["cold_pulls"] / max(1, read["pulls"]), 3) for read in reads],
        "missing": sum(shape.messages - read["records"] + read["doubled"] for read in reads),
        "doubled": sum(read["doubled"] for read in reads),
        "brokers_rss_mb": [round(read["brokers_rss"] / 1e6) for read in reads],
        "brokers_rss_grew_mb": [round((read["brokers_rss"] - read["brokers_rss_before"]) / 1e6) for read in reads],
        "reader_rss_mb": [round(read["reader_rss"] / 1e6) for read in reads],
        "group_mb": [round(read["group"] / 1e6) for read in reads],
        "busy_share_of_cores": [round(read["busy"], 2) for read in reads],
    }


def _load(what: str, servers: Servers, topic: str, *options: object) -> list[object]:
    return [LOAD, what, masters_of(servers, 1), topic, "--queues", QUEUES, *options]


def _counted(servers: Servers, key: str) -> int:
    """A total that the brokers have counted themselves, of all of them."""
    tables = [lenient_json(ask(address, RUNTIME_INFO).body)["table"] for address in servers.leaders]
    return sum(int(table[key]) for table in tables)


def _size(text: str) -> int:
    """A number of bytes, with K, M or G behind it."""
    scale = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    return int(float(text if scale == 1 else text[:-1]) * scale)


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 1 if a message of the backlog is missing or there twice, 2 if memory cannot be limited."""
    parser = argparse.ArgumentParser(prog="python -m benches.backlog", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000_000, help="of the backlog")
    parser.add_argument("--body", type=int, default=128, help="bytes")
    parser.add_argument("--memory", type=_size, default=2 << 30, help="of the servers, such as 2G; 0: all there is")
    parser.add_argument("--rate", type=float, default=2_000.0, help="sends a second of the producer")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the producer in each A and B")
    parser.add_argument("--rounds", type=int, default=2, help="of A and B")
    parser.add_argument("--connections", type=int, default=1, help="of the reader")
    parser.add_argument("--max-messages", type=int, default=32, help="that a pull asks for")
    parser.add_argument("--mode", choices=get_args(Mode), default="multi-master", help="of the group")
    parser.add_argument("--flush", choices=get_args(Flush), default="sync", help="of the group")
    parser.add_argument("--json", action="store_true", help="nothing but the line of JSON")
    options = parser.parse_args(words)
    build_load()
    shape = Shape(
        options.messages, options.body, options.memory or None, options.rate, options.seconds, options.rounds,
        options.connections, options.max_messages, options.mode, options.flush,
    )  # fmt: skip
    (ROOT / "target").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="backlog-", dir=ROOT / "target") as folder:
        if not options.json:
            print(f"raw: {disk.measure(Path(folder))}", file=sys.stderr)
        try:
            found = run(Path(folder), shape)
        except NoMemoryGroupError as error:
            print(error, file=sys.stderr)
            return 2
    print(json.dumps(found), flush=True)
    return 0 if found["missing"] == found["doubled"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
