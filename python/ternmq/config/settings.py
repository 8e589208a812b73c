"""The table of settings: every one once, with its unit, default, bounds, help and RocketMQ's key.

A row is all that a setting needs to be read from a topology file and from Apache's files, to be written into a new
topology, told to the engine, shown to tools (26 and 319) and listed in docs/settings.md. What the engine is told, it
reads by the same name in `crates/python/src/options.rs`. Names, addresses and folders are no settings:
`ternmq.config.apache_places` has their keys.
"""

from dataclasses import dataclass
from typing import Literal

from ternmq.config.setting import Setting, rows, setting
from ternmq.config.timing import PROFILES

Flush = Literal["sync", "async"]
Scheduling = Literal["batch", "other"]

MAX_TABLE = 40_000
"""Topics or groups: a table of so many topics with long names is as large as a frame may be, 16 MiB."""

_PROFILE = "by the profile"


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """How a replica works; the sentence beside each says more.

    In the order in which a new topology file has them.
    """

    heartbeat_ms: int = setting(
        PROFILES["shared"].heartbeat_ms, "Time between a leader's heartbeats, at least 20ms.", chosen=_PROFILE
    )
    election_min_ms: int = setting(
        PROFILES["shared"].election_min_ms, "Least election timeout, at least three heartbeats.", chosen=_PROFILE
    )
    election_max_ms: int = setting(
        PROFILES["shared"].election_max_ms, "Greatest election timeout, at least twice the least.", chosen=_PROFILE
    )
    flush: Flush = setting(
        "sync",
        '"sync": acknowledged means on the disk; "async": in the page cache, on the disk half a second later. A Raft'
        " group always syncs.",
        words={"sync": "SYNC_FLUSH", "async": "ASYNC_FLUSH"},
        apache="flushDiskType",
    )
    segment_size_bytes: int = setting(
        1 << 30,
        "Size of a log segment; fixed when a group is founded.",
        least=32 << 20,
        most=8 << 30,
        apache="mappedFileSizeCommitLog",
        apache_before="mapedFileSizeCommitLog",
        change="new group",
    )
    frame_ring_bytes: int = setting(64 << 20, "Memory for recent log frames, per broker.", least=1 << 20)
    in_flight_bytes: int = setting(
        256 << 20,
        "Bytes between socket and answer, per broker; beyond it sends are refused with code 2.",
        least=32 << 20,
    )
    slow_disk_ms: int = setting(
        20,
        "A replica whose syncs take so long, and eight times as long as those of a majority of the others, for seconds,"
        " hands leadership over and does not stand; 0: never.",
        most=60_000,
    )
    max_message_bytes: int = setting(
        4 << 20, "Largest message body; a frame is at most 16MiB.", least=1, most=15 << 20, apache="maxMessageSize"
    )
    auto_create_topic: bool = setting(
        True, "Create an unknown topic on the first send.", apache="autoCreateTopicEnable", change="new group"
    )
    default_topic_queues: int = setting(
        8,
        "Queues of TBW102, so the most that an automatically created topic may have.",
        least=1,
        most=1024,
        apache="defaultTopicQueueNums",
        change="new group",
    )
    auto_create_group: bool = setting(
        True, "Create an unknown consumer group when it first appears.", apache="autoCreateSubscriptionGroup"
    )
    max_topics: int = setting(
        20_000,
        "Topics of a broker group, those for retries and dead letters counted; beyond it new ones are refused, by use"
        " with code 17, to operators with 29.",
        least=1,
        most=MAX_TABLE,
        apache="maxTopicNums",
    )
    max_groups: int = setting(
        20_000,
        "Subscription groups of a broker group; beyond it new ones are refused, by use with code 26.",
        least=1,
        most=MAX_TABLE,
        apache="maxSubscriptionGroupNums",
    )
    slave_read: bool = setting(
        True, "Let replicas that do not lead serve pulls of committed messages.", apache="slaveReadEnable"
    )
    access_in_memory_percent: int = setting(
        40,
        "Share of the memory that this broker may use, percent; a consumer of a master that is further behind the end"
        " of the log than that is told to read from a slave.",
        least=0,
        most=100,
        apache="accessMessageInMemoryMaxRatio",
    )
    workers: int = setting(1, "Network threads of a broker.", chosen="by the cores", least=1, most=256, in_engine=False)
    scheduling: Scheduling = setting(
        "batch",
        "Linux's policy for a broker's threads: batch, where one that wakes takes the core from no other, is best where"
        " cores are shared; other, where it does, for a machine of the broker's own.",
        words={"batch": "SCHED_BATCH", "other": "SCHED_OTHER"},
        in_engine=False,
    )


@dataclass(frozen=True, kw_only=True)
class NameServerSettings:
    """How a NameServer works; only Apache's file can say it."""

    order_message_enable: bool = setting(
        False,
        "Put `orderTopicConf` into routes.",
        apache="orderMessageEnable",
    )
    return_order_topic_config: bool = setting(
        True,
        "Answer registrations with the table of ordered topics.",
        apache="returnOrderTopicConfigToBroker",
    )
    delete_topic_with_registration: bool = setting(
        False,
        "Forget topics that a full registration no longer names.",
        apache="deleteTopicWithBrokerRegistration",
    )
    scan_interval_ms: int = setting(
        5_000,
        "How often silent brokers are looked for.",
        least=100,
        most=3_600_000,
        apache="scanNotActiveBrokerInterval",
    )


BROKER: tuple[Setting, ...] = rows(BrokerSettings, "broker")
NAMESERVER: tuple[Setting, ...] = rows(NameServerSettings, "nameserver")
