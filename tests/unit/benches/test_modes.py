"""What a comparison of the modes puts together: clusters, lines of a file, tables, charts."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from benches import saved
from benches.figures import APACHE, OURS, Figures
from benches.modes_report import markdown, pair_ratios, plot
from benches.plots import Bars, chart
from benches.probes.disk import RawDisk
from benches.probes.loopback import RawLoopback
from benches.rows.modes import is_warm
from benches.setups import FLUSHES, MODES, SIDES, Setup, setups

LIMITS = saved.Limits(RawDisk(1_000, 200, 400, 100), RawLoopback(10_000, 40_000), "Measured by `x` at commit 0123456")
MINE, THEIRS = Setup("async-slave", OURS, "sync"), Setup("async-slave", APACHE, "sync")


def rated(row: str, side: str, rate: float) -> Figures:
    return Figures(
        row, side, count=100, per_second=rate, p50_ms=1.0, p99_ms=2.0, server_cpu_per_million=rate / 10,
        busy=0.5, written_mb_per_second=100.0,
    )  # fmt: skip


def file_of(folder: Path, *lines: str) -> Path:
    file = folder / "lines"
    file.write_text("\n".join(lines))
    return file


def test_every_mode_has_each_flush_on_both_sides_and_raft_the_one_that_it_has() -> None:
    every = setups(MODES, SIDES, FLUSHES, 1)
    assert len(every) == len(set(every)) == 14
    assert [(one.side, one.flush) for one in every if one.mode == "raft"] == [(OURS, "sync"), (APACHE, "async")]


def test_each_cluster_says_what_an_acknowledgement_means_and_both_say_the_same_where_they_promise_the_same() -> None:
    promises = {(one.mode, one.flush, one.side): one.promise for one in setups(MODES, SIDES, FLUSHES, 1)}
    assert all(promises.values())
    for mode, flush in (("multi-master", "sync"), ("async-slave", "async"), ("sync-double-write", "async")):
        assert promises[mode, flush, OURS] == promises[mode, flush, APACHE]  # type: ignore[index]
    assert promises["sync-double-write", "sync", OURS] != promises["sync-double-write", "sync", APACHE]


def test_lines_that_runs_left_are_what_they_measured_and_a_later_run_of_a_row_counts(tmp_path: Path) -> None:
    lines = [saved.figures_line(MINE, rated("java-sync", OURS, rate)) for rate in (1.0, 2.0)]
    held = saved.load(
        [file_of(tmp_path, saved.limits_line(LIMITS), *lines, saved.failed_line("no"), saved.pair_line({"of": "a"}))]
    )
    assert held.found == [saved.Found(MINE, rated("java-sync", OURS, 2.0), LIMITS)]
    assert (held.failed, held.pairs, held.stamps) == (["no"], [{"of": "a"}], [LIMITS.stamp])
    with pytest.raises(ValueError, match="before the limits"):
        saved.load([file_of(tmp_path, lines[0])])


def test_ours_stands_below_apaches_at_the_same_setting_with_promise_and_ratio(tmp_path: Path) -> None:
    rows = [
        saved.figures_line(MINE, rated("java-sync", OURS, 300)),
        saved.figures_line(THEIRS, rated("java-sync", APACHE, 100)),
    ]
    other = saved.figures_line(Setup("async-slave", OURS, "async"), rated("java-sync", OURS, 900))
    held = saved.load([file_of(tmp_path, saved.limits_line(LIMITS), *rows, other)])
    lines = [line for line in markdown(held).splitlines() if line.startswith("|")][2:6]
    assert [line.split("|")[2].strip() for line in lines] == ["Apache, ASYNC_MASTER, SLAVE", "ours", "ratio", "ours"]
    assert "on the master's disk" in lines[0]
    assert "on the master's disk" in lines[1]
    assert "| x 3 | x 1 / x 1 | x 3 |" in lines[2]
    assert "in the master's page cache" in lines[3]
    plot(held, tmp_path / "plots")
    drawn = ElementTree.parse(tmp_path / "plots" / "java-sync-per-second.svg")
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}rect"))) == 1 + 2 + 3


def test_a_row_whose_sends_failed_says_so_and_is_compared_with_nothing(tmp_path: Path) -> None:
    theirs = rated("java-sync", APACHE, 100)
    theirs.others["MQClientException -1"] = 1_598
    rows = [saved.figures_line(MINE, rated("java-sync", OURS, 300)), saved.figures_line(THEIRS, theirs)]
    text = markdown(saved.load([file_of(tmp_path, saved.limits_line(LIMITS), *rows)]))
    assert "| on the master's disk; 1,598 MQClientException -1 |" in text
    assert "| ratio |" not in text


def test_servers_are_warm_when_two_rounds_are_hardly_faster_than_the_best_one_before() -> None:
    assert not is_warm([])
    assert not is_warm([100.0, 100.0])
    assert is_warm([100.0, 100.0, 105.0])
    assert not is_warm([100.0, 105.0, 150.0])
    assert is_warm([100.0, 150.0, 140.0, 155.0])


def test_the_shares_are_of_the_limits_of_the_same_run(tmp_path: Path) -> None:
    other = saved.Limits(RawDisk(1, 1, 1, 1), RawLoopback(1, 1), LIMITS.stamp)
    rows = [
        saved.figures_line(MINE, rated(row, OURS, rate)) for row, rate in (("load-1", 500.0), ("load-32", 10_000.0))
    ]
    held = saved.load([file_of(tmp_path, *map(saved.limits_line, (other, LIMITS)), *rows, saved.limits_line(other))])
    assert "| `async-slave`, sync | 50% | 5% | 25% |" in markdown(held)


def test_what_is_missing_and_what_could_not_be_measured_is_in_the_tables(tmp_path: Path) -> None:
    missing = Figures("java-sync", OURS, count=100, missing=3)
    held = saved.load(
        [file_of(tmp_path, saved.limits_line(LIMITS), saved.figures_line(MINE, missing), saved.failed_line("it broke"))]
    )
    assert "| 100 | 3 | 0 |" in markdown(held)
    assert "- Could not be measured: it broke" in markdown(held)


def test_what_others_took_of_the_cores_is_what_neither_servers_nor_load_used() -> None:
    # Of 2 cores x 10 s, 80 % were busy; a million messages cost 10 s and 2 s.
    figures = Figures(
        "java-sync", OURS, count=1_000_000, seconds=10.0, server_cpu_per_million=10.0, client_cpu_us=2.0, busy=0.8
    )
    assert figures.share_of_others(2) == pytest.approx(0.2)
    assert Figures("memory", OURS, value=1.0).share_of_others(2) is None


def test_a_run_is_compared_with_the_ones_on_both_sides_so_that_drift_cancels() -> None:
    runs = [{"msg_per_s": rate} for rate in (100, 110, 120, 130)]
    assert pair_ratios(runs, "msg_per_s") == [110 / 110, 130 / 120]


def test_bars_begin_at_zero_or_at_a_power_of_ten_and_the_largest_is_the_longest() -> None:
    def widths(*, logarithmic: bool) -> list[float]:
        text = chart("t", "ms", ("a", "b"), [Bars("x < y", (10.0, 1000.0))], logarithmic=logarithmic)
        rects = ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}rect")
        return [float(rect.attrib["width"]) for rect in rects][3:]

    small, large = widths(logarithmic=False)
    assert small == pytest.approx(large / 100)
    assert widths(logarithmic=True) == [1.0, large]
