"""How the demonstration tells its figures."""

from ternmq.cluster.demo.display import sparkline
from ternmq.cluster.demo.meter import Meter
from ternmq.cluster.demo.report import Election, Figures
from ternmq.cluster.demo.verify import Verdict


def _figures() -> Figures:
    meter = Meter()
    meter.acknowledged("key-00", since=1.0, now=1.01)
    meter.phase = "after the master was killed"
    meter.acknowledged("key-00", since=1.01, now=1.5)
    meter.acknowledged("key-01", since=1.4, now=1.45)
    return Figures(
        ready_s=2.5,
        election=Election("group-a", "group-a/n0", "group-a/n1", 3, 0.4567),
        nameservers_killed=["ns1", "ns2"],
        gaps=list(meter.gaps.values()),
        rss_bytes={"ns1": 40_000_000, "group-a/n0": 60_000_000},
        verdict=Verdict(acknowledged=10, delivered=10, duplicates=1),
    )


def test_the_longest_gap_is_kept_with_its_phase_and_its_producer() -> None:
    longest = _figures().longest_gap
    assert (round(longest.seconds, 3), longest.phase, longest.key) == (0.49, "after the master was killed", "key-00")


def test_the_line_of_figures_has_units_in_its_names() -> None:
    item = _figures().item()
    assert item["acknowledged"] == 10
    assert item["lost"] == 0
    assert item["order_held"] is True
    assert item["ready_ms"] == 2500
    assert item["election_ms"] == 457
    assert item["longest_gap_ms"] == 490
    assert item["longest_gap_ms_by_phase"] == {"undisturbed": 10, "after the master was killed": 490}
    assert item["rss_total_bytes"] == 100_000_000


def test_a_person_is_told_the_same() -> None:
    told = "\n".join(_figures().lines())
    assert "group-a/n0 killed: group-a/n1 leads group-a in term 3 after 457 ms" in told
    assert "longest gap a producer saw, after the master was killed: 490 ms" in told
    assert "ns1 40 · group-a/n0 60 · together 100" in told


def test_a_run_that_broke_off_early_still_has_figures() -> None:
    assert Figures().item()["election_ms"] is None
    assert Figures().longest_gap.seconds == 0
    assert Figures().lines()


def test_a_sparkline_scales_to_its_highest_figure() -> None:
    assert sparkline([0, 50, 100]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([]) == ""
