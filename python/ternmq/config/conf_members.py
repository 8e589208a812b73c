"""Who is in the group of a `broker.conf`, and where this one listens."""

from collections.abc import Sequence
from typing import NamedTuple

from ternmq.config.addresses import check_host, is_loopback, is_wildcard, split_address
from ternmq.config.apache_files import Summary, Values
from ternmq.config.names import raft_member_number
from ternmq.config.node import Member
from ternmq.config.rules import MOST_SLAVES, RAFT_SIZES
from ternmq.config.topology import HA_PORT_DISTANCE, Mode
from ternmq.errors import ConfigError

# A single master has no peers; its peers' port is never opened.
NO_PEERS_PORT = 0
_ROLES = ("ASYNC_MASTER", "SYNC_MASTER", "SLAVE")


class Addresses(NamedTuple):
    """Where a replica is.

    Attributes:
        advertise: host that clients are told.
        advertise_key: what said so, with file and line.
        listen: host to listen on.
    """

    advertise: str
    advertise_key: str
    listen: str


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


def raft_members(values: Values, summary: Summary, group: str, port: int) -> tuple[str, tuple[Member, ...]]:
    """Give this member's id, and all members.

    Args:
        values: of the file.
        summary: gets what differs from Apache.
        group: the group's name.
        port: client port, which no peers' port may be.

    Raises:
        ConfigError: keys that are missing, malformed or contradict each other.
    """
    values.required("dLegerPeers", "a Raft group needs its members")
    with values.at("dLegerPeers"):
        members = parse_peers(values.text("dLegerPeers") or "")
    member = values.required("dLegerSelfId", "a Raft member needs its id, for example n0")
    with values.at("dLegerSelfId"):
        raft_member_number(member, "dLegerSelfId")
    names = [peer.id for peer in members]
    if member not in names:
        raise values.error(
            f"dLegerSelfId = {member} is not in dLegerPeers, which has {', '.join(names)}; add it there", "dLegerSelfId"
        )
    if len(names) not in RAFT_SIZES:
        raise values.error(_size_problem(len(names)), "dLegerPeers")
    if len({raft_member_number(name, "dLegerPeers") for name in names}) != len(names):
        raise values.error(
            "two members in dLegerPeers have the same number; their broker ids would be equal", "dLegerPeers"
        )
    peer_port = members[names.index(member)].peer_port
    if peer_port in (port, port - 2):
        raise values.error(
            f"the peers' port {peer_port} in dLegerPeers is also a client port (listenPort {port} and {port - 2});"
            " change one of them",
            "dLegerPeers",
        )
    raft_group = values.text("dLegerGroup")
    if raft_group is not None and raft_group != group:
        summary.notices.append(f"dLegerGroup = {raft_group} differs from brokerName = {group}; the group is {group}")
    if _role(values) == "SLAVE":
        summary.notices.append("brokerRole = SLAVE means nothing in a Raft group: the members elect their master")
    values.integer("brokerId", 0, -1, 1 << 31)
    return member, members


def preferred_leader(values: Values, summary: Summary, members: Sequence[Member]) -> str | None:
    """Give the member to which leadership is handed; of Apache's list of them the first.

    Args:
        values: of the file of a Raft member.
        summary: gets what differs from Apache.
        members: all of them.

    Raises:
        ConfigError: it is no member.
    """
    wanted = [name for name in map(str.strip, (values.text("preferredLeaderId") or "").split(";")) if name]
    known = [member.id for member in members]
    for name in wanted:
        if name not in known:
            raise values.error(
                f"preferredLeaderId = {name} is not in dLegerPeers, which has {', '.join(known)}", "preferredLeaderId"
            )
    if len(wanted) > 1:
        summary.notices.append(f"preferredLeaderId names {len(wanted)} members; leadership is handed to {wanted[0]}")
    return wanted[0] if wanted else None


def _size_problem(count: int) -> str:
    if count == 1:
        return (
            "dLegerPeers has 1 member, and a Raft group has 3 or 5; for a single broker remove enableDLegerCommitLog"
            " and the dLeger keys"
        )
    even = ": an even number survives no more failures than one member less" if count % 2 == 0 else ""
    return f"dLegerPeers has {count} members; a Raft group has 3 or 5{even}"


class ConfGroup(NamedTuple):
    """The group of a file without DLedger.

    Attributes:
        mode: how it replicates.
        member: id of this member.
        members: this member and the places of the others; their hosts are not known.
        open: the others come, or are found, while it runs.
    """

    mode: Mode
    member: str
    members: tuple[Member, ...]
    open: bool


def master_or_slave(values: Values, summary: Summary, port: int) -> ConfGroup:
    """Give the group of a master or a slave: files of this kind say nothing of the other members.

    A master whose file names its role takes slaves, as Apache's does; one that names none is a master alone.

    Args:
        values: of the file.
        summary: gets what differs from Apache.
        port: client port.

    Raises:
        ConfigError: a role and an id that contradict each other, too many slaves, or keys of a Raft group without its
            switch.
    """
    for key in ("dLegerPeers", "dLegerSelfId"):
        if values.text(key) is not None:
            raise values.error(f"{key} is set, but enableDLegerCommitLog is not true; set it, or remove {key}", key)
    role = _role(values)
    number = values.integer("brokerId", 0, -1, 1 << 31)
    host = values.text("brokerIP1") or "127.0.0.1"
    peer_port = values.integer("haListenPort", port + HA_PORT_DISTANCE, 1, 65_535)
    if role != "SLAVE" and number != 0:
        raise values.error(f"brokerId = {number} of a master; a master has brokerId = 0", "brokerId")
    if role != "SLAVE" and values.text("brokerRole") is None:
        return ConfGroup("multi-master", "0", (Member("0", host, NO_PEERS_PORT),), open=False)
    if role != "SLAVE":
        slaves = tuple(Member(f"n{slave}", "", NO_PEERS_PORT) for slave in range(1, MOST_SLAVES + 1))
        if role == "SYNC_MASTER" and values.text("inSyncReplicas") == "1":
            summary.notices.append(
                "brokerRole = SYNC_MASTER means here what it says: a sender waits for a slave. Apache 5 with"
                " inSyncReplicas=1 does not wait; write ASYNC_MASTER for that"
            )
        mode: Mode = "sync-double-write" if role == "SYNC_MASTER" else "async-slave"
        return ConfGroup(mode, "n0", (Member("n0", host, peer_port), *slaves), open=True)
    if not 1 <= number <= MOST_SLAVES:
        raise values.error(f"brokerId = {number} of a slave; slaves have the ids 1 to {MOST_SLAVES}", "brokerId")
    master = Member("n0", "", NO_PEERS_PORT)
    where = values.text("haMasterAddress")
    if where is not None:
        with values.at("haMasterAddress"):
            master = Member("n0", *split_address(where, "haMasterAddress"))
    # Which of the two modes it is, its master says; a slave does the same in both.
    return ConfGroup("async-slave", f"n{number}", (master, Member(f"n{number}", host, peer_port)), open=True)


def _role(values: Values) -> str:
    role = values.text("brokerRole") or "ASYNC_MASTER"
    if role not in _ROLES:
        raise values.error(f"brokerRole = {role} is none of {', '.join(_ROLES)}", "brokerRole")
    return role


def own_addresses(values: Values, members: tuple[Member, ...], own: Member, insecure: bool) -> Addresses:
    """Give the host that clients are told, and the host to listen on.

    Raises:
        ConfigError: neither is one host's name or IP, or clients elsewhere could not reach it.
    """
    key = "brokerIP1" if values.text("brokerIP1") is not None else "dLegerPeers"
    advertise = values.text("brokerIP1") or own.host
    if is_wildcard(advertise):
        raise values.error(f"{key} = {advertise} is a wildcard, to which nobody can connect; name an address", key)
    with values.at(key):
        check_host(advertise, key)
    if is_loopback(advertise) and any(peer.host and not is_loopback(peer.host) for peer in members):
        raise values.error(
            f"brokerIP1 = {advertise} is loopback, but the group has members on other machines; name an address that"
            " clients reach",
            key,
        )
    bound = values.text("bindAddress")
    if bound is not None and not is_wildcard(bound):
        with values.at("bindAddress"):
            check_host(bound, "bindAddress")
    where = values.where(key)
    if bound is not None and not (is_wildcard(bound) and is_loopback(advertise) and not insecure):
        return Addresses(advertise, where, bound)
    listen = advertise if is_loopback(advertise) and is_loopback(own.host) else "0.0.0.0"
    return Addresses(advertise, where, listen)
