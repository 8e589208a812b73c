"""Kills of the master under load: the longest time in which nothing was acknowledged."""

import signal
import statistics
import time

from benches.bench import Bench
from benches.catalogue import SINGLE
from benches.drivers import note
from benches.figures import Figures
from benches.servers.ours import ours
from benches.servers.running import Servers
from benches.stepped import Stepped
from support.processes import wait_for
from support.speaker import CLUSTER_INFO, SpeakerError, ask, lenient_json

NEW_MASTER_SECONDS = 60.0
BACK_SECONDS = 120.0
ASK_EVERY = 0.25
# Row: timing of the group, the signal that ends or stops its master, and how often.
ROWS = {
    "kill-shared": ("shared", signal.SIGKILL, 30),
    "kill-lan": ("lan", signal.SIGKILL, 10),
    "stop-shared": ("shared", signal.SIGSTOP, 5),
    "term-shared": ("shared", signal.SIGTERM, 10),
}


def run(bench: Bench) -> None:
    """Our servers under our generator, which follows what a refusal says and else tries all brokers in turn."""
    for row, (timing, number, count) in ROWS.items():
        if not bench.wants(row):
            continue
        bench.say(
            f"our servers, 1 group of 3, `{timing}` timing: {number.name} for the master under our own load generator"
        )
        with ours(bench.folder, timing="lan" if timing == "lan" else "shared") as servers:
            topic = bench.topic(servers, row)
            group = servers.subject.group
            brokers = ",".join(f"{group}={servers.subject.address(name)}" for name in _leader_first(servers))
            with bench.drivers.load("gaps", servers, topic, "--connections", 4, brokers=brokers) as program:
                figures = longest_gaps(bench, servers, program, row, min(bench.kills, count), number)
                program.close_input()
                note(figures, program.expect("read", within=300))
                program.finish()
            bench.add(figures)


def longest_gaps(
    bench: Bench, servers: Servers, program: Stepped, row: str, count: int, number: signal.Signals = signal.SIGKILL
) -> Figures:
    """Send the master a signal so often, each time with all members up, and take the gap that the program saw.

    Args:
        bench: the run.
        servers: whose master.
        program: a load that answers each line with its longest gap since the line before.
        row: name of the row.
        count: how often.
        number: the signal; a process that it stops goes on when another one leads.
    """
    program.expect("ready")
    gaps = []
    for at in range(1, count + 1):
        gap = _one(servers, program, number)
        gaps.append(gap)
        bench.say(f"  {SINGLE[row].title}: {at} of {count}, {gap:.3f} s")
    return Figures(row, servers.side, count=count, value=statistics.median(gaps), worst=max(gaps))


def _one(servers: Servers, program: Stepped, number: signal.Signals) -> float:
    subject = servers.subject
    # Load flows: what was slow before is not of this kill.
    until_flowing(program)
    ask_gap(program)
    master = subject.master()
    if master is None:
        raise LookupError("no NameServer shows a master")
    process = subject.identity(master)
    if number == signal.SIGKILL:
        process.kill()
    else:
        process.send(number)
    longest = until_flowing(program)
    wait_for(lambda: subject.master() not in (None, master), NEW_MASTER_SECONDS, "a new master", every=0.1)
    if number == signal.SIGSTOP:
        process.send(signal.SIGCONT)
    else:
        wait_for(lambda: not process.is_alive(), BACK_SECONDS, f"the end of {master}", every=0.1)
        subject.launch(master)
    # A replica that starts must not count as part of the gap, nor the next kill meet a group that lacks one.
    wait_for(lambda: _all_shown(servers), BACK_SECONDS, f"{master} to be back", every=0.2)
    return longest / 1000


def until_flowing(program: Stepped) -> float:
    """Ask until what the program counts comes again; the longest gap, which spans all the questions, in ms."""
    longest, flowing = 0.0, 0
    while flowing < 2:
        time.sleep(ASK_EVERY)
        line = ask_gap(program)
        longest = max(longest, float(line["longest_ms"]))
        flowing = flowing + 1 if int(line["count"]) else 0
    return longest


def ask_gap(program: Stepped) -> dict[str, float]:
    """Ask for the longest gap since the last question, and for how much has come."""
    program.go_on()
    return program.expect("gap", within=30)


def _leader_first(servers: Servers) -> list[str]:
    master = servers.subject.master()
    return sorted(servers.subject.brokers, key=lambda name: name != master)


def _all_shown(servers: Servers) -> bool:
    subject = servers.subject
    wanted = len(subject.brokers)
    for address in subject.nameserver_addresses:
        try:
            table = lenient_json(ask(address, CLUSTER_INFO, timeout=1).body).get("brokerAddrTable") or {}
        except (SpeakerError, ValueError):
            return False
        shown = table.get(subject.group, {}).get("brokerAddrs", {})
        if "0" not in shown or len(shown) < wanted:
            return False
    return True
