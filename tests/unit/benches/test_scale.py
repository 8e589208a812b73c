"""What a run over several groups comes to."""

from benches.probes.window import Used
from benches.scale import Load, figures


def test_the_figures_are_sums_over_the_groups_and_the_worst_latencies() -> None:
    load = Load(seconds=2.0, rate=20_000.0, connections=4, in_flight=4_096, body=128)
    lines = [
        {"count": 40_000, "failed": 0, "seconds": 2.0, "p50_ms": 1.5, "p99_ms": 9.0},
        {"count": 39_000, "failed": 3, "seconds": 2.0, "p50_ms": 2.5, "p99_ms": 7.0},
    ]
    read = [
        {"missing": 0, "records": 40_000, "distinct": 40_000},
        {"missing": 1, "records": 39_002, "distinct": 39_000},
    ]
    used = Used(seconds=2.0, server_cpu=0.79, client_cpu=0.2, written_mb_per_second=55.55, busy=0.5)
    found = figures(2, load, lines, used, [40_000, 39_000], read)
    assert (found["groups"], found["loop"], found["msg_per_s"]) == (2, "open", 39_500)
    assert found["msg_per_s_by_master"] == [20_000, 19_500]
    assert (found["failed"], found["lost"], found["doubled"]) == (3, 1, 2)
    assert (found["cpu_s_per_million"], found["p50_ms"], found["p99_ms"]) == (10.0, 2.5, 9.0)
