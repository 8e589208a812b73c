"""Names, addresses and folders in Apache's files: each has a reader of its own, in `broker_conf` or `namesrv_conf`.

With the table of settings these are all keys that are taken. Both together are what requests 26 and 319 show.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ternmq.config.node import BrokerConfig, NameServerConfig
from ternmq.config.setting import Setting
from ternmq.config.settings import BROKER, NAMESERVER

Config = TypeVar("Config", BrokerConfig, NameServerConfig)


@dataclass(frozen=True)
class Place(Generic[Config]):
    """One key.

    Attributes:
        key: Apache's name.
        ours: what it becomes here.
        shown: its value in the answer to a tool, None if this node has none; without it the key is not shown.
    """

    key: str
    ours: str
    shown: Callable[[Config], str | None] | None = None


def _in_raft(value: Callable[[BrokerConfig], str | None]) -> Callable[[BrokerConfig], str | None]:
    return lambda config: value(config) if config.mode == "raft" else None


def _peers(config: BrokerConfig) -> str:
    return ";".join(f"{member.id}-{member.host}:{member.peer_port}" for member in config.members)


BROKER_PLACES: tuple[Place[BrokerConfig], ...] = (
    Place("brokerClusterName", "cluster", lambda config: config.cluster),
    Place("brokerName", "group", lambda config: config.group),
    Place("brokerId", "broker id; in a Raft group it follows from the role"),
    Place("brokerRole", "mode"),
    Place("brokerIP1", "advertise", lambda config: config.advertise_host),
    Place("namesrvAddr", "namesrv", lambda config: ";".join(config.nameservers)),
    Place("listenPort", "port, fast port (two below)", lambda config: str(config.port)),
    Place("bindAddress", "listen"),
    Place("haListenPort", "peers' port of a master or a slave; without it listenPort + 1"),
    Place("haMasterAddress", "peers' address of a slave's master; without it found through the NameServers"),
    Place("enableDLegerCommitLog", 'mode = "raft"', lambda config: str(config.mode == "raft").lower()),
    Place("dLegerGroup", "group", _in_raft(lambda config: config.group)),
    Place("dLegerPeers", "members", _in_raft(_peers)),
    Place("dLegerSelfId", "member", _in_raft(lambda config: config.member)),
    Place("preferredLeaderId", "preferred_leader", _in_raft(lambda config: config.preferred_leader)),
    Place("storePathRootDir", "data", lambda config: str(config.data)),
    Place("storePathCommitLog", "log folder, below data"),
    Place("storePathDLedgerCommitLog", "log folder, below data"),
)

# No path is shown: CVE-2023-37582 began with one that a request could set.
NAMESERVER_PLACES: tuple[Place[NameServerConfig], ...] = (
    Place("listenPort", "port", lambda config: str(config.port)),
    Place("bindAddress", "listen", lambda config: config.listen_host),
    Place("kvConfigPath", "key-value file"),
)


def taken(places: Sequence[Place[Config]], settings: Sequence[Setting]) -> Iterator[tuple[str, str]]:
    """Give every key that is taken, and what it becomes."""
    for place in places:
        yield place.key, place.ours
    for row in settings:
        if row.apache is not None:
            yield row.apache, row.key
        if row.apache_before is not None:
            yield row.apache_before, f"{row.key}, unless {row.apache} is there"


def shown_broker(config: BrokerConfig) -> dict[str, str]:
    """Give a broker's configuration under the names that it has in a `broker.conf`; no secrets are among them."""
    return _shown(config, BROKER_PLACES, BROKER)


def shown_nameserver(config: NameServerConfig) -> dict[str, str]:
    """Give a NameServer's configuration under the names that it has in a `namesrv.conf`."""
    return _shown(config, NAMESERVER_PLACES, NAMESERVER)


def _shown(config: Config, places: Sequence[Place[Config]], settings: Sequence[Setting]) -> dict[str, str]:
    values = {place.key: place.shown(config) for place in places if place.shown is not None}
    values |= {row.apache: row.in_apache_words(getattr(config, row.name)) for row in settings if row.apache}
    return {key: value for key, value in sorted(values.items()) if value is not None}
