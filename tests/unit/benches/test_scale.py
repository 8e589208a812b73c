"""What a run over several groups comes to."""

from benches.probes.threads import ContextSwitches
from benches.probes.window import Used
from benches.scale import Load, figures


def test_the_figures_are_those_of_all_groups_together_and_each_master_has_its_own_count() -> None:
    load = Load(seconds=2.0, rate=20_000.0, connections=4, in_flight=4_096, body=128)
    line = {"count": 79_000, "failed": 3, "seconds": 2.0, "p50_ms": 2.5, "p99_ms": 9.0}
    read = {"missing": 1, "records": 79_002, "distinct": 79_000}
    used = Used(
        seconds=2.0, server_cpu=0.79, client_cpu=0.2, written_mb_per_second=55.55, syncs=900, segments=9_000, busy=0.5,
        switches=ContextSwitches(),
    )  # fmt: skip
    found = figures(2, load, line, used, [40_000, 39_000], read)
    assert (found["groups"], found["loop"], found["msg_per_s"]) == (2, "open", 39_500)
    assert found["msg_per_s_by_master"] == [20_000, 19_500]
    assert (found["failed"], found["lost"], found["doubled"]) == (3, 1, 2)
    assert (found["cpu_s_per_million"], found["p50_ms"], found["p99_ms"]) == (10.0, 2.5, 9.0)
