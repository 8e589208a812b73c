"""``ternmq export``: files for what starts nodes elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def export() -> None:
    """Write files from a topology, for what starts nodes on other machines."""


@export.command()
@click.option(
    "--topology", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="The file."
)
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where to write.")
@click.option("--node", "nodes", multiple=True, help="Of this node, such as ns1 or broker-a/n0; else of all.")
@click.option(
    "--topology-there",
    type=click.Path(path_type=Path),
    default=Path("/etc/ternmq/topology.toml"),
    show_default=True,
    help="Where the topology lies on the machines.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path),
    default=Path(sys.executable).with_name("ternmq"),
    show_default="this one",
    help="The command `ternmq` on the machines.",
)
@click.option("--user", default="ternmq", show_default=True, help="As whom the nodes run.")
@click.option("--insecure", is_flag=True, help="Listen beyond loopback although there is no access control yet.")
def systemd(
    topology: Path,
    folder: Path,
    nodes: tuple[str, ...],
    topology_there: Path,
    program: Path,
    user: str,
    insecure: bool,
) -> None:
    """Write a unit file for each node of a topology."""
    from ternmq.cli.failures import USAGE, CommandError
    from ternmq.config import load_topology
    from ternmq.config.systemd import unit, unit_name

    read = load_topology(topology)
    known = read.node_names()
    unknown = next((node for node in nodes if node not in known), None)
    if unknown is not None:
        raise CommandError(f'the topology has no node "{unknown}"', f"it has {', '.join(known)}", code=USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes or known:
        text = unit(read, node, program=program, file=topology_there, user=user, insecure=insecure)
        file = folder / unit_name(node)
        file.write_text(text)
        click.echo(file)
