"""What masters and slaves of Apache's files ask the NameServers before they begin: such a file names no other member.

A slave looks for its master, as by Apache. A master without data asks whether a slave of its group is there: that one
has what the master's disk had, and a master that began anew beside it would lose all of it without a word.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ternmq.config import BrokerConfig
from ternmq.config.addresses import join_address, split_address
from ternmq.config.node import Member
from ternmq.config.topology import HA_PORT_DISTANCE
from ternmq.errors import ConfigError, MQError
from ternmq.protocol.cluster_info import decode_cluster_info
from ternmq.protocol.codes import RequestCode
from ternmq.remoting import Endpoint

_log = logging.getLogger(__name__)

MASTER_ID = 0
_ASK_SECONDS = 1.0
_PAUSE_SECONDS = 1.0
_SAY_EVERY = 10
_FILE = "master.address"
_STATE = "raft.state"

AskGroup = Callable[[], Awaitable[Mapping[int, str]]]
"""Ask the NameServers for the client addresses of the group, by broker id; empty if none shows it."""


async def with_master(config: BrokerConfig, ask: AskGroup) -> BrokerConfig:
    """Fill in where the master is, if the configuration does not say it; hold an empty master back.

    A slave that has found its master once starts without it: it has messages to serve. One that never has waits.

    Args:
        config: of any replica.
        ask: finds the group.

    Returns:
        The configuration, with every member that has to be dialled.

    Raises:
        ConfigError: this is a master without data, and a slave of its group is there.
    """
    master = config.members[0]
    if not config.open:
        return config
    if master.id == config.member:
        await _check_not_emptied(config, ask)
        return config
    if master.host:
        return config
    known = _remembered(config.data / _FILE)
    attempt = 0
    while True:
        shown = (await ask()).get(MASTER_ID)
        if shown is not None:
            host, port = split_address(shown, f"the master of {config.group}")
            # Brokers keep this distance unless haListenPort says otherwise.
            found = Member(master.id, host, port + HA_PORT_DISTANCE)
            _remember(config.data / _FILE, found)
            break
        if known is not None:
            found = replace(known, id=master.id)
            _log.warning(
                "%s: no NameServer shows a master of %s; it was at %s before", config.name, config.group,
                join_address(known.host, known.peer_port),
            )  # fmt: skip
            break
        if attempt % _SAY_EVERY == 0:
            _log.warning("%s waits: no NameServer shows a master of %s yet", config.name, config.group)
        attempt += 1
        await asyncio.sleep(_PAUSE_SECONDS)
    return replace(config, members=(found, *config.members[1:]))


async def _check_not_emptied(config: BrokerConfig, ask: AskGroup) -> None:
    if (config.data / _STATE).exists():
        return
    slaves = {number: address for number, address in (await ask()).items() if number != MASTER_ID}
    if slaves:
        known = ", ".join(f"{number} at {address}" for number, address in sorted(slaves.items()))
        raise ConfigError(
            f"the data directory of {config.name} is empty, and a slave of its group holds its messages ({known}): a"
            " master that began anew would lose them. Put its directory back, or promote the slave"
            f" (`ternmq cluster promote {config.group} MEMBER --force`)"
        )


def asker(endpoint: Endpoint, config: BrokerConfig) -> AskGroup:
    """Make the function that asks the NameServers of a configuration."""

    async def ask() -> Mapping[int, str]:
        for nameserver in config.nameservers:
            try:
                answer = await endpoint.call(nameserver, RequestCode.GET_BROKER_CLUSTER_INFO, timeout=_ASK_SECONDS)
                if answer.code != 0:
                    continue
                group = decode_cluster_info(answer.body).broker_addr_table.get(config.group)
            except MQError:
                continue
            if group is not None and group.cluster == config.cluster:
                return group.broker_addrs
        return {}

    return ask


def _remembered(file: Path) -> Member | None:
    try:
        host, port = split_address(file.read_text().strip(), str(file))
    except (OSError, UnicodeDecodeError, ConfigError):
        return None
    return Member("", host, port)


def _remember(file: Path, master: Member) -> None:
    """It is asked for at every start, and only helps where nobody answers: a failure costs nothing now."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(join_address(master.host, master.peer_port) + "\n")
    except OSError as error:
        _log.warning("cannot remember where the master is: %s", error)
