"""A group more, or one less, while a local cluster runs: its topology file and its processes."""

from __future__ import annotations

import string
from typing import Any

from ternmq.cluster.blueprint import node_specs, write_topology
from ternmq.cluster.layout import DataDir
from ternmq.cluster.supervisor import Supervisor
from ternmq.config import Topology, load_topology
from ternmq.config.generate import add_group, port_is_free, remove_group
from ternmq.errors import ConfigError, LaunchError


async def start_group(supervisor: Supervisor, name: str | None) -> list[dict[str, Any]]:
    """Lay out one more group and start it; returns when every NameServer that runs shows it with a master.

    Args:
        supervisor: keeps the cluster's nodes.
        name: of the group; the next letter of which there is nothing if None.

    Returns:
        The lines of `ps` of its members.

    Raises:
        LaunchError: the name cannot be used, or the group did not start. The cluster is as it was then.
    """
    data = supervisor.data
    async with supervisor.changing:
        before = load_topology(data.topology)
        name = name or _unused_name(data, before)
        if data.of_group(name).exists():
            raise LaunchError(
                f"{data.of_group(name)} holds the data of a group {name} that was here before",
                "choose another name, or move that folder away",
            )
        try:
            after = add_group(before, name, is_free=lambda port: port_is_free(port) and supervisor.claim(port))
        except ConfigError as error:
            raise LaunchError(str(error)) from error
        specs = [spec for spec in node_specs(after, data) if spec.group == name]
        # Written first: its members read it when they start.
        write_topology(data, after)
        try:
            return await supervisor.add_nodes(specs)
        except BaseException:
            write_topology(data, before)
            raise


async def stop_group(supervisor: Supervisor, name: str) -> list[dict[str, Any]]:
    """Stop a group and take it out of the topology; its files stay.

    Args:
        supervisor: keeps the cluster's nodes.
        name: of the group.

    Returns:
        The lines of `ps` of its members, as they were.

    Raises:
        LaunchError: no such group, or it is the only one.
    """
    async with supervisor.changing:
        try:
            after = remove_group(load_topology(supervisor.data.topology), name)
        except ConfigError as error:
            raise LaunchError(str(error)) from error
        items = [item for item in await supervisor.ps() if item["group"] == name]
        write_topology(supervisor.data, after)
        await supervisor.remove_nodes([item["name"] for item in items])
        return items


def _unused_name(data: DataDir, topology: Topology) -> str:
    taken = {group.name for group in topology.group}
    for letter in string.ascii_lowercase:
        name = f"group-{letter}"
        if name not in taken and not data.of_group(name).exists():
            return name
    raise LaunchError("every name from group-a to group-z is taken or has data here", "name the new group")
