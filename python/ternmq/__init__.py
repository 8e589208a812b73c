"""ternmq: an asyncio client of the RocketMQ protocol, with the cluster in the same package.

The public names and nothing else. They are imported on first use, so that the command line starts fast and server
processes do not load the client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ternmq.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    AlreadyRunningError,
    AlreadySettledError,
    AttributeRefusedError,
    BodyError,
    BrokerBusyError,
    CallTimeoutError,
    ClientClosedError,
    CodecError,
    ConfigError,
    ConnectionLostError,
    ForeignLoopError,
    ForkedClientError,
    HeaderError,
    LaunchError,
    MessageIllegalError,
    MQError,
    NameTakenError,
    NotANameServerError,
    NotDrainedError,
    NotFoundError,
    NotRunningError,
    NotWritableError,
    OffsetOutOfRangeError,
    OutcomeUnknownError,
    RegistrationRefusedError,
    Reject,
    RejectedError,
    RouteNotFoundError,
    SendTimeoutError,
    ServerError,
    SettlementLostError,
    StaleTermError,
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
        Origin,
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
    "AlreadyExistsError",
    "AlreadyRunningError",
    "AlreadySettledError",
    "AttributeRefusedError",
    "Batch",
    "BodyError",
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
    "ForeignLoopError",
    "ForkedClientError",
    "HeaderError",
    "LaunchError",
    "MQError",
    "Message",
    "MessageIllegalError",
    "MessageQueue",
    "NameTakenError",
    "NotANameServerError",
    "NotDrainedError",
    "NotFoundError",
    "NotRunningError",
    "NotWritableError",
    "OffsetOutOfRangeError",
    "Origin",
    "OutcomeUnknownError",
    "Producer",
    "QueueCounts",
    "Raw",
    "RegistrationRefusedError",
    "Reject",
    "RejectedError",
    "RouteNotFoundError",
    "SendReceipt",
    "SendTimeoutError",
    "ServerError",
    "SettlementLostError",
    "StaleTermError",
    "Start",
    "StoredUnconfirmedError",
    "Text",
    "TopicRoute",
    "TopicType",
    "UnreachableError",
    "UnsupportedError",
    "connect",
]


if not TYPE_CHECKING:  # else a checker takes every name for one that exists

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module("ternmq.client"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
