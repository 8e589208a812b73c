"""Stops a cluster from another process, and tidies up where its supervisor has died."""

from __future__ import annotations

import time

from ternmq.cluster import requests
from ternmq.cluster.control import Report, ask
from ternmq.cluster.layout import DataDir
from ternmq.cluster.leftovers import clear_leftovers
from ternmq.cluster.locking import folder_lock, is_locked
from ternmq.errors import LaunchError, NotRunningError

_GONE_WITHIN_S = 10.0


def stop_cluster(data: DataDir, report: Report) -> None:
    """Stop what runs in a folder; return when its supervisor has gone too.

    Args:
        data: the cluster's folder.
        report: receives progress.

    Raises:
        NotRunningError: there is no cluster in this folder.
        LaunchError: its supervisor does not answer.
    """
    try:
        ask(data.control, {"command": requests.STOP}, report=report)
    except NotRunningError:
        if not data.topology.exists():
            raise
        _tidy_up(data, report)
        return
    _wait_until_gone(data)
    report("stopped")


def _tidy_up(data: DataDir, report: Report) -> None:
    with folder_lock(data):
        findings = clear_leftovers(data)
    for finding in findings or [f"nothing runs in {data.root}"]:
        report(finding)


def _wait_until_gone(data: DataDir) -> None:
    deadline = time.monotonic() + _GONE_WITHIN_S
    while is_locked(data):
        if time.monotonic() > deadline:
            raise LaunchError(
                f"all nodes in {data.root} have stopped, but not their supervisor", f"read {data.log('supervisor')}"
            )
        time.sleep(0.02)
