"""Which NameServers a command talks to."""

from __future__ import annotations

import os
from pathlib import Path

from ternmq import local
from ternmq.cli.failures import USAGE, CommandError

VARIABLES = ("TERNMQ_ENDPOINTS", "NAMESRV_ADDR")


def find_endpoints(endpoints: str | None, data: Path | None) -> str:
    """Choose NameServers: the option, the folder given, the environment, the local cluster here or above.

    Args:
        endpoints: value of ``--endpoints``.
        data: value of ``--data``.

    Returns:
        Addresses separated by semicolons.

    Raises:
        CommandError: none are known.
    """
    if endpoints and data is not None:
        raise CommandError("--endpoints and --data exclude each other", "give one of them", code=USAGE)
    if endpoints:
        return endpoints
    if data is not None:
        found = _of_local_cluster(data)
        if found is None:
            raise CommandError(f"no cluster runs in {data}", f"start one with `ternmq up --data {data}`")
        return found
    for variable in VARIABLES:
        if os.environ.get(variable):
            return os.environ[variable]
    folder = local.find_folder()
    found = None if folder is None else _of_local_cluster(folder)
    if found is None:
        raise CommandError(
            "no NameServer is known",
            "give --endpoints host:9876, set TERNMQ_ENDPOINTS, or start a local cluster with `ternmq up`",
            code=USAGE,
        )
    return found


def _of_local_cluster(folder: Path) -> str | None:
    from ternmq.cluster.layout import DataDir
    from ternmq.cluster.state import read_state

    state = read_state(DataDir.at(folder).state)
    if state is None or state.supervisor.find() is None:
        return None
    return ";".join(state.nameservers)
