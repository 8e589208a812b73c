"""Apache's `namesrv.conf`."""

import os
from dataclasses import dataclass
from pathlib import Path

from ternmq.config.addresses import is_wildcard
from ternmq.config.apache_files import Summary, Values, sort_keys
from ternmq.config.apache_keys import ApacheKey
from ternmq.config.node import NameServerConfig, check_listening
from ternmq.config.properties import read_properties

DEFAULT_PORT = 9_876

_THREADS = ApacheKey("ignored", "threads, queues and sockets are set up by the engine")
_NEVER = frozenset({"false"})

NAMESERVER_KEYS: dict[str, ApacheKey] = {
    "listenPort": ApacheKey("mapped", "port"),
    "bindAddress": ApacheKey("mapped", "listen"),
    "kvConfigPath": ApacheKey("mapped", "key-value file"),
    "orderMessageEnable": ApacheKey("mapped", "order_message_enable"),
    "returnOrderTopicConfigToBroker": ApacheKey("mapped", "return_order_topic_config"),
    "deleteTopicWithBrokerRegistration": ApacheKey("mapped", "delete_topic_with_registration"),
    "scanNotActiveBrokerInterval": ApacheKey("mapped", "scan_interval"),
    "supportActingMaster": ApacheKey(
        "refused", "slaves that act as master are not there; a Raft group elects a master instead; remove it", _NEVER
    ),
    "enableControllerInNamesrv": ApacheKey(
        "refused", "a group has one consensus here, its own; remove it and run Raft groups", _NEVER
    ),
    "configStorePath": ApacheKey("ignored", "configuration is never written by a request"),
    "configBlackList": ApacheKey("ignored", "no configuration can be changed by a request"),
    "rocketmqHome": ApacheKey("ignored", "a setting of the Java process"),
    "productEnvName": ApacheKey("ignored", "a setting of the Java process"),
    "clusterTest": ApacheKey("ignored", "a setting of the Java process"),
    "enableAllTopicList": ApacheKey("ignored", "topic lists are always answered"),
    "enableTopicList": ApacheKey("ignored", "topic lists are always answered"),
    "notifyMinBrokerIdChanged": ApacheKey("ignored", "a NameServer opens no connection and pushes nothing"),
    "needWaitForService": ApacheKey("ignored", "brokers fill an empty NameServer within seconds"),
    "waitSecondsForService": ApacheKey("ignored", "brokers fill an empty NameServer within seconds"),
    **dict.fromkeys(
        [
            "clientRequestThreadPoolNums",
            "clientRequestThreadPoolQueueCapacity",
            "defaultThreadPoolNums",
            "defaultThreadPoolQueueCapacity",
            "unRegisterBrokerQueueCapacity",
            "serverWorkerThreads",
            "serverSelectorThreads",
            "serverCallbackExecutorThreads",
            "serverOnewaySemaphoreValue",
            "serverAsyncSemaphoreValue",
            "serverChannelMaxIdleTimeSeconds",
            "serverSocketSndBufSize",
            "serverSocketRcvBufSize",
            "serverSocketBacklog",
            "serverNettyWorkerGroupEnable",
            "serverPooledByteBufAllocatorEnable",
            "useEpollNativeSelector",
            "writeBufferHighWaterMark",
            "writeBufferLowWaterMark",
            "enableShutdownGracefully",
            "shutdownWaitTimeSeconds",
        ],
        _THREADS,
    ),
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
    port = values.integer("listenPort", DEFAULT_PORT, 1, 65_535)
    bound = values.text("bindAddress")
    if bound is None or (is_wildcard(bound) and not insecure):
        bound = "0.0.0.0" if insecure else "127.0.0.1"
        if not insecure:
            summary.notices.append("listens on loopback only, as there is no access control yet; --insecure opens it")
    check_listening("the NameServer", [bound], insecure)
    home = Path(os.environ.get("HOME", "."))
    kv_path = Path(
        (values.text("kvConfigPath") or str(home / "namesrv" / "kvConfig.json")).replace("${user.home}", str(home))
    )
    config = NameServerConfig(
        id="namesrv",
        listen_host=bound,
        port=port,
        data=kv_path.parent,
        kv_path=kv_path,
        order_message_enable=values.boolean("orderMessageEnable", False),
        return_order_topic_config=values.boolean("returnOrderTopicConfigToBroker", True),
        delete_topic_with_registration=values.boolean("deleteTopicWithBrokerRegistration", False),
        scan_interval_ms=values.integer("scanNotActiveBrokerInterval", 5_000, 100, 3_600_000),
        insecure=insecure,
    )
    return NameServerConf(config, summary)
