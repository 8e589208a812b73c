"""Large routing tables: `python -m benches.nameserver --brokers 300 --topics 20000 --clients 2000 --json`.

Three NameServers are processes of their own. Brokers and clients are simulated: a broker has a connection of its own to
every NameServer, a client one to the NameServer that it polls. A run ends with one line of JSON. `--tree DIR` takes the
NameServers' code from another checkout, to compare.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import ROOT
from benches.probes.processes import cpu_seconds, resident_bytes
from benches.registering import Shape, SimulatedBrokers, Table
from benches.route_polls import Plan
from benches.stepped import Line, Stepped
from support.ports import free_block
from support.processes import Identity, wait_for
from support.speaker import SpeakerError, ask

_HEARTBEAT = 904
_CHANGES = 5
_QUESTIONS = 2_000
_PROBE_PAUSE_SECONDS = 0.001
_CLOSED_LOOP_CLIENTS = 64
_START_SECONDS = 20.0


class NameServers:
    """Three NameServer processes, which nobody starts again.

    Args:
        folder: for their files.
        tree: checkout whose code they run.
    """

    def __init__(self, folder: Path, tree: Path) -> None:
        base = free_block(3)
        self.addresses = [f"127.0.0.1:{base + number}" for number in range(3)]
        self._processes = []
        for number in range(3):
            conf = folder / f"namesrv-{number}.conf"
            conf.write_text(f"listenPort={base + number}\nkvConfigPath={folder}/kv-{number}.json\n")
            with (folder / f"namesrv-{number}.log").open("wb") as log:
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "ternmq", "run", "namesrv", "-c", conf],
                        env=os.environ | {"PYTHONPATH": str(tree / "python")},
                        stdout=log,
                        stderr=log,
                    )
                )

    def __enter__(self) -> "NameServers":
        wait_for(lambda: all(map(_answers, self.addresses)), _START_SECONDS, "three NameServers to answer")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def pid(self, address: str) -> int:
        """Number of the process that listens there."""
        return self._processes[self.addresses.index(address)].pid

    def kill(self, address: str) -> None:
        """SIGKILL one of them, and wait until it is gone."""
        process = self._processes[self.addresses.index(address)]
        identity = Identity.of(process.pid)
        process.kill()
        process.wait()
        assert not identity.is_alive()


def _answers(address: str) -> bool:
    with contextlib.suppress(SpeakerError):
        ask(address, _HEARTBEAT, timeout=1.0)
        return True
    return False


@contextlib.contextmanager
def polling(folder: Path, plan: Plan) -> Iterator[Line]:
    """Poll while a block runs, but not longer than planned; afterwards the figures are in what the block was given."""
    file = folder / f"plan-{time.monotonic_ns()}.json"
    file.write_text(json.dumps(asdict(plan)))
    said: Line = {}
    with Stepped([sys.executable, "-m", "benches.route_polls", file]) as program:
        program.expect("ready")
        program.go_on()
        yield said
        program.go_on()
        said |= program.expect("polled")
        program.finish()
    del said["event"]


class Measurement:
    """All that is measured of one shape.

    Args:
        folder: for files.
        servers: the NameServers.
        shape: tables of the brokers.
        clients: connections that poll.
        rate: polls a second of all of them together.
        seconds: of each load.
    """

    def __init__(
        self, folder: Path, servers: NameServers, shape: Shape, clients: int, rate: float, seconds: float
    ) -> None:
        self._folder = folder
        self._servers = servers
        self._shape = shape
        self._clients = clients
        self._rate = rate
        self._seconds = seconds
        self._brokers = SimulatedBrokers(shape, servers.addresses)
        # The one that is measured alone, and that is left when the others are killed.
        self._last = servers.addresses[-1]
        self._pid = servers.pid(self._last)

    def run(self) -> dict[str, Any]:
        """Measure everything, in an order in which nothing disturbs what comes later."""
        figures: dict[str, Any] = asdict(self._shape) | {"clients": self._clients}
        for part in (self._registrations, self._questions, self._changes, self._closed_loop, self._open_loop):
            figures |= part()
            self._brokers.beat(self._servers.addresses)
        figures |= self._kills()
        figures["rss_mb_at_the_end"] = self._rss()
        self._brokers.close()
        return figures

    def _rss(self) -> float:
        return round(resident_bytes([self._pid]) / 1e6, 1)

    def _probe(self) -> Plan:
        """One client that polls a topic all the time: its longest wait is the longest hold of the event loop."""
        return Plan([self._last], self._shape.names()[:1], 1, 600.0, pause=_PROBE_PAUSE_SECONDS)

    def _registrations(self) -> dict[str, Any]:
        before, begin = cpu_seconds([self._pid]), time.monotonic()
        # The topic that is probed must be there.
        self._brokers.of[self._last][0].register(Table.of(self._shape.names_of(0), 1))
        with polling(self._folder, self._probe()) as probe:
            busy = self._brokers.register_all()
        cpu = (cpu_seconds([self._pid]) - before) / self._shape.brokers
        return {
            "register_all_s": round(time.monotonic() - begin, 1),
            "register_cpu_ms": round(cpu * 1e3, 1),
            "register_busy": busy,
            "register_hold_ms": probe["max_ms"],
            "register_probe_p99_ms": probe["p99_ms"],
            "rss_mb": self._rss(),
        }

    def _questions(self) -> dict[str, Any]:
        broker = self._brokers.of[self._last][0]
        version = Table.of([], 1).version
        before, begin = cpu_seconds([self._pid]), time.monotonic()
        assert sum(broker.is_changed(version) for _ in range(_QUESTIONS)) == 0
        return {
            "question_ms": round((time.monotonic() - begin) / _QUESTIONS * 1e3, 3),
            "question_cpu_us": round((cpu_seconds([self._pid]) - before) / _QUESTIONS * 1e6),
        }

    def _changes(self) -> dict[str, Any]:
        """Tables of one broker that differ in one topic, and that have no topic in common with the ones before."""
        names = self._shape.names_of(0)
        plus_one = [Table.of([*names, f"new-{counter}"], counter) for counter in range(2, 2 + _CHANGES)]
        anew = [Table.of([f"{name}-{counter}" for name in names], counter) for counter in range(10, 10 + _CHANGES)]
        again = [Table.of(names, 100)]
        return (
            self._register_each("one_new", plus_one)
            | self._register_each("wholly_new", anew)
            | self._register_each("as_before", again)
        )

    def _register_each(self, what: str, tables: Sequence[Table]) -> dict[str, Any]:
        broker = self._brokers.of[self._last][0]
        took = []
        with polling(self._folder, self._probe()) as probe:
            time.sleep(0.5)
            before = cpu_seconds([self._pid])
            for table in tables:
                begin = time.monotonic()
                broker.register(table)
                took.append(time.monotonic() - begin)
                time.sleep(0.1)
            cpu = (cpu_seconds([self._pid]) - before) / len(tables)
        return {
            f"{what}_ms": round(sorted(took)[len(took) // 2] * 1e3, 1),
            f"{what}_cpu_ms": round(cpu * 1e3),
            f"{what}_hold_ms": probe["max_ms"],
            f"{what}_probe_p99_ms": probe["p99_ms"],
        }

    def _closed_loop(self) -> dict[str, Any]:
        """As many routes as one NameServer gives."""
        plan = Plan([self._last], self._shape.names(), _CLOSED_LOOP_CLIENTS, 600.0)
        with polling(self._folder, plan) as polled:
            time.sleep(1.0)
            before = cpu_seconds([self._pid])
            begin = time.monotonic()
            time.sleep(self._seconds)
        seconds = time.monotonic() - begin
        cpu = (cpu_seconds([self._pid]) - before) / (polled["answered"] * seconds / (seconds + 1.0))
        assert not polled["refused"], polled["refused"]
        return {
            "routes_per_s": round(polled["answered"] / (seconds + 1.0)),
            "route_cpu_us": round(cpu * 1e6, 1),
            "routes_per_cpu_s": round(1 / cpu),
            "answer_bytes": polled["longest_body"],
            "closed_loop_p99_ms": polled["p99_ms"],
        }

    def _open_loop(self) -> dict[str, Any]:
        """All clients at a rate, on three NameServers, while one broker's table changes by a topic each second."""
        names = self._shape.names_of(0)
        broker = self._brokers.of[self._last][0]
        with polling(self._folder, self._plan()) as polled:
            for counter in range(200, 200 + round(self._seconds)):
                table = Table.of([*names, f"late-{counter}"], counter)
                time.sleep(0.5)
                broker.register(table)
                time.sleep(0.5)
        shown = {key: polled[key] for key in ("answered", "refused", "unanswered", "p50_ms", "p99_ms", "max_ms")}
        return {"open_loop_rate": self._rate} | {f"open_loop_{key}": value for key, value in shown.items()}

    def _plan(self) -> Plan:
        return Plan(self._servers.addresses, self._shape.names(), self._clients, 600.0, self._rate)

    def _kills(self) -> dict[str, Any]:
        """The same with two NameServers that die, one after the other."""
        with polling(self._folder, self._plan()) as polled:
            for address in self._servers.addresses[:-1]:
                time.sleep(self._seconds / 3)
                self._servers.kill(address)
            time.sleep(self._seconds / 3)
        shown = {key: polled[key] for key in ("answered", "refused", "unanswered", "moved", "p99_ms", "max_ms")}
        shown["answered_by_the_last"] = polled["by_address"][self._last]
        return {f"kills_{key}": value for key, value in shown.items()}


def main(words: Sequence[str] | None = None) -> int:
    """Measure; 1 if a poll was not answered with a route while NameServers were killed."""
    parser = argparse.ArgumentParser(prog="python -m benches.nameserver", description=__doc__)
    parser.add_argument("--brokers", type=int, default=300, help="groups of one broker")
    parser.add_argument("--topics", type=int, default=20_000, help="different ones that there are")
    parser.add_argument("--each", type=int, help="topics of a broker; all unless told otherwise")
    parser.add_argument("--spread", choices=("range", "random"), default="range", help="which ones, where not all")
    parser.add_argument("--clients", type=int, default=2_000, help="connections that poll at the rate")
    parser.add_argument("--rate", type=float, default=1_000.0, help="polls a second of all clients together")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    parser.add_argument("--tree", type=Path, default=ROOT, help="checkout whose NameServers run")
    parser.add_argument("--json", action="store_true", help="the figures in one line")
    options = parser.parse_args(words)
    shape = Shape(options.brokers, options.topics, options.each or options.topics, options.spread)
    with (
        tempfile.TemporaryDirectory(prefix="nameserver-") as folder,
        NameServers(Path(folder), options.tree) as servers,
    ):
        place = Path(folder)
        figures = Measurement(place, servers, shape, options.clients, options.rate, options.seconds).run()
    print(json.dumps(figures, indent=None if options.json else 2), flush=True)
    return 1 if figures["kills_unanswered"] or figures["kills_refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
