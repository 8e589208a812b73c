"""Apache's `broker.conf`: an unchanged file of a DLedger-mode or single master broker starts a replica here.

Files are taken, data is not: store folders and peer connections are not shared with Java brokers.
"""

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from ternmq.config.addresses import is_loopback, split_nameservers
from ternmq.config.apache_files import Summary, Values, sort_keys
from ternmq.config.apache_keys import BROKER_KEYS
from ternmq.config.conf_members import (
    ConfGroup,
    master_or_slave,
    own_addresses,
    preferred_leader,
    raft_members,
)
from ternmq.config.names import check_broker_name
from ternmq.config.node import BrokerConfig, check_listening, check_secret, chosen_settings
from ternmq.config.properties import read_properties
from ternmq.config.rules import async_flush
from ternmq.config.settings import BROKER, Flush
from ternmq.config.timing import Profile
from ternmq.config.topology import BROKER_PORT

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


@dataclass(frozen=True)
class BrokerConf:
    """What a `broker.conf` becomes.

    Attributes:
        config: the frozen configuration of one replica.
        summary: what became of each key.
    """

    config: BrokerConfig
    summary: Summary


def read_broker_conf(
    path: Path,
    *,
    nameservers: str | None = None,
    secret: bytes | None = None,
    insecure: bool = False,
    lenient: bool = False,
    keep_flush: bool = False,
    timing: Profile | None = None,
) -> BrokerConf:
    """Read a `broker.conf`.

    Args:
        path: the properties file.
        nameservers: `-n`; wins over the file's namesrvAddr.
        secret: the cluster secret, which such a file cannot say.
        insecure: accept listening beyond loopback.
        lenient: warn of unknown keys instead of refusing them.
        keep_flush: take ASYNC_FLUSH seriously in a Raft group, where Apache ignores it.
        timing: heartbeat and election profile, which such a file cannot say; without it chosen by the cores.

    Raises:
        ConfigError: an unknown key, a key that cannot be honoured, or contradictory keys; each with what to change.
    """
    entries = read_properties(path)
    summary = sort_keys(path, entries, BROKER_KEYS, lenient)
    values = Values(path, entries)
    is_raft = values.boolean("enableDLegerCommitLog", False)
    group, cluster = _names(values, summary, is_raft)
    port = values.integer("listenPort", BROKER_PORT, 3, 65_535)
    if is_raft:
        found = ConfGroup("raft", *raft_members(values, summary, group, port), open=False)
    else:
        found = master_or_slave(values, summary, port)
    member, members = found.member, found.members
    own = next(peer for peer in members if peer.id == member)
    addresses = own_addresses(values, members, own, insecure)
    nodes = _nameservers(values, nameservers)
    if values.text("brokerIP1") is None and not is_raft and not all(map(_is_here, nodes)):
        summary.notices.append(
            f"brokerIP1 is missing: clients are told {addresses.advertise} and must be on this machine, where Apache"
            " takes the machine's address; write brokerIP1 to be reached from elsewhere"
        )
    check_listening(f"{path}: {group}/{member}", [addresses.listen], insecure)
    if not found.open:
        check_secret(f"{path}: {group}/{member}", members, secret)
    neighbours = sum(peer.host == own.host for peer in members)
    settings = chosen_settings(timing, neighbours)
    settings |= {row.name: values.setting(row) for row in BROKER if row.apache is not None}
    settings["flush"] = _flush(values, summary, is_raft, keep_flush)
    config = BrokerConfig(
        cluster=cluster,
        group=group,
        member=member,
        mode=found.mode,
        open=found.open,
        members=members,
        listen_host=addresses.listen,
        port=port,
        fast_port=port - 2,
        peer_host=addresses.listen,
        peer_port=own.peer_port,
        advertise_host=addresses.advertise,
        advertise_key=addresses.advertise_key,
        data=_data_folder(values),
        nameservers=nodes,
        secret=secret,
        insecure=insecure,
        preferred_leader=preferred_leader(values, summary, members) if is_raft else None,
        **settings,
    )
    return BrokerConf(config, summary)


def _names(values: Values, summary: Summary, is_raft: bool) -> tuple[str, str]:
    """Give the names of the group and of the cluster."""
    cluster = values.text("brokerClusterName") or "DefaultCluster"
    group = values.text("brokerName")
    with values.at("brokerClusterName"):
        check_broker_name(cluster, "brokerClusterName")
    if group is None and is_raft:
        raise values.error(
            "brokerName is missing: it names the group, and without it each member would be called after its machine;"
            f" write brokerName={values.text('dLegerGroup') or 'RaftNode00'} into the file of every member"
        )
    if group is None:
        group = socket.gethostname()
        summary.notices.append(f"brokerName is missing: the broker is called {group}, after this machine, as by Apache")
    with values.at("brokerName"):
        check_broker_name(group, "brokerName")
    return group, cluster


def _data_folder(values: Values) -> Path:
    root = _folder(values, "storePathRootDir") or Path(os.environ.get("HOME", "."), "store")
    for key in ("storePathCommitLog", "storePathDLedgerCommitLog"):
        folder = _folder(values, key)
        if folder is not None and not folder.is_relative_to(root):
            raise values.error(
                f"{key} = {folder} lies outside storePathRootDir = {root}, but the log lies below it here; set"
                f" storePathRootDir to the disk that shall hold the log, and remove {key}",
                key,
            )
    return root


def _folder(values: Values, key: str) -> Path | None:
    text = values.text(key)
    if text is None:
        return None
    if _DRIVE.match(text):
        raise values.error(f"{key} = {text} is a path of Windows; write one of this machine", key)
    if "," in text:
        raise values.error(f"{key} = {text} is a list, but the log lies in one folder here; write one", key)
    # Java leaves "~" alone and makes a folder of that name, which is nobody's wish.
    return Path(text.replace("${user.home}", os.environ.get("HOME", "."))).expanduser()


def _is_here(nameserver: str) -> bool:
    return is_loopback(nameserver.rpartition(":")[0].strip("[]"))


def _nameservers(values: Values, option: str | None) -> tuple[str, ...]:
    if option is not None:
        return split_nameservers(option, "-n")
    key = "namesrvAddr"
    text = values.text(key)
    if text is not None:
        with values.at(key):
            return split_nameservers(text, key)
    text = os.environ.get("NAMESRV_ADDR")
    if text is None:
        raise values.error("no NameServer: give -n, or set namesrvAddr to host:port;host:port")
    return split_nameservers(text, "NAMESRV_ADDR")


def _flush(values: Values, summary: Summary, is_raft: bool, keep_flush: bool) -> Flush:
    """Give the promise of an acknowledgement: Apache's default is the lower one, and means nothing in a Raft group."""
    key = "flushDiskType"
    text = values.text(key)
    if text == "SYNC_FLUSH":
        return "sync"
    if is_raft and not (text == "ASYNC_FLUSH" and keep_flush):
        if text == "ASYNC_FLUSH":
            summary.notices.append(
                "flushDiskType = ASYNC_FLUSH does not lower the promise of a Raft group (Apache ignores it there);"
                " --keep-flush insists"
            )
        return "sync"
    what = "flushDiskType is missing, so asynchronous as by Apache" if text is None else f"{key} = {text}"
    summary.notices.append(f"{what}: {async_flush('raft' if is_raft else 'multi-master')}")
    return "async"
