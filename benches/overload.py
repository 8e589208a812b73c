"""Three times what a group can take: `python -m benches.overload --seconds 60 --json`.

Servers have one core for themselves, the generator another, in every phase. First the group's peak is found in a closed
loop, produced and consumed. Then, in open loops whose sends begin at their time whatever was answered: 0.8 of the peak
(*before*), three times the peak (*over*), and 0.8 again in short windows one after the other (*after*). A consumer
reads all of it meanwhile. What was acknowledged must have been consumed once at the end of every phase, or the run
ends with 1.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benches import ROOT
from benches.backlog import Watch
from benches.drivers import LOAD, build_load, masters_of
from benches.probes import disk
from benches.servers.ours import create_topic, ours
from benches.servers.running import Servers
from benches.stepped import Line, LoadFailedError, Stepped
from support.speaker import ask, lenient_json
from ternmq.config.timing import Profile
from ternmq.config.topology import Mode
from ternmq.protocol.codes import RequestCode

QUEUES = 8
CONNECTIONS = 64
# As many as a broker reads from one connection before it has answered: the rest waits in the sockets.
UNANSWERED = 4_096
PEAK_UNANSWERED = 4
AFTER_WINDOWS = 5
MIN_SECONDS = 3.0
AFTER_SECONDS = 2.0
_WITHIN = 600.0
_CALM, _OVER = 0.8, 3.0


@dataclass(frozen=True)
class Phase:
    """One load.

    Args:
        name: of the phase.
        rate: sends a second; None for a closed loop.
        seconds: how long sends begin.
        in_flight: unanswered sends of each connection, at most.
    """

    name: str
    rate: float | None
    seconds: float
    in_flight: int


class LostError(Exception):
    """What was acknowledged was not consumed, or twice."""


def run(folder: Path, seconds: float, body: int, mode: Mode, timing: Profile | None = None) -> dict[str, Any]:
    """Measure.

    Args:
        folder: where the cluster's data lies.
        seconds: of the overload.
        body: bytes of a message.
        mode: how the group replicates.
        timing: election times; None leaves the choice to the servers.

    Raises:
        LostError: an acknowledged message was not consumed once.
    """
    cores = sorted(os.sched_getaffinity(0))
    servers_core, load_core = {cores[0]}, {cores[-1]}
    with contextlib.ExitStack() as stack:
        with _on(servers_core):  # children inherit it, and their threads
            servers = stack.enter_context(ours(folder, mode=mode, timing=timing))
        with _on(load_core):
            peak = _phase(servers, Phase("peak", None, max(MIN_SECONDS, seconds / 6), PEAK_UNANSWERED), body)
            rate = peak["goodput"]
            before = _phase(servers, Phase("before", _CALM * rate, max(MIN_SECONDS, seconds / 6), UNANSWERED), body)
            over = _phase(servers, Phase("over", _OVER * rate, seconds, UNANSWERED), body)
            after = [
                _phase(servers, Phase(f"after {at}", _CALM * rate, AFTER_SECONDS, UNANSWERED), body)
                for at in range(AFTER_WINDOWS)
            ]
    return {
        "mode": mode,
        "body_bytes": body,
        "cores": "one each" if servers_core != load_core else "one for both",
        "peak": peak,
        "before": before,
        "over": over,
        "after": after,
        "goodput_share": round(over["goodput"] / peak["goodput"], 3),
        "elections": max(phase["term"] for phase in (over, *after)) - before["term"],
        "rss_grew_mb": over["rss_mb"] - before["rss_mb"],
        "seconds_until_normal": until_normal(before, after),
    }


def _phase(servers: Servers, phase: Phase, body: int) -> dict[str, Any]:
    topic = f"overload-{phase.name.replace(' ', '-')}"
    create_topic(servers, topic, QUEUES)
    options: list[object] = ["--connections", CONNECTIONS, "--in-flight", phase.in_flight, "--body", body]
    if phase.rate is not None:
        options += ["--rate", phase.rate]
    where = [masters_of(servers, 1), topic, "--queues", QUEUES, "--max-messages", 1024]
    with (
        Stepped([LOAD, "end-to-end", *where, *options, "--seconds", phase.seconds, "--stepped"]) as program,
        Watch(servers.broker_pids, None) as brokers,
    ):
        program.expect("ready")
        program.go_on()
        line = program.expect("measured", within=_WITHIN)
        program.go_on()
        read = program.expect("read", within=_WITHIN)
        program.finish()
    if int(read["missing"]) or int(read["records"]) != int(read["distinct"]):
        raise LostError(f"{phase.name}: {read}")
    return figures(phase, line) | {"rss_mb": round(brokers.most_bytes / 1e6), "term": _term(servers)}


def figures(phase: Phase, line: Line) -> dict[str, Any]:
    """Put together what the generator said.

    Args:
        phase: what was asked for.
        line: of the generator, when everything was consumed.
    """
    sending = line["sending"]
    count, seconds = int(sending["count"]), float(sending["seconds"])
    return {
        "asked": None if phase.rate is None else round(phase.rate),
        "goodput": round(count / seconds),
        "p50_ms": float(sending["p50_ms"]),
        "p99_ms": float(sending["p99_ms"]),
        "refusals": sending["refusals"],
        "refused_p99_ms": float(sending["refused_p99_ms"]),
        "consumed_share": round(int(sending["consumed"]) / max(1, count), 3),
        "drained_s": round(float(line["seconds"]) - seconds, 2),
    }


def until_normal(before: dict[str, Any], after: Sequence[dict[str, Any]]) -> float | None:
    """Seconds after the overload at which a window with the latency of before had begun; None if there was none."""
    for at, window in enumerate(after):
        if window["p99_ms"] <= 2 * before["p99_ms"] and not window["refusals"]:
            return at * AFTER_SECONDS
    return None


def _term(servers: Servers) -> int:
    answers = [lenient_json(ask(address, RequestCode.GET_REPLICA_STATUS).body) for address in servers.leaders]
    return max(int(answer["term"]) for answer in answers)


@contextlib.contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Have this thread, and what it starts, run on these cores for the time of a block."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 1 if something that was acknowledged was not consumed once, 2 if the load broke."""
    parser = argparse.ArgumentParser(prog="python -m benches.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the overload")
    parser.add_argument("--body", type=int, default=128, help="bytes")
    parser.add_argument("--mode", choices=get_args(Mode), default="raft", help="of the group")
    parser.add_argument("--json", action="store_true", help="nothing but the line of JSON")
    options = parser.parse_args(words)
    build_load()
    (ROOT / "target").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="overload-", dir=ROOT / "target") as folder:
        if not options.json:
            print(f"raw: {disk.measure(Path(folder))}", file=sys.stderr)
        try:
            found = run(Path(folder), options.seconds, options.body, options.mode)
        except LostError as error:
            print(error, file=sys.stderr)
            return 1
        except LoadFailedError as error:
            print(error, file=sys.stderr)
            return 2
    print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
