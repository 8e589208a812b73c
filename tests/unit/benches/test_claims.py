from benches.catalogue import RATED
from benches.claims import Claim, bound, verdict
from benches.figures import APACHE, OURS, Figures

RATE = Claim("msg/s", 50, 100, at_least=True)
CPU_MET, CPU_MISSED = Claim("server CPU", 5, 10), Claim("server CPU", 20, 10)


def test_a_row_within_all_bounds_is_met() -> None:
    assert verdict([Claim("msg/s", 100, 100, at_least=True), CPU_MET], None) == "met"


def test_a_slow_row_on_an_idle_machine_is_missed_whatever_its_cpu() -> None:
    assert verdict([RATE, CPU_MET], None).startswith("missed (msg/s 50")


def test_the_cpu_column_decides_a_row_that_the_machine_bounds() -> None:
    assert verdict([RATE, CPU_MET], "cores busy").startswith("met by CPU: cores busy")
    assert verdict([RATE, CPU_MISSED], "cores busy").startswith("missed: cores busy")


def test_a_bound_machine_excuses_no_latency() -> None:
    late = Claim("p99", 60, 50)
    assert verdict([RATE, late, CPU_MET], "cores busy").startswith("missed: cores busy (msg/s 50, not ≥ 100; p99 60")


def test_a_row_is_judged_by_the_bounds_of_its_own_latencies() -> None:
    ours = Figures("load-5x20k", OURS, per_second=99_000, server_cpu_per_million=12, p99_ms=51)
    claims = RATED[ours.row].claims(ours, None)
    assert [str(claim) for claim in claims if not claim.holds] == ["p99 51, not ≤ 50"]


def test_a_bound_machine_excuses_no_row_without_a_cpu_column() -> None:
    assert verdict([RATE], "cores busy").startswith("missed: cores busy")


def test_cores_and_disk_bound_a_row_from_their_shares_on() -> None:
    assert bound(0.96, 10, 100) == "cores busy"
    assert bound(0.5, 90, 100) == "disk at its raw rate"
    assert bound(0.5, 10, 100) is None
    assert bound(0.5, 10, None) is None


def test_a_java_row_is_judged_by_apaches_figures_of_the_same_run_and_else_by_quoted_ones() -> None:
    row = RATED["java-sync"]
    ours = Figures(row.name, OURS, per_second=6_000, server_cpu_per_million=90)
    apache = Figures(row.name, APACHE, per_second=1_000, server_cpu_per_million=900)
    assert [claim.figure for claim in row.claims(ours, apache)] == [6.0, 0.1]
    assert [claim.figure for claim in row.claims(ours, None)] == [6_000 / 3_600, 90 / 380]
