"""Apache's `broker.conf`: an unchanged file of a DLedger-mode or single master broker starts a replica here.

Files are taken, data is not: store folders and peer connections are not shared with Java brokers.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ternmq.config.addresses import is_loopback, is_wildcard, split_address, split_nameservers
from ternmq.config.apache_files import Summary, Values, sort_keys
from ternmq.config.apache_keys import BROKER_KEYS
from ternmq.config.names import check_broker_name, raft_member_number
from ternmq.config.node import BrokerConfig, Member, check_listening, check_secret
from ternmq.config.properties import read_properties
from ternmq.config.rules import MAX_MESSAGE_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, RAFT_SIZES
from ternmq.config.timing import PROFILES, Profile, profile_for, usable_cores, worker_threads
from ternmq.config.topology import MAX_TABLE
from ternmq.errors import ConfigError

DEFAULT_PORT = 10_911
# A single master has no peers; its peers' port is never opened.
NO_PEERS_PORT = 0


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
    group = values.required("brokerName", "it names the group")
    cluster = values.text("brokerClusterName") or "DefaultCluster"
    check_broker_name(group, "brokerName")
    check_broker_name(cluster, "brokerClusterName")
    port = values.integer("listenPort", DEFAULT_PORT, 3, 65_535)
    is_raft = values.boolean("enableDLegerCommitLog", False)
    if is_raft:
        member, members = _raft_members(values, summary, group)
    else:
        member, members = _single_master(values, group)
    own = next(peer for peer in members if peer.id == member)
    _refuse_port_clash(values, port, own.peer_port)
    advertise, listen = _addresses(values, members, own, insecure)
    check_listening(f"{group}/{member}", [listen], insecure)
    check_secret(f"{group}/{member}", members, secret)
    neighbours = sum(peer.host == own.host for peer in members)
    times = PROFILES[timing or profile_for(neighbours, usable_cores())]
    config = BrokerConfig(
        cluster=cluster,
        group=group,
        member=member,
        mode="raft" if is_raft else "multi-master",
        members=members,
        listen_host=listen,
        port=port,
        fast_port=port - 2,
        peer_host=listen,
        peer_port=own.peer_port,
        advertise_host=advertise,
        data=_data_folder(values),
        nameservers=_nameservers(values, nameservers),
        secret=secret,
        flush=_flush(values, summary, is_raft, keep_flush),
        heartbeat_ms=times.heartbeat_ms,
        election_min_ms=times.election_min_ms,
        election_max_ms=times.election_max_ms,
        segment_size_bytes=values.integer("mappedFileSizeCommitLog", 1 << 30, MIN_SEGMENT_BYTES, MAX_SEGMENT_BYTES),
        auto_create_topic=values.boolean("autoCreateTopicEnable", True),
        default_topic_queues=values.integer("defaultTopicQueueNums", 8, 1, 1024),
        auto_create_group=values.boolean("autoCreateSubscriptionGroup", True),
        max_message_bytes=values.integer("maxMessageSize", 4 << 20, 1, MAX_MESSAGE_BYTES),
        max_topics=values.integer("maxTopicNums", 20_000, 1, MAX_TABLE),
        max_groups=values.integer("maxSubscriptionGroupNums", 20_000, 1, MAX_TABLE),
        slave_read=values.boolean("slaveReadEnable", True),
        workers=worker_threads(neighbours, usable_cores()),
        insecure=insecure,
    )
    return BrokerConf(config, summary)


def parse_peers(text: str, key: str = "dLegerPeers") -> tuple[Member, ...]:
    """Split "n0-host:40911;n1-host:40912".

    Each is split at the first "-": host names may contain more of them (Apache splits at every one and fails).

    Raises:
        ConfigError: an entry of another form, an id that is not a letter and a number, or an id given twice.
    """
    members: list[Member] = []
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        member, dash, address = entry.partition("-")
        if not dash or not address:
            raise ConfigError(f'{key} has "{entry}", which is not id-host:port, for example "n0-10.0.0.1:40911"')
        raft_member_number(member, f"member id in {key}")
        host, port = split_address(address, f"{member} in {key}")
        if any(known.id == member for known in members):
            raise ConfigError(f"{key} names {member} twice; give each member its own id")
        members.append(Member(member, host, port))
    return tuple(members)


def _raft_members(values: Values, summary: Summary, group: str) -> tuple[str, tuple[Member, ...]]:
    members = parse_peers(values.required("dLegerPeers", "a Raft group needs its members"))
    member = values.required("dLegerSelfId", "a Raft member needs its id, for example n0")
    raft_member_number(member, "dLegerSelfId")
    names = [peer.id for peer in members]
    if member not in names:
        raise values.error(f"dLegerSelfId = {member} is not in dLegerPeers, which has {', '.join(names)}; add it there")
    if len(names) not in RAFT_SIZES:
        raise values.error(f"dLegerPeers has {len(names)} members; a Raft group has 3 or 5")
    if len({raft_member_number(name, "dLegerPeers") for name in names}) != len(names):
        raise values.error("two members in dLegerPeers have the same number; their broker ids would be equal")
    raft_group = values.text("dLegerGroup")
    if raft_group is not None and raft_group != group:
        summary.notices.append(f"dLegerGroup = {raft_group} differs from brokerName = {group}; the group is {group}")
    if values.text("brokerRole") == "SLAVE":
        summary.notices.append("brokerRole = SLAVE means nothing in a Raft group: the members elect their master")
    return member, members


def _single_master(values: Values, group: str) -> tuple[str, tuple[Member, ...]]:
    role = values.text("brokerRole") or "ASYNC_MASTER"
    if role != "ASYNC_MASTER":
        raise values.error(
            f"brokerRole = {role}: master/slave groups are not there yet; use a Raft group"
            " (enableDLegerCommitLog=true, dLegerGroup, dLegerPeers, dLegerSelfId) or a single ASYNC_MASTER"
        )
    number = values.integer("brokerId", 0, -1, 1 << 31)
    if number != 0:
        raise values.error(f"brokerId = {number} in a group without a master; a single master has brokerId = 0")
    for key in ("dLegerPeers", "dLegerSelfId"):
        if values.text(key) is not None:
            raise values.error(f"{key} is set, but enableDLegerCommitLog is not true; set it, or remove {key}")
    return "0", (Member("0", values.text("brokerIP1") or "127.0.0.1", NO_PEERS_PORT),)


def _refuse_port_clash(values: Values, port: int, peer_port: int) -> None:
    if peer_port in (port, port - 2):
        raise values.error(
            f"the peers' port {peer_port} in dLegerPeers is also a client port (listenPort {port} and {port - 2});"
            " change one of them"
        )


def _addresses(values: Values, members: tuple[Member, ...], own: Member, insecure: bool) -> tuple[str, str]:
    """Give the host that clients are told, and the host to listen on."""
    advertise = values.text("brokerIP1") or own.host
    if is_wildcard(advertise):
        raise values.error(f"brokerIP1 = {advertise} is a wildcard, to which nobody can connect; name an address")
    if is_loopback(advertise) and any(not is_loopback(peer.host) for peer in members):
        raise values.error(
            f"brokerIP1 = {advertise} is loopback, but the group has members on other machines; name an address that"
            " clients reach"
        )
    bound = values.text("bindAddress")
    if bound is not None and not (is_wildcard(bound) and is_loopback(advertise) and not insecure):
        return advertise, bound
    return advertise, advertise if is_loopback(advertise) and is_loopback(own.host) else "0.0.0.0"


def _data_folder(values: Values) -> Path:
    home = Path(os.environ.get("HOME", "."))
    root = Path((values.text("storePathRootDir") or str(home / "store")).replace("${user.home}", str(home)))
    for key in ("storePathCommitLog", "storePathDLedgerCommitLog"):
        folder = values.text(key)
        if folder is not None and not Path(folder.replace("${user.home}", str(home))).is_relative_to(root):
            raise values.error(
                f"{key} = {folder} lies outside storePathRootDir = {root}, but the log lies below it here; set"
                f" storePathRootDir to the disk that shall hold the log, and remove {key}"
            )
    return root


def _nameservers(values: Values, option: str | None) -> tuple[str, ...]:
    if option is not None:
        return split_nameservers(option, "-n")
    text = values.text("namesrvAddr") or os.environ.get("NAMESRV_ADDR")
    if text is None:
        raise values.error("no NameServer: give -n, or set namesrvAddr to host:port;host:port")
    return split_nameservers(text, "namesrvAddr")


def _flush(values: Values, summary: Summary, is_raft: bool, keep_flush: bool) -> Literal["sync", "async"]:
    text = values.text("flushDiskType")
    if text not in {None, "SYNC_FLUSH", "ASYNC_FLUSH"}:
        raise values.error(f"flushDiskType = {text} is neither SYNC_FLUSH nor ASYNC_FLUSH")
    if text == "SYNC_FLUSH" or (is_raft and not (text == "ASYNC_FLUSH" and keep_flush)):
        if is_raft and text == "ASYNC_FLUSH":
            summary.notices.append(
                "flushDiskType = ASYNC_FLUSH does not lower the promise of a Raft group (Apache ignores it there);"
                " --keep-flush insists"
            )
        return "sync"
    summary.notices.append(
        "flush is asynchronous: messages acknowledged in the last moments may be lost on a power cut;"
        " flushDiskType = SYNC_FLUSH prevents it"
    )
    return "async"
