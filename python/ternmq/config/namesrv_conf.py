"""Apache's `namesrv.conf`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ternmq.config.addresses import check_host, is_wildcard
from ternmq.config.apache_files import Summary, Values, sort_keys
from ternmq.config.apache_ignored import IGNORED, SOCKETS
from ternmq.config.apache_keys import BROKER_KEYS, ApacheKey
from ternmq.config.apache_places import NAMESERVER_PLACES, taken
from ternmq.config.node import NameServerConfig, check_listening
from ternmq.config.properties import read_properties
from ternmq.config.settings import NAMESERVER
from ternmq.config.topology import NAMESERVER_PORT

_NEVER = frozenset({"false"})
_THREADS = ApacheKey("ignored", "threads and queues are set up by the engine")
_PROCESS = ApacheKey("ignored", "a setting of the Java process")

# A file that brokers share is no mistake: Apache's NameServer passes over their keys, too.
A_BROKERS = "a key of a broker, not of the NameServer"
_BROKERS = {name: ApacheKey("ignored", A_BROKERS) for name in BROKER_KEYS}
_NETTY = {name: BROKER_KEYS[name] for name, why in IGNORED.items() if why == SOCKETS}

NAMESERVER_KEYS: dict[str, ApacheKey] = {
    **_BROKERS,
    **_NETTY,
    "useTLS": BROKER_KEYS["useTLS"],
    **{key: ApacheKey("mapped", ours) for key, ours in taken(NAMESERVER_PLACES, NAMESERVER)},
    "supportActingMaster": ApacheKey(
        "refused", "slaves that act as master are not there; a Raft group elects a master instead; remove it", _NEVER
    ),
    "enableControllerInNamesrv": ApacheKey(
        "refused", "a group has one consensus here, its own; remove it and run Raft groups", _NEVER
    ),
    "configStorePath": ApacheKey("ignored", "configuration is never written by a request"),
    "configBlackList": ApacheKey("ignored", "no configuration can be changed by a request"),
    "rocketmqHome": _PROCESS,
    "productEnvName": _PROCESS,
    "clusterTest": _PROCESS,
    "enableAllTopicList": ApacheKey("ignored", "topic lists are always answered"),
    "enableTopicList": ApacheKey("ignored", "topic lists are always answered"),
    "notifyMinBrokerIdChanged": ApacheKey("ignored", "a NameServer opens no connection and pushes nothing"),
    "needWaitForService": ApacheKey("ignored", "brokers fill an empty NameServer within seconds"),
    "waitSecondsForService": ApacheKey("ignored", "brokers fill an empty NameServer within seconds"),
    "clientRequestThreadPoolNums": _THREADS,
    "clientRequestThreadPoolQueueCapacity": _THREADS,
    "defaultThreadPoolNums": _THREADS,
    "defaultThreadPoolQueueCapacity": _THREADS,
    "unRegisterBrokerQueueCapacity": _THREADS,
}


@dataclass(frozen=True)
class NameServerConf:
    """What a `namesrv.conf` becomes.

    Attributes:
        config: the frozen configuration of one NameServer.
        summary: what became of each key.
    """

    config: NameServerConfig
    summary: Summary


def read_namesrv_conf(path: Path, *, insecure: bool = False, lenient: bool = False) -> NameServerConf:
    """Read a `namesrv.conf`.

    Args:
        path: the properties file.
        insecure: accept listening beyond loopback; without it a file that names no address means loopback.
        lenient: warn of unknown keys instead of refusing them.

    Raises:
        ConfigError: an unknown key, a key that cannot be honoured, or an address beyond loopback without `insecure`.
    """
    entries = read_properties(path)
    summary = sort_keys(path, entries, NAMESERVER_KEYS, lenient)
    values = Values(path, entries)
    port = values.integer("listenPort", NAMESERVER_PORT, 1, 65_535)
    bound = values.text("bindAddress")
    if bound is not None and not is_wildcard(bound):
        with values.at("bindAddress"):
            check_host(bound, "bindAddress")
    if bound is None or (is_wildcard(bound) and not insecure):
        bound = "0.0.0.0" if insecure else "127.0.0.1"
        if not insecure:
            summary.notices.append("listens on loopback only, as there is no access control yet; --insecure opens it")
    check_listening(f"{path}: the NameServer", [bound], insecure)
    home = Path(os.environ.get("HOME", "."))
    kv_path = Path(
        (values.text("kvConfigPath") or str(home / "namesrv" / "kvConfig.json")).replace("${user.home}", str(home))
    )
    settings: dict[str, Any] = {row.name: values.setting(row) for row in NAMESERVER}
    config = NameServerConfig(
        id="namesrv",
        listen_host=bound,
        port=port,
        data=kv_path.parent,
        kv_path=kv_path,
        insecure=insecure,
        **settings,
    )
    return NameServerConf(config, summary)
