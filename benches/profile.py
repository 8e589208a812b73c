"""Where the CPU of the servers goes during a row: per thread, with context switches a message, and by symbol.

`python -m benches.profile ROW [--seconds S] [--top N] [--leader] [--no-perf]` runs a row as `make bench` does. The
threads need no privileges; symbols need `perf` and the right to use it.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benches import ROOT
from benches.bench import Bench
from benches.catalogue import RATED
from benches.figures import Figures
from benches.probes.threads import ThreadUse, threads
from benches.rows import java, load, python
from benches.servers.running import Servers

FREQUENCY = "499"


def main() -> int:
    """Run the row that was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=list(RATED))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--top", type=int, default=40, help="symbols to show of each process")
    parser.add_argument("--leader", action="store_true", help="symbols of the leader alone")
    parser.add_argument("--no-perf", action="store_true", help="threads alone: sampling costs up to a quarter")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    (ROOT / "target").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="profile-", dir=ROOT / "target") as folder:
        bench = Bench(Path(folder), options.seconds, warm_up=10, kills=0, patterns=[options.row])
        samples = None if options.no_perf or shutil.which("perf") is None else Path(folder) / "perf.data"
        bench.watch = Profiler(samples, options.top, leader_only=options.leader)
        load.run(bench)
        java.run_ours(bench)
        python.run(bench)
    return 0


class Profiler:
    """Samples the servers for the time of a load.

    Args:
        samples: file for them; None for no symbols.
        top: symbols to show.
        leader_only: leave the followers' symbols out.
    """

    def __init__(self, samples: Path | None, top: int, *, leader_only: bool) -> None:
        self._samples = samples
        self._top = top
        self._leader_only = leader_only
        self._perf: subprocess.Popen[bytes] | None = None
        self._before: dict[str, dict[str, ThreadUse]] = {}
        self._names: dict[str, int] = {}

    def begin(self, servers: Servers) -> None:
        """Start sampling."""
        leaders = {servers.subject.master(group) for group in servers.groups}
        brokers = {name: servers.subject.identity(name).pid for name in servers.subject.brokers}
        self._names = {f"{name} {'leader' if name in leaders else 'follower'}": pid for name, pid in brokers.items()}
        if self._samples is not None:
            pids = ",".join(map(str, brokers.values()))
            command = ["perf", "record", "-q", "-F", FREQUENCY, "-g", "-p", pids, "-o", str(self._samples)]
            self._perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._before = {name: threads(pid) for name, pid in self._names.items()}

    def end(self, figures: Figures) -> None:
        """Stop sampling and print."""
        after = {name: threads(pid) for name, pid in self._names.items()}
        if self._perf is not None:
            self._perf.send_signal(signal.SIGINT)
            self._perf.wait()
        count = max(1, figures.count)
        rate, cpu, busy = figures.per_second or 0, figures.server_cpu_per_million or 0, figures.busy or 0
        print(
            f"\n{figures.row}: {count:,} messages, {rate:,.0f}/s, {cpu:.1f} CPU-s per million, {busy:.0%} of cores busy"
        )
        for name in sorted(self._names, key=lambda name: "follower" in name):
            self._print_threads(name, after[name], count)
        if self._perf is not None:
            for name, pid in self._names.items():
                if "leader" in name or not self._leader_only:
                    self._print_symbols(name, pid)

    def _print_threads(self, name: str, after: dict[str, ThreadUse], count: int) -> None:
        print(
            f"\n{name}\n{'thread':18} {'µs/msg':>8} {'user':>7} {'system':>7} {'waits/msg':>10} {'preempted/msg':>14}"
        )
        rows = []
        for thread, use in after.items():
            used = use - self._before[name].get(thread, ThreadUse())
            rows.append((thread, used))
        for thread, used in sorted(rows, key=lambda row: -row[1].cpu):
            if used.cpu > 0 or used.waits > 0:
                per = 1e6 / count
                print(f"{thread:18} {used.cpu * per:8.2f} {used.user * per:7.2f} {used.system * per:7.2f} "
                      f"{used.waits / count:10.3f} {used.preempted / count:14.3f}")  # fmt: skip

    def _print_symbols(self, name: str, pid: int) -> None:
        report = ["perf", "report", "-i", str(self._samples), "--stdio", "--pid", str(pid), "--sort", "comm,symbol"]
        report += ["-g", "none", "--percentage", "relative", "--percent-limit", "0.3"]
        for title, order in (("self", "--no-children"), ("with what they call", "--children")):
            done = subprocess.run([*report, order], capture_output=True, text=True, check=False)
            lines = [line.rstrip(" -") for line in done.stdout.splitlines() if line.strip() and line[0] != "#"]
            print(f"\n{name}: symbols, {title}; percent of its CPU")
            print("\n".join(lines[: self._top]))


if __name__ == "__main__":
    sys.exit(main())
