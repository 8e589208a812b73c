"""Rules between the fields of a topology: each is a known foot-gun, and each refusal says what to change."""

from collections.abc import Iterator

from ternmq.config.addresses import is_loopback, is_wildcard, split_address
from ternmq.config.names import check_broker_name, check_node_name, raft_member_number
from ternmq.config.settings import BROKER
from ternmq.config.topology import SLAVE_MODES, GroupSection, MemberSection, Mode, Topology, member_ports
from ternmq.errors import ConfigError

RAFT_SIZES = (3, 5)
MOST_SLAVES = 4
# What is so, in words for every start that asks for it.
ASYNC_FLUSH = (
    "an acknowledged message may be lost when the power goes within half a second; the death of the process takes none"
)
ASYNC_FLUSH_IN_RAFT = (
    "a Raft group does not flush asynchronously, and every acknowledgement waits for the disks of a majority"
)


def check_topology(topology: Topology) -> None:
    """Check every rule.

    Raises:
        ConfigError: the first rule that is broken.
    """
    check_broker_name(topology.cluster.name, "cluster.name")
    _check_sizes(topology)
    _check_nameservers(topology)
    _check_unique("group", [group.name for group in topology.group])
    for group in topology.group:
        _check_group(group)
    _check_loopback_beside_remote(topology)
    _check_ports(topology)
    _check_advertised(topology)


def _check_unique(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'two of [[{kind}]] are called "{name}"; give each its own name')


def _check_sizes(topology: Topology) -> None:
    for row in BROKER:
        if row.kind == "size":
            key = f"defaults.{row.key}"
            size = int(row.from_topology(getattr(topology.defaults, row.key)))
            if row.least is not None and size < row.least:
                raise ConfigError(f"{key} is {size} bytes; it must be at least {row.least}")
            if row.most is not None and size > row.most:
                raise ConfigError(f"{key} is {size} bytes; it must be at most {row.most}")


def _check_nameservers(topology: Topology) -> None:
    if not topology.nameserver:
        raise ConfigError("the topology has no [[nameserver]]; brokers and clients need at least one, better three")
    _check_unique("nameserver", [server.id for server in topology.nameserver])
    for server in topology.nameserver:
        check_node_name(server.id, "nameserver.id")
        host, _ = split_address(server.listen, f"listen of {server.id}")
        if is_wildcard(host):
            raise ConfigError(
                f'listen = "{server.listen}" of {server.id} is a wildcard, to which nobody can connect;'
                " name the address that brokers and clients use"
            )


def _check_group(group: GroupSection) -> None:
    check_broker_name(group.name, "group.name")
    names = [member.id for member in group.members]
    for name in names:
        check_node_name(name, f"member id in group {group.name}")
        if names.count(name) > 1:
            raise ConfigError(f'two members of group {group.name} are called "{name}"; give each its own id')
    _check_preferred_leader(group)
    if group.mode == "raft":
        _check_raft_group(group)
    elif group.mode in SLAVE_MODES:
        _check_slave_group(group)
    elif len(names) != 1:
        raise ConfigError(
            f'group {group.name} has mode = "multi-master" and {len(names)} members; a multi-master group has one,'
            " so give each member a group of its own"
        )


def _check_preferred_leader(group: GroupSection) -> None:
    names = [member.id for member in group.members]
    if group.preferred_leader is None:
        return
    if group.mode != "raft":
        raise ConfigError(
            f'group {group.name} has preferred_leader and mode = "{group.mode}"; only a Raft group changes its leader'
            " by itself"
        )
    if group.preferred_leader not in names:
        raise ConfigError(
            f'preferred_leader = "{group.preferred_leader}" is no member of group {group.name}; it has'
            f" {', '.join(names)}"
        )


def _check_raft_group(group: GroupSection) -> None:
    count = len(group.members)
    if count == 1 and not group.dev:
        raise ConfigError(
            f"Raft group {group.name} has one member and no spare; give it three, or write dev = true to accept that"
        )
    if count != 1 and count not in RAFT_SIZES:
        raise ConfigError(
            f"Raft group {group.name} has {count} members; use 3 or 5: an even number survives no more failures"
            " than one member less"
        )
    _check_replicas(group, "Raft group")


def _check_slave_group(group: GroupSection) -> None:
    count = len(group.members)
    if not 2 <= count <= 1 + MOST_SLAVES:
        raise ConfigError(
            f'group {group.name} has mode = "{group.mode}" and {count} members; it has a master and 1 to {MOST_SLAVES}'
            ' slaves, and a master without a slave has mode = "multi-master"'
        )
    _check_replicas(group, "group")
    numbers = [raft_member_number(member.id, f"member id in group {group.name}") for member in group.members]
    if numbers[0] != min(numbers):
        raise ConfigError(
            f'the first member of group {group.name}, its master, is "{group.members[0].id}"; give the master the'
            " smallest number, for example n0"
        )


def _check_replicas(group: GroupSection, kind: str) -> None:
    numbers = [raft_member_number(member.id, f"member id in {kind} {group.name}") for member in group.members]
    if len(set(numbers)) != len(numbers):
        raise ConfigError(f"two members of {kind} {group.name} have the same number; their broker ids would be equal")
    hosts = [member.host for member in group.members if not is_loopback(member.host)]
    shared = next((host for host in hosts if hosts.count(host) > 1), None)
    if shared is not None and not group.colocate:
        raise ConfigError(
            f"two members of {kind} {group.name} are on {shared}, which may fail with both; spread them, or write"
            " colocate = true to accept that"
        )


def _members(topology: Topology) -> Iterator[tuple[GroupSection, MemberSection]]:
    for group in topology.group:
        for member in group.members:
            yield group, member


def _check_ports(topology: Topology) -> None:
    taken: dict[tuple[str, int], str] = {}

    def take(host: str, port: int, owner: str, hint: str) -> None:
        if not 1 <= port <= 65_535:
            raise ConfigError(f"{owner} would be {port}, which is no port; {hint}")
        host = "127.0.0.1" if is_loopback(host) else host
        other = taken.setdefault((host, port), owner)
        if other != owner:
            raise ConfigError(f"{owner} and {other} both use port {port} on {host}; {hint}")

    for server in topology.nameserver:
        host, port = split_address(server.listen, f"listen of {server.id}")
        take(host, port, f"listen of {server.id}", "give each its own")
    for group, member in _members(topology):
        for kind, port in member_ports(group, member)._asdict().items():
            take(
                member.host,
                port,
                f"the {kind} port of {group.name}/{member.id}",
                "members on one host need blocks of ten client ports, and explicit raft and metrics ports"
                if kind != "raft"
                else "without a raft key it is port + 30000; write raft, for example raft = port + 3",
            )


def advertised_host(group: GroupSection, member: MemberSection) -> str:
    """Give the host that clients are told: the member's own, the group's template, or the member's host."""
    template = member.advertise or group.advertise
    return template.replace("{id}", member.id) if template else member.host


def _check_advertised(topology: Topology) -> None:
    seen: dict[tuple[str, int], str] = {}
    for group, member in _members(topology):
        name = f"{group.name}/{member.id}"
        host = advertised_host(group, member)
        if is_wildcard(host):
            raise ConfigError(f'{name} would tell clients "{host}", a wildcard; set advertise to an address they reach')
        other = seen.setdefault((host, member_ports(group, member).client), name)
        if other != name:
            raise ConfigError(f"{name} and {other} would both tell clients {host}; put {{id}} into advertise")
        if is_loopback(host) and any(not is_loopback(peer.host) for peer in group.members):
            raise ConfigError(
                f"{name} would tell clients {host}, but its group has members on other machines; set advertise to an"
                " address that clients reach"
            )


def _check_loopback_beside_remote(topology: Topology) -> None:
    for group in topology.group:
        local = [member.id for member in group.members if is_loopback(member.host)]
        if local and len(local) != len(group.members):
            raise ConfigError(
                f"member {local[0]} of group {group.name} has a loopback host, where the members on other machines"
                " cannot reach it; name its real address"
            )


def async_flush(mode: Mode) -> str:
    """Say what asynchronous flush means in a mode."""
    return ASYNC_FLUSH_IN_RAFT if mode == "raft" else ASYNC_FLUSH


def _has(modes: set[Mode], mode: Mode) -> bool:
    """Whether one of the modes flushes like this one."""
    return any((each == "raft") == (mode == "raft") for each in modes)


def topology_warnings(topology: Topology) -> list[str]:
    """List what is allowed but worth a line at start."""
    warnings = []
    if len(topology.nameserver) == 1:
        warnings.append("one NameServer only: while it is down, no client starts and no new leader is found")
    if topology.defaults.flush == "async":
        modes = {group.mode for group in topology.group}
        warnings += [f'flush = "async": {async_flush(mode)}' for mode in ("raft", "multi-master") if _has(modes, mode)]
    for group, member in _members(topology):
        low, high = EPHEMERAL_RANGE
        for kind, port in member_ports(group, member)._asdict().items():
            if low <= port <= high and not (kind == "raft" and len(group.members) == 1):
                warnings.append(
                    f"the {kind} port {port} of {group.name}/{member.id} lies in the range of outgoing connections"
                    f" ({low} to {high}); after a restart it may be taken"
                )
    return warnings


EPHEMERAL_RANGE = (32_768, 60_999)
