"""The scheduling policy of brokers, as the kernel tells it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.tern import TernCluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[TernCluster]:
    cluster = TernCluster(tmp_path / "cluster", options=("--mode", "multi-master"))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def _policies(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


def test_every_thread_of_a_broker_is_scheduled_as_its_setting_says(cluster: TernCluster) -> None:
    (broker,) = cluster.brokers
    assert _policies(cluster.identity(broker).pid) == {os.SCHED_BATCH}
    cluster.restart_brokers_with("scheduling", "other")
    assert _policies(cluster.identity(broker).pid) == {os.SCHED_OTHER}
