"""ternmq: an asyncio client of the RocketMQ protocol, with the cluster in the same package.

The public names and nothing else. They are imported on first use, so that the command line starts fast and server
processes do not load the client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ternmq.errors import (
    AccessDeniedError,
    AlreadyRunningError,
    BrokerBusyError,
    CallTimeoutError,
    ClientClosedError,
    CodecError,
    ConfigError,
    ConnectionLostError,
    MessageIllegalError,
    MQError,
    NotANameServerError,
    NotFoundError,
    NotWritableError,
    OutcomeUnknownError,
    Reject,
    RejectedError,
    RouteNotFoundError,
    SendTimeoutError,
    ServerError,
    SettlementLostError,
    StoredUnconfirmedError,
    UnreachableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from ternmq.client import (
        JSON,
        Admin,
        Batch,
        BrokerInfo,
        Client,
        ClusterInfo,
        Codec,
        Consumer,
        Message,
        MessageQueue,
        Producer,
        QueueCounts,
        Raw,
        SendReceipt,
        Start,
        Text,
        TopicRoute,
        TopicType,
        connect,
    )

__version__ = "0.1.0"

__all__ = [
    "JSON",
    "AccessDeniedError",
    "Admin",
    "AlreadyRunningError",
    "Batch",
    "BrokerBusyError",
    "BrokerInfo",
    "CallTimeoutError",
    "Client",
    "ClientClosedError",
    "ClusterInfo",
    "Codec",
    "CodecError",
    "ConfigError",
    "ConnectionLostError",
    "Consumer",
    "MQError",
    "Message",
    "MessageIllegalError",
    "MessageQueue",
    "NotANameServerError",
    "NotFoundError",
    "NotWritableError",
    "OutcomeUnknownError",
    "Producer",
    "QueueCounts",
    "Raw",
    "Reject",
    "RejectedError",
    "RouteNotFoundError",
    "SendReceipt",
    "SendTimeoutError",
    "ServerError",
    "SettlementLostError",
    "Start",
    "StoredUnconfirmedError",
    "Text",
    "TopicRoute",
    "TopicType",
    "UnreachableError",
    "UnsupportedError",
    "connect",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module("ternmq.client"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
