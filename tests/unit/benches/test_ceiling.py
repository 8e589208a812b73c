"""What a message's syncs and round trips cost raw."""

import pytest
from benches.ceiling import Ceiling
from benches.figures import OURS, Figures
from benches.probes.disk import LARGE, SMALL, RawDisk
from benches.probes.loopback import RawLoopback
from benches.report import markdown

DISK = RawDisk(10_000, 500, 2_000, 900, cpu_us_4k=30, cpu_us_64k=60)
LOOPBACK = RawLoopback(20_000, 60_000, cpu_us_one=15, cpu_us_many=10)
ROW = Figures(
    "load-1", OURS, count=1_000, seconds=2, server_cpu_per_million=180, client_cpu_us=20,
    written_mb_per_second=6 * SMALL / 1e6 * 1_000 / 2, syncs=3, round_trips=2,
)  # fmt: skip


def test_a_sync_costs_what_its_bytes_cost_and_never_less_than_a_block() -> None:
    assert [DISK.sync_cpu_us(written) for written in (0, SMALL, LARGE, 2 * LARGE - SMALL)] == [30, 30, 60, 90]


def test_the_share_is_of_the_cpu_of_servers_and_load_together() -> None:
    ceiling = Ceiling.of(ROW, DISK, LOOPBACK)
    assert ceiling is not None
    assert ceiling.sync_bytes == pytest.approx(2 * SMALL)
    assert ceiling.disk_us == pytest.approx(3 * (30 + 30 / 15))
    assert ceiling.loopback_us == 20
    assert ceiling.share == pytest.approx((3 * 32 + 20) / 200)


def test_a_row_that_counted_neither_syncs_nor_round_trips_has_no_ceiling() -> None:
    assert Ceiling.of(Figures("load-1", OURS, count=1, server_cpu_per_million=1), DISK, LOOPBACK) is None


def test_the_table_of_raw_costs_stands_where_both_were_measured() -> None:
    assert "| 3.000 | 8,192 | 2.000 | 96.00 | 20.00 | 58% |" in markdown([ROW], DISK, LOOPBACK)
    assert "58%" not in markdown([ROW], DISK)
