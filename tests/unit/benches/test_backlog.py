"""What a run with a backlog comes to."""

from pathlib import Path

import pytest
from benches.backlog import Shape, _size, figures
from benches.probes import memory_group
from benches.probes.memory_group import MemoryGroup, NoMemoryGroupError

SHAPE = Shape(1_000, 128, 2 << 30, 2_000.0, 20.0, 2, 1, 32, "multi-master", "sync")


def read(**changed: object) -> dict[str, object]:
    return {
        "seconds": 2.0, "bytes": 200_000_000, "pulls": 40, "cold_pulls": 30, "records": 1_000, "doubled": 0, "gaps": 0,
        "covers_producer": True, "brokers_rss": 150_000_000, "brokers_rss_before": 130_000_000, "reader_rss": 9_000_000,
        "group": 2_000_000_000, "busy": 0.71,
    } | changed  # fmt: skip


def line(p99_ms: float) -> dict[str, object]:
    return {"count": 40_000, "failed": 0, "seconds": 20.0, "p50_ms": 1.0, "p99_ms": p99_ms}


def test_latencies_are_compared_by_their_medians_and_reads_one_by_one() -> None:
    filled = {"seconds": 0.5}
    found = figures(SHAPE, filled, [line(2.0), line(4.0)], [line(3.0), line(6.0)], [read(), read(seconds=4.0)])
    assert (found["p99_ratio"], found["fill_msg_per_s"]) == (1.5, 2_000)
    assert (found["read_mb_per_s"], found["read_msg_per_s"]) == ([100.0, 50.0], [500, 250])
    assert (found["missing"], found["doubled"], found["covers_producer"]) == (0, 0, True)
    assert (found["brokers_rss_grew_mb"], found["cold_share_of_pulls"]) == ([20, 20], [0.75, 0.75])


def test_a_message_that_is_missing_or_there_twice_is_counted() -> None:
    reads = [read(records=999), read(records=1_001, doubled=1), read(records=1_000, doubled=1)]
    found = figures(SHAPE, {"seconds": 1.0}, [line(1.0)], [line(1.0)], reads)
    assert (found["missing"], found["doubled"]) == (2, 2)


def test_a_reader_that_ended_before_the_producer_is_said() -> None:
    found = figures(SHAPE, {"seconds": 1.0}, [line(1.0)], [line(1.0)], [read(), read(covers_producer=False)])
    assert not found["covers_producer"]


@pytest.mark.parametrize(("text", "size"), [("2G", 2 << 30), ("512m", 512 << 20), ("1.5K", 1536), ("0", 0)])
def test_sizes_have_units(text: str, size: int) -> None:
    assert _size(text) == size


def test_where_memory_cannot_be_limited_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_group, "MOUNTED", tmp_path / "nothing")
    with pytest.raises(NoMemoryGroupError, match="needs root and the memory controller"):
        MemoryGroup("g", 1 << 30)
