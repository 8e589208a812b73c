"""Runs the bench: `python -m benches`, which is what `make bench` does."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benches import ROOT, document
from benches.bench import Bench
from benches.catalogue import ROWS
from benches.drivers import build_load
from benches.figures import OURS
from benches.probes import disk, loopback
from benches.report import markdown
from benches.rows import cluster, java, kills, load, python
from benches.stepped import LoadFailedError
from support.revision import measured_by

COMMAND = "make bench BENCH_ARGS=--write-docs"


def main() -> int:
    """Run the rows that were asked for; 1 if one failed, or if what our servers acknowledged is not there once."""
    options = _options()
    # A bench that is told to end, as by `timeout`, must leave no servers behind, just as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build_load()
    # Below the project: the folder for temporary files may be memory, whose `fdatasync` costs nothing.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "target") as folder:
        bench = Bench(Path(folder), options.seconds, options.warm_up, options.kills, options.rows or [])
        try:
            _run(bench, with_apache=not options.without_apache, with_raw=not options.without_raw)
        except KeyboardInterrupt:
            bench.say("interrupted; what was measured so far:")
            print(markdown(bench.results, bench.raw, bench.loopback))
            return 130
    return _finish(bench, options)


def _run(bench: Bench, *, with_apache: bool, with_raw: bool) -> None:
    if with_raw:
        bench.raw = disk.measure(bench.folder)
        bench.loopback = loopback.measure()
        bench.say(f"{bench.raw}; {bench.loopback}")
    sections: list[Callable[[], None]] = [
        lambda: java.run_apache(bench) if with_apache else None,
        lambda: java.run_ours(bench),
        lambda: load.run(bench),
        lambda: python.run(bench),
        lambda: cluster.run(bench),
        lambda: kills.run(bench),
    ]
    for section in sections:
        try:
            section()
        # One that fails must not cost the others, which took half an hour; the bench then ends with 1.
        except (LoadFailedError, OSError, LookupError, RuntimeError, AssertionError) as error:
            bench.failed.append(f"{type(error).__name__}: {error}")
            bench.say(f"  FAILED: {bench.failed[-1]}")


def _finish(bench: Bench, options: argparse.Namespace) -> int:
    tables = markdown(bench.results, bench.raw, bench.loopback)
    print(tables)
    if options.write_docs:
        document.write(tables, document.BENCHMARKS, [measured_by(COMMAND)])
    if options.json:
        lines = [json.dumps(figures.as_json()) for figures in bench.results]
        Path(options.json).write_text("".join(f"{line}\n" for line in lines))
    for sentence in bench.failed:
        bench.say(f"failed: {sentence}")
    return 1 if bench.failed or any(not figures.is_whole for figures in bench.results if figures.side == OURS) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--rows", action="append", metavar="PATTERN", help=f"of {', '.join(ROWS)}; may be repeated")
    parser.add_argument("--seconds", type=float, default=5.0, help="load of a row")
    parser.add_argument("--warm-up", type=float, default=30.0, help="of servers, before the rows of the Java client")
    parser.add_argument("--kills", type=int, default=30, help="kills of the row that has most; others have fewer")
    parser.add_argument("--without-apache", action="store_true", help="ours alone, judged by quoted figures of Apache")
    parser.add_argument("--without-raw", action="store_true", help="without what the machine does raw: 20 s less")
    parser.add_argument("--json", metavar="FILE", help="also write one JSON object a row there")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
