"""The tables at the end, as Markdown: Apache's figures and ours, their ratio, and what is to be said of each row."""

from collections.abc import Sequence

from benches.catalogue import RATED, SINGLE, Single
from benches.ceiling import Ceiling
from benches.claims import bound, short, verdict
from benches.figures import APACHE, OURS, Figures
from benches.probes.disk import RawDisk
from benches.probes.loopback import RawLoopback

_RATED_HEAD = (
    "| row | servers | msg/s | p50 / p99 ms | server CPU-s per million | waits / preempted | client CPU us | cores busy"
    " | disk MB/s | verdict |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
)
_CEILING_HEAD = (
    "| row | syncs | bytes a sync | round trips | raw syncs, us | raw round trips, us | of a message's CPU |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)
_SINGLE_HEAD = "| row | Apache DLedger | ours | must be | verdict |\n| --- | ---: | ---: | ---: | --- |"


def markdown(results: Sequence[Figures], raw: RawDisk | None, loopback: RawLoopback | None = None) -> str:
    """All tables of a run; what a message costs raw is told where disk and loopback were measured."""
    rated = [line for name in RATED for line in _rated(name, results, raw)]
    single = [line for row in SINGLE.values() for line in _single(row, results)]
    parts = []
    if rated:
        parts.append("\n".join([_RATED_HEAD, *rated]))
    if single:
        parts.append("\n".join([_SINGLE_HEAD, *single]))
    if raw is not None and loopback is not None:
        parts += _ceilings(results, raw, loopback)
    for text in [str(probe) for probe in (raw, loopback) if probe is not None]:
        parts.append(f"{text[0].upper()}{text[1:]}.")
    parts += [f"`{figures.row}`, {figures.side}: {figures.note}" for figures in results if figures.note]
    return "\n\n".join(parts)


def _ceilings(results: Sequence[Figures], raw: RawDisk, loopback: RawLoopback) -> list[str]:
    lines = []
    for name in RATED:
        figures = find(results, name, OURS)
        ceiling = None if figures is None else Ceiling.of(figures, raw, loopback)
        if figures is not None and ceiling is not None:
            lines.append(
                f"| {RATED[name].title} | {figures.syncs or 0:.3f} | {ceiling.sync_bytes:,.0f}"
                f" | {figures.round_trips or 0:.3f} | {ceiling.disk_us:.2f} | {ceiling.loopback_us:.2f}"
                f" | {ceiling.share:.0%} |"
            )
    return ["\n".join([_CEILING_HEAD, *lines])] if lines else []


def find(results: Sequence[Figures], row: str, side: str) -> Figures | None:
    """The figures of a row on one side."""
    return next((figures for figures in results if (figures.row, figures.side) == (row, side)), None)


def judge(ours: Figures, apache: Figures | None, raw: RawDisk | None) -> str:
    """The verdict on a row of ours."""
    if not ours.is_whole:
        return f"WRONG: {ours.missing} acknowledged messages missing, {ours.doubled} doubled"
    if ours.row in RATED:
        by = bound(ours.busy, ours.written_mb_per_second, raw.rate if raw else None)
        return verdict(RATED[ours.row].claims(ours, apache), by)
    return verdict(SINGLE[ours.row].claims(ours), None)


def _rated(name: str, results: Sequence[Figures], raw: RawDisk | None) -> list[str]:
    apache, ours = find(results, name, APACHE), find(results, name, OURS)
    lines = []
    for figures, label in ((apache, "Apache DLedger"), (ours, "ours")):
        if figures is not None:
            said = "" if figures is apache else judge(figures, apache, raw)
            lines.append(f"| {RATED[name].title} | {label} | {_columns(figures)} | {said} |")
    if apache is not None and ours is not None:
        ratios = [
            _ratio(ours.per_second, apache.per_second),
            " / ".join(filter(None, [_ratio(ours.p50_ms, apache.p50_ms), _ratio(ours.p99_ms, apache.p99_ms)])),
            _ratio(ours.server_cpu_per_million, apache.server_cpu_per_million),
            " / ".join(filter(None, [_ratio(ours.waits, apache.waits), _ratio(ours.preempted, apache.preempted)])),
            _ratio(ours.client_cpu_us, apache.client_cpu_us),
        ]
        lines.append(f"| | ratio | {' | '.join(ratios)} | | | |")
    return lines


def _columns(figures: Figures) -> str:
    latency = "" if figures.p50_ms is None else f"{figures.p50_ms:.2f} / {figures.p99_ms or 0:.1f}"
    columns = [
        f"{figures.per_second or 0:,.0f}",
        latency,
        f"{figures.server_cpu_per_million or 0:,.1f}",
        f"{figures.waits or 0:.2f} / {figures.preempted or 0:.2f}",
        f"{figures.client_cpu_us or 0:,.1f}",
        f"{figures.busy or 0:.0%}",
        f"{figures.written_mb_per_second or 0:,.0f}",
    ]
    return " | ".join(columns)


def _ratio(ours: float | None, theirs: float | None) -> str:
    return "" if not ours or not theirs else f"x {ours / theirs:.3g}"


def _single(row: Single, results: Sequence[Figures]) -> list[str]:
    apache, ours = find(results, row.name, APACHE), find(results, row.name, OURS)
    if ours is None and apache is None:
        return []
    said = "" if ours is None else judge(ours, apache, None)
    return [f"| {row.title} | {_value(row, apache)} | {_value(row, ours)} | {_bounds(row)} | {said} |"]


def _value(row: Single, figures: Figures | None) -> str:
    if figures is None:
        return ""
    if figures.worst is None:
        return f"{short(figures.value or 0)} {row.unit}"
    return f"median {short(figures.value or 0)}, worst {short(figures.worst)} {row.unit} of {figures.count}"


def _bounds(row: Single) -> str:
    bounds = [] if row.most is None else [f"<= {row.most:g}"]
    bounds += [] if row.worst is None else [f"worst <= {row.worst:g}"]
    return ", ".join(bounds)
