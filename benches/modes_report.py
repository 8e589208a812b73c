"""Tables and charts of the four modes beside Apache's, as `docs/performance.md` shows them."""

import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benches.claims import short
from benches.figures import APACHE, OURS, Figures
from benches.plots import Bars, chart
from benches.rows import java
from benches.rows.modes import LOADS, READ_GAP
from benches.saved import Found, Limits, Saved
from benches.setups import FLUSHES, MODES, THEIR_NAMES, Setup

_COMPARED = (
    ("java-sync", "sync send, 32 threads, 1 KiB"),
    ("java-async", "async send, 1,024 in flight, 1 KiB"),
    ("java-push", "push consume of a backlog, 1 KiB"),
    ("java-steady", "a steady 500 msg/s, send to ack"),
    ("java-receipt", "a steady 500 msg/s, send to receipt by a push consumer"),
    ("load-1", "one sender that waits, 128 B, our generator"),
    ("load-32", "32 senders that wait, 128 B, our generator"),
    ("load-256", "4 connections x 64 in flight, 128 B, our generator"),
)
_HEAD = (
    "| mode, flush | servers | 0 means | msg/s | p50 / p99 ms | server CPU-s per million | cores busy | ... by others |"
    " disk MB/s |\n| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)
_CHARTS = (
    ("java-sync", "Sync send, 32 threads, 1 KiB", "per_second", "msg/s"),
    ("java-async", "Async send, 1,024 in flight, 1 KiB", "per_second", "msg/s"),
    ("java-async", "Server CPU of async send", "server_cpu_per_million", "CPU-s per million messages"),
    ("java-receipt", "Send to receipt at 500 msg/s, p99", "p99_ms", "ms"),
)


def markdown(saved: Saved) -> str:
    """All tables."""
    sizes = sorted({setup.groups for setup in saved.setups})
    parts = [part for groups in sizes for part in _of_groups(saved, groups)]
    parts += _pairs(saved.pairs)
    if saved.limits:
        parts += [f"**Physical limits**\n\n{_limits(saved.limits)}"]
    if shares := _shares(saved):
        parts.append(shares)
    parts += [f"- Could not be measured: {sentence}" for sentence in saved.failed]
    return "\n\n".join(parts)


def _of_groups(saved: Saved, groups: int) -> list[str]:
    parts = []
    of = "" if groups == 1 else f", {groups} groups"
    for row, title in _COMPARED:
        lines = [line for pair in _setup_pairs(saved, groups) for line in _compared(saved, row, pair)]
        if lines:
            parts.append("\n".join([f"**{title[0].upper()}{title[1:]}{of}**\n", _HEAD, *lines]))
    lines = [line for pair in _setup_pairs(saved, groups) for line in _single(saved, pair)]
    if lines:
        head = (
            "| mode, flush | servers | start, s | memory, MB | fail-over, s | acknowledged | lost | there twice |\n"
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
        )
        parts.append("\n".join([f"**Start, memory, fail-over, and what was read back{of}**\n", head, *lines]))
    return parts


def _setup_pairs(saved: Saved, groups: int) -> list[tuple[Setup | None, Setup | None]]:
    """Ours beside Apache's at the same setting; of Raft, ours beside DLedger, which promises less."""
    pairs: list[tuple[Setup | None, Setup | None]] = []
    for mode in MODES:
        of = [setup for setup in saved.setups if setup.mode == mode and setup.groups == groups]
        flushes = ("raft",) if mode == "raft" else FLUSHES
        for flush in flushes:
            chosen = [setup for setup in of if mode == "raft" or setup.flush == flush]
            theirs = next((setup for setup in chosen if setup.side == APACHE), None)
            mine = next((setup for setup in chosen if setup.side == OURS), None)
            pairs.append((theirs, mine))
    return [pair for pair in pairs if pair != (None, None)]


def _compared(saved: Saved, row: str, pair: tuple[Setup | None, Setup | None]) -> list[str]:
    found = [saved.find(setup, row) if setup else None for setup in pair]
    lines = [f"| {_head(one)} | {_columns(one.figures)} |" for one in found if one is not None]
    theirs, mine = found
    # What hears errors or waits in vain is no rate to be compared with.
    if theirs is not None and mine is not None and not (theirs.figures.others or mine.figures.others):
        lines.append(f"| | ratio | | {_ratios(mine.figures, theirs.figures)} | | | |")
    return lines


def _head(found: Found) -> str:
    others = "".join(f"; {count:,} {what}" for what, count in found.figures.others.items())
    return f"{_name(found.setup)} | {_servers(found.setup)} | {found.setup.promise}{others}"


def _name(setup: Setup) -> str:
    return f"`{setup.mode}`" if setup.mode == "raft" else f"`{setup.mode}`, {setup.flush}"


def _servers(setup: Setup) -> str:
    return "ours" if setup.side == OURS else f"Apache, {THEIR_NAMES[setup.mode]}"


def _columns(figures: Figures) -> str:
    latency = "" if not figures.p50_ms else f"{figures.p50_ms:.2f} / {figures.p99_ms or 0:.1f}"
    return " | ".join(
        [
            f"{figures.per_second or 0:,.0f}",
            latency,
            f"{figures.server_cpu_per_million or 0:,.1f}",
            f"{figures.busy or 0:.0%}",
            f"{figures.share_of_others(os.cpu_count() or 1) or 0:.0%}",
            f"{figures.written_mb_per_second or 0:,.0f}",
        ]
    )


def _ratios(mine: Figures, theirs: Figures) -> str:
    latency = " / ".join(filter(None, [ratio(mine.p50_ms, theirs.p50_ms), ratio(mine.p99_ms, theirs.p99_ms)]))
    rate = ratio(mine.per_second, theirs.per_second)
    return f"{rate} | {latency} | {ratio(mine.server_cpu_per_million, theirs.server_cpu_per_million)}"


def ratio(ours: float | None, theirs: float | None) -> str:
    """Ours as a multiple of theirs; nothing where one is not there."""
    return "" if not ours or not theirs else f"x {ours / theirs:.3g}"


def _single(saved: Saved, pair: tuple[Setup | None, Setup | None]) -> list[str]:
    return [
        f"| {_name(setup)} | {_servers(setup)} | {_value(saved, setup, 'up')} | {_value(saved, setup, 'memory')} | "
        f"{_fail_over(saved, setup)} | {_read_back(saved, setup)} |"
        for setup in pair
        if setup is not None
    ]


def _value(saved: Saved, setup: Setup, row: str) -> str:
    found = saved.find(setup, row)
    return "" if found is None else short(found.figures.value or 0)


def _fail_over(saved: Saved, setup: Setup) -> str:
    if found := saved.find(setup, java.GAP):
        figures = found.figures
        return f"sends: median {short(figures.value or 0)}, worst {short(figures.worst or 0)} of {figures.count}"
    if found := saved.find(setup, READ_GAP):
        gap = f"reads: {short(found.figures.value or 0)}"
        missing = found.figures.missing
        return f"{gap}, and {missing:,} of {found.figures.count + missing:,} did not come" if missing else gap
    return ""


def _read_back(saved: Saved, setup: Setup) -> str:
    """Of all sends: how many were acknowledged, and how many of these were missing or there twice."""
    rows = [
        found.figures
        for found in saved.found
        if found.setup == setup and found.figures.row not in ("up", "memory", "java-push", READ_GAP)
    ]
    counted = sum(figures.count for figures in rows if figures.row != java.GAP)
    return f"{counted:,} | {sum(one.missing for one in rows):,} | {sum(one.doubled for one in rows):,}"


def _limits(limits: Sequence[Limits]) -> str:
    """Each as the range over all runs."""
    rows = (
        ("`pwrite` + `fdatasync` of 4 KiB, one writer", "/s", [one.disk.syncs_per_second for one in limits]),
        ("... groups of 64 KiB, one writer", "MB/s", [one.disk.group_64k for one in limits]),
        ("... groups of 64 KiB, three writers", "MB/s", [one.disk.three_writers_64k for one in limits]),
        ("... groups of 1 MiB, one writer", "MB/s", [one.disk.group_1m for one in limits]),
        ("a byte there and back over loopback, one pair of processes", "/s", [one.loopback.one_pair for one in limits]),
        ("a byte there and back over loopback, 32 pairs", "/s", [one.loopback.many_pairs for one in limits]),
    )
    lines = [
        f"| {what} | {unit} | {min(all_):,.0f} | {statistics.median(all_):,.0f} | {max(all_):,.0f} |"
        for what, unit, all_ in rows
    ]
    head = "| raw, measured before each run | unit | least | median | most |\n| --- | --- | ---: | ---: | ---: |"
    return "\n".join([head, *lines])


def _shares(saved: Saved) -> str:
    lines = [_share_line(saved, setup) for setup in saved.setups if setup.side == OURS and setup.groups == 1]
    if not any(lines):
        return ""
    head = (
        "| ours | one sender, of raw `fdatasync`/s | one sender, of loopback round trips/s | 32 senders, of loopback"
        " round trips/s of 32 pairs | async send, of disk MB/s | 4 x 64 in flight, of disk MB/s |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    return "\n".join(["**Our share of each limit, by the limits of the same run**\n", head, *filter(None, lines)])


def _share_line(saved: Saved, setup: Setup) -> str:
    one, many, pipelined = (saved.find(setup, row) for row in LOADS)
    java_async = saved.find(setup, "java-async")
    if one is None or many is None:
        return ""
    cells = [
        _percent((one.figures.per_second or 0) / one.limits.disk.syncs_per_second) if setup.flush == "sync" else "",
        _percent((one.figures.per_second or 0) / one.limits.loopback.one_pair),
        _percent((many.figures.per_second or 0) / many.limits.loopback.many_pairs),
        *(_percent(_disk_share(found)) if found else "" for found in (java_async, pipelined)),
    ]
    return f"| {_name(setup)} | {' | '.join(cells)} |"


def _disk_share(found: Found) -> float:
    return (found.figures.written_mb_per_second or 0) / found.limits.disk.rate


def _percent(share: float) -> str:
    return f"{share:.0%}"


def _pairs(pairs: Sequence[dict[str, Any]]) -> list[str]:
    """A row for each comparison under each load: the runs in their order, and the median of their ratios."""
    keys = list(dict.fromkeys((pair["of"], pair["connections"], pair["in_flight"]) for pair in pairs))
    if not keys:
        return []
    lines = []
    for key in keys:
        runs = [pair for pair in pairs if (pair["of"], pair["connections"], pair["in_flight"]) == key]
        lines.append(_pair_line(key, runs))
    head = (
        "| compared | load | first, msg/s | second, msg/s | second of first, median | CPU, second of first | lost |\n"
        "| --- | --- | --- | --- | ---: | ---: | ---: |"
    )
    return ["\n".join(["**By turns, our servers and our generator, 128 B**\n", head, *lines])]


def _pair_line(key: tuple[str, int, int], runs: Sequence[dict[str, Any]]) -> str:
    first, second = runs[::2], runs[1::2]
    rates = pair_ratios(runs, "msg_per_s")
    cpu = pair_ratios(runs, "cpu_s_per_million")
    names = " against ".join(f"`{one[0]['mode']}`, {one[0]['flush']}" for one in (first, second) if one)
    cells = [
        names,
        f"{key[1]} connections x {key[2]}",
        " · ".join(f"{run['msg_per_s']:,}" for run in first),
        " · ".join(f"{run['msg_per_s']:,}" for run in second),
        f"x {statistics.median(rates):.3g} ({min(rates):.3g} to {max(rates):.3g})" if rates else "",
        f"x {statistics.median(cpu):.3g}" if cpu else "",
        f"{sum(run['lost'] + run['doubled'] for run in runs)}",
    ]
    return f"| {' | '.join(cells)} |"


def pair_ratios(runs: Sequence[dict[str, Any]], figure: str) -> list[float]:
    """Each second run as a multiple of the first ones beside it: of A B A B, B/A and B/A', so that drift cancels."""
    ratios = []
    for at in range(1, len(runs), 2):
        beside = [runs[near][figure] for near in (at - 1, at + 1) if near < len(runs)]
        ratios.append(runs[at][figure] / statistics.mean(beside))
    return ratios


def plot(saved: Saved, folder: Path) -> None:
    """Write the charts, a file each."""
    folder.mkdir(exist_ok=True)
    for row, title, figure, unit in _CHARTS:
        groups = []
        for theirs, mine in _setup_pairs(saved, 1):
            values = tuple(_figure(saved, setup, row, figure) for setup in (mine, theirs))
            named = mine or theirs
            if named is not None and any(values):
                label = f"{named.mode}" if named.mode == "raft" else f"{named.mode}, {named.flush} flush"
                groups.append(Bars(label if named.mode != "raft" else "raft / DLedger", values))
        text = chart(title, unit, ("ours", "Apache 5.5.0"), groups, logarithmic=figure == "p99_ms")
        (folder / f"{row}-{figure.replace('_', '-')}.svg").write_text(text)


def _figure(saved: Saved, setup: Setup | None, row: str, figure: str) -> float | None:
    found = saved.find(setup, row) if setup else None
    value: float | None = getattr(found.figures, figure) if found else None
    return value
