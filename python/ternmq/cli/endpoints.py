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


def expected_replicas(topology: Path | None, endpoints: str | None, data: Path | None) -> dict[str, list[str]] | None:
    """Say which replicas there should be: by the file given, else by that of the local cluster that is asked.

    Args:
        topology: value of ``--topology``.
        endpoints: value of ``--endpoints``.
        data: value of ``--data``.

    Returns:
        Client addresses of the replicas of each group; None where no topology is known.

    Raises:
        ConfigError: the file is wrong.
    """
    from ternmq.config import load_topology
    from ternmq.config.addresses import join_address
    from ternmq.config.rules import advertised_host
    from ternmq.config.topology import member_ports

    if topology is None and not endpoints and (data or not any(map(os.environ.get, VARIABLES))):
        folder = data or local.find_folder()
        topology = folder / "topology.toml" if folder is not None else None
    if topology is None or not topology.exists():
        return None
    return {
        group.name: [
            join_address(advertised_host(group, member), member_ports(group, member).client) for member in group.members
        ]
        for group in load_topology(topology).group
    }


def _of_local_cluster(folder: Path) -> str | None:
    from ternmq.cluster.layout import DataDir
    from ternmq.cluster.state import read_state

    state = read_state(DataDir.at(folder).state)
    if state is None or state.supervisor.find() is None:
        return None
    return ";".join(state.nameservers)
