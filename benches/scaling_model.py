"""A model of large clusters, from the cost of a message and of a question: `python -m benches.scaling_model`.

For 10, 100 and 300 groups of three: brokers, cores, NameServer requests, traffic and CPU, connections, route sizes.
What a question costs the NameServer is measured on a small cluster; the prediction for each size is then compared with
a real NameServer that so many brokers and clients ask (`benches.nameserver_load`).
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import ROOT, document, saved
from benches.figures import OURS
from benches.nameserver_load import MEMBERS, Asked, Crowd, cpu_of, nameserver
from benches.prediction import MEDIUM, NAMESERVERS, SMALL, Assumed, QuestionCost, cost_of, predict
from benches.scaling_report import Checked, MessageCost, markdown
from benches.setups import MODES, Setup
from support.revision import measured_by
from ternmq.broker.registration import ASK_SECONDS
from ternmq.client.metadata import POLL_SECONDS

COMMAND = "python -m benches.scaling_model"
SIZES = (10, 100, 300)
# Questions a second while their cost is measured: like those of hundreds of groups.
CALIBRATION_SECONDS, CALIBRATION_RATE = 10.0, 400.0
_MODES_FILE = ROOT / "docs" / "plots" / "modes.jsonl"


async def _calibrate(folder: Path, assumed: Assumed) -> QuestionCost:
    routes = {}
    for groups in (SMALL, MEDIUM):
        with nameserver(folder) as (address, pid):
            crowd = Crowd(address, pid, groups, clients=100, topics=assumed.topics)
            register = await crowd.come()
            encoding = await crowd.ask_all_routes()
            if groups == SMALL:
                before = cpu_of(pid)
                await asyncio.sleep(CALIBRATION_SECONDS)
                idle = (cpu_of(pid) - before) / CALIBRATION_SECONDS
                every = groups * MEMBERS / CALIBRATION_RATE
                asks = await crowd.live(CALIBRATION_SECONDS, every, None, 0)
            else:
                register_us = 1e6 * register / (groups * MEMBERS)
                first_us = 1e6 * encoding / assumed.topics
            every = 100 * assumed.routes_of_client / CALIBRATION_RATE
            routes[groups] = await crowd.live(CALIBRATION_SECONDS, None, every, assumed.routes_of_client)
            crowd.leave()
    return cost_of(asks, routes[SMALL], routes[MEDIUM], first_us, register_us, idle)


async def _simulate(folder: Path, groups: int, assumed: Assumed, seconds: float) -> Checked:
    """A real NameServer under so many."""
    with nameserver(folder) as (address, pid):
        crowd = Crowd(address, pid, groups, groups * assumed.clients_of_group // NAMESERVERS, assumed.topics)
        register = await crowd.come()
        change = await crowd.ask_all_routes()
        asked = await crowd.live(seconds, ASK_SECONDS, POLL_SECONDS, assumed.routes_of_client)
        crowd.leave()
    return Checked(register, change, asked)


def message_costs(file: Path) -> list[MessageCost]:
    """CPU microseconds a message of each mode of ours, `sync` flush, from the lines of `benches.modes`."""
    held = saved.load([file])
    found: list[MessageCost] = []
    for mode in MODES:
        ours, java = (held.find(Setup(mode, OURS, "sync"), row) for row in ("load-256", "java-async"))
        if ours is not None and java is not None:
            costs = ours.figures.server_cpu_per_million, java.figures.server_cpu_per_million
            found.append(MessageCost(mode, costs[0] or 0.0, costs[1] or 0.0))
    return found


async def _measure(groups: Sequence[int], seconds: float) -> dict[str, Any]:
    """Everything that the document shows, to be kept as JSON."""
    assumed, stamp = Assumed(), measured_by(COMMAND)
    with tempfile.TemporaryDirectory(prefix="scaling-", dir=ROOT / "target") as folder:
        cost = await _calibrate(Path(folder), assumed)
        print(cost, file=sys.stderr, flush=True)
        measured = []
        for size in groups:
            measured.append(await _simulate(Path(folder), size, assumed, seconds))
            print(size, measured[-1], file=sys.stderr, flush=True)
    return {
        "stamp": stamp,
        "groups": list(groups),
        "cost": asdict(cost),
        "measured": [asdict(one) for one in measured],
    }


def tables(run: dict[str, Any], modes: Sequence[MessageCost]) -> str:
    """The document's tables of a run.

    Args:
        run: as it was kept.
        modes: what a message costs in each.
    """
    assumed, cost = Assumed(), QuestionCost(**run["cost"])
    predicted = [predict(groups, assumed, cost) for groups in run["groups"]]
    checked = [Checked(**{**one, "asked": Asked(**one["asked"])}) for one in run["measured"]]
    return markdown(assumed, cost, predicted, checked, modes)


def main(words: Sequence[str] | None = None) -> int:
    """Measure what a question costs, predict, and check."""
    parser = argparse.ArgumentParser(prog="python -m benches.scaling_model", description=__doc__)
    parser.add_argument("--groups", type=int, action="append", help="a size; may be repeated")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each check")
    parser.add_argument("--modes", type=Path, default=_MODES_FILE, help="lines of benches.modes, for a message's cost")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured there")
    parser.add_argument("--write-docs", type=Path, metavar="FILE", help="measure nothing, and write a run's tables")
    options = parser.parse_args(words)
    modes = message_costs(options.modes) if options.modes.exists() else []
    if options.write_docs:
        run = json.loads(options.write_docs.read_text())
        document.write(tables(run, modes), document.SCALING, [run["stamp"]])
        return 0
    run = asyncio.run(_measure(options.groups or SIZES, options.seconds))
    print(tables(run, modes))
    if options.json:
        options.json.write_text(json.dumps(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
