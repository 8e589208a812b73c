"""``ternmq run``: one node in the foreground."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from ternmq.config import BrokerConfig, NameServerConfig

_FILE = click.Path(path_type=Path, dir_okay=False)


def _with_node_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show a traceback with an error."),
        click.option("--parent-pid", type=int, hidden=True, help="End when this parent process ends."),
        click.option("--insecure", is_flag=True, help="Listen beyond loopback without access control."),
        click.option("--lenient", is_flag=True, help="Warn of unknown keys in an Apache file; do not stop."),
        click.option("--node", metavar="ID", help="Which node of the topology, such as ns1 or group-a/n0."),
        click.option("--topology", type=_FILE, help="The topology file of the cluster."),
    ):
        command = option(command)
    return command


@click.group()
def run() -> None:
    """Run one node in the foreground; SIGTERM or Ctrl-C drains and ends it."""


@run.command()
@click.option("-c", "conf", type=_FILE, help="An Apache namesrv.conf.")
@_with_node_options
def namesrv(
    conf: Path | None, topology: Path | None, node: str | None, lenient: bool, insecure: bool, parent_pid: int | None
) -> None:
    """Run a NameServer."""
    from ternmq.cli.serving import prepare, serve

    prepare(parent_pid)
    config = _nameserver_config(conf, topology, node, lenient, insecure)
    from ternmq.namesrv import NameServerApp

    # What was imported lives as long as the process. Looking through it again holds the event loop for 20 ms.
    gc.collect()
    gc.freeze()
    serve(lambda: NameServerApp(config))


@run.command()
@click.option("-c", "conf", type=_FILE, help="An Apache broker.conf.")
@click.option("-n", "--nameservers", metavar="HOST:PORT;...", help="NameServers; they win over those of broker.conf.")
@click.option("--secret", metavar="REFERENCE", help="The cluster secret, file:PATH or env:NAME; else TERNMQ_SECRET.")
@click.option("--keep-flush", is_flag=True, help="Take ASYNC_FLUSH of a Raft broker.conf at its word.")
@_with_node_options
def broker(
    conf: Path | None,
    nameservers: str | None,
    secret: str | None,
    keep_flush: bool,
    topology: Path | None,
    node: str | None,
    lenient: bool,
    insecure: bool,
    parent_pid: int | None,
) -> None:
    """Run one replica of a broker group."""
    from ternmq.cli.serving import prepare, serve

    prepare(parent_pid)
    if topology is not None and (nameservers or keep_flush):
        raise click.UsageError("-n and --keep-flush go with -c; a topology says both itself")
    config = _broker_config(conf, topology, node, nameservers, _secret(secret), keep_flush, lenient, insecure)
    from ternmq.broker import BrokerApp
    from ternmq.broker.scheduling import schedule_as

    # Before the first thread: threads inherit it.
    schedule_as(config.scheduling)

    serve(lambda: BrokerApp(config), BrokerApp.failed)


def _nameserver_config(
    conf: Path | None, topology: Path | None, node: str | None, lenient: bool, insecure: bool
) -> NameServerConfig:
    from ternmq.config import load_topology, nameserver_config, read_namesrv_conf

    if _is_conf(conf, topology, node):
        assert conf is not None
        read = read_namesrv_conf(conf, insecure=insecure, lenient=lenient)
        _print_summary(read.summary)
        return read.config
    assert topology is not None
    assert node is not None
    return nameserver_config(load_topology(topology), node, insecure=insecure)


def _broker_config(
    conf: Path | None,
    topology: Path | None,
    node: str | None,
    nameservers: str | None,
    secret: bytes | None,
    keep_flush: bool,
    lenient: bool,
    insecure: bool,
) -> BrokerConfig:
    from ternmq.config import broker_config, load_topology, read_broker_conf
    from ternmq.config.rules import async_flush

    if _is_conf(conf, topology, node):
        assert conf is not None
        read = read_broker_conf(
            conf, nameservers=nameservers, secret=secret, insecure=insecure, lenient=lenient, keep_flush=keep_flush
        )
        _print_summary(read.summary)
        return read.config
    assert topology is not None
    assert node is not None
    config = broker_config(load_topology(topology), node, insecure=insecure, secret=secret)
    if config.flush == "async":
        print(f'note: flush = "async": {async_flush(config.mode)}', file=sys.stderr, flush=True)
    return config


def _is_conf(conf: Path | None, topology: Path | None, node: str | None) -> bool:
    """Tell the two forms apart: an Apache file, or a topology with a node id."""
    if (conf is None) == (topology is None):
        raise click.UsageError("give either --topology FILE --node ID, or -c FILE")
    if (topology is None) != (node is None):
        raise click.UsageError("--topology and --node go together")
    return conf is not None


def _secret(reference: str | None) -> bytes | None:
    import os

    from ternmq.config.secrets import read_secret

    if reference is None and "TERNMQ_SECRET" in os.environ:
        reference = "env:TERNMQ_SECRET"
    return None if reference is None else read_secret(reference, Path.cwd())


def _print_summary(summary: Any) -> None:
    for line in summary.lines():
        print(line, file=sys.stderr, flush=True)
