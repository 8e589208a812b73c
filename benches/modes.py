"""Our four modes beside Apache's: `python -m benches.modes`, which is what `make bench-modes` does.

Each cluster runs alone: three NameServers and one group, loaded by the official Java client and by our own generator.
`--json FILE` adds the figures to a file, so that modes may be measured one at a time; `--write-docs FILE` measures
nothing and puts what files hold into `docs/performance.md` and `docs/plots`.
"""

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from benches import ROOT, document, modes_report, saved, scale
from benches.bench import Bench
from benches.drivers import build_load
from benches.figures import OURS
from benches.probes import disk, loopback
from benches.rows import modes
from benches.setups import FLUSHES, MODES, SIDES, Setup, setups
from benches.stepped import LoadFailedError
from support.revision import measured_by
from ternmq.config.settings import Flush
from ternmq.config.topology import Mode

COMMAND = "make bench-modes"
PAIR_LOADS = ((32, 1), (4, 64))
# What is compared with what, by turns.
PAIRS: dict[str, tuple[scale.Promise, scale.Promise]] = {
    "double write": (scale.Promise("async-slave"), scale.Promise("sync-double-write")),
    "flush": (scale.Promise("multi-master", "async"), scale.Promise("multi-master", "sync")),
}


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 1 if something of ours failed, or was acknowledged and is not there once."""
    options = _options(words)
    if options.write_docs:
        held = saved.load(map(Path, options.write_docs))
        document.write(modes_report.markdown(held), document.PERFORMANCE, held.stamps)
        modes_report.plot(held, ROOT / "docs" / "plots")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build_load()
    with tempfile.TemporaryDirectory(prefix="modes-", dir=ROOT / "target") as folder:
        file = Path(options.json or Path(folder) / "lines")
        is_whole = _run(options, Path(folder), _adder(file))
        print(modes_report.markdown(saved.load([file])))
    return 0 if is_whole else 1


def _adder(file: Path) -> Callable[[str], None]:
    """What a run that is ended has found so far is kept."""

    def add(line: str) -> None:
        with file.open("a") as lines:
            lines.write(f"{line}\n")

    return add


def _run(options: argparse.Namespace, folder: Path, add: Callable[[str], None]) -> bool:
    add(saved.limits_line(saved.Limits(disk.measure(folder), loopback.measure(), measured_by(COMMAND))))
    bench = Bench(folder, options.seconds, options.warm_up, options.kills, options.rows or [])
    is_whole = True
    if not bench.has_java:
        bench.say("java or mvn is not installed: nothing but --pairs")
    else:
        for setup in setups(options.modes, options.sides, options.flushes, options.groups):
            is_whole &= _one(bench, setup, add)
    for name, load, promise in [] if not options.pairs else _turns(options.pairs):
        is_whole &= _pair(bench, folder, name, load, promise, add)
    return is_whole


def _one(bench: Bench, setup: Setup, add: Callable[[str], None]) -> bool:
    bench.results.clear()
    is_whole = True
    try:
        modes.run(bench, setup)
    # One that fails must not cost the others.
    except (LoadFailedError, OSError, LookupError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        is_whole = setup.side != OURS
        sentence = f"{setup}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        bench.say(f"  FAILED: {sentence}\n{error}")
        add(saved.failed_line(sentence))
    finally:
        # Also of a run that is interrupted.
        for figures in bench.results:
            add(saved.figures_line(setup, figures))
    return is_whole and all(figures.is_whole or setup.side != OURS for figures in bench.results)


def _turns(rounds: int) -> list[tuple[str, scale.Load, scale.Promise]]:
    """A B A B of each pair under each load."""
    return [
        (name, _load(connections, in_flight), promise)
        for name, pair in PAIRS.items()
        for connections, in_flight in PAIR_LOADS
        for _ in range(rounds)
        for promise in pair
    ]


def _load(connections: int, in_flight: int) -> scale.Load:
    return scale.Load(seconds=4.0, rate=None, connections=connections, in_flight=in_flight, body=128)


def _pair(
    bench: Bench,
    folder: Path,
    name: str,
    load: scale.Load,
    promise: scale.Promise,
    add: Callable[[str], None],
) -> bool:
    found: dict[str, Any] = scale.run(folder, 1, load, promise)
    found |= {"of": name, "connections": load.connections, "in_flight": load.in_flight}
    bench.say(f"  {name}: {found}")
    add(saved.pair_line(found))
    return bool(found["lost"] == found["doubled"] == 0)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches.modes", description=__doc__)
    parser.add_argument("--modes", type=_listed(MODES), default=list(MODES), help=f"of {','.join(MODES)}")
    parser.add_argument("--side", dest="sides", type=_sides, default=list(SIDES), help="ours, apache or both")
    parser.add_argument("--flush", dest="flushes", type=_flushes, default=list(FLUSHES), help="sync, async or both")
    parser.add_argument("--groups", type=int, default=1, help="broker groups")
    parser.add_argument("--rows", action="append", metavar="PATTERN", help=f"of {', '.join(modes.ROWS)}")
    parser.add_argument("--seconds", type=float, default=5.0, help="load of a row")
    parser.add_argument("--warm-up", type=float, default=120.0, help="longest, until rounds get no faster any more")
    parser.add_argument("--kills", type=int, default=3, help="kills of a Raft master")
    parser.add_argument("--pairs", type=int, default=0, metavar="ROUNDS", help="also async against sync, by turns")
    parser.add_argument("--json", metavar="FILE", help="add a line of JSON for each row there")
    parser.add_argument("--write-docs", nargs="+", metavar="FILE", help="put what files hold into the documents")
    return parser.parse_args(words)


def _listed(allowed: Sequence[Mode]) -> Callable[[str], list[Mode]]:
    def parse(text: str) -> list[Mode]:
        names = text.split(",") if text else []
        if wrong := [name for name in names if name not in allowed]:
            raise argparse.ArgumentTypeError(f"no mode {wrong[0]}")
        return [mode for mode in allowed if mode in names]

    return parse


def _sides(text: str) -> list[str]:
    return list(SIDES) if text == "both" else [text]


def _flushes(text: str) -> list[Flush]:
    if text == "both":
        return list(FLUSHES)
    return [flush for flush in get_args(Flush) if flush == text]


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
