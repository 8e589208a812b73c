"""Typed face of the engine's transport: endpoints, calls, handlers of requests."""

from __future__ import annotations

from ternmq.remoting.calls import Answer, Done, Outcome, failure
from ternmq.remoting.endpoint import Endpoint, Event, SendOutcomes, SendTuple, StoredSend, Transport
from ternmq.remoting.opening import open_endpoint
from ternmq.remoting.serving import Handler, Reply, Request

__all__ = [
    "Answer",
    "Done",
    "Endpoint",
    "Event",
    "Handler",
    "Outcome",
    "Reply",
    "Request",
    "SendOutcomes",
    "SendTuple",
    "StoredSend",
    "Transport",
    "failure",
    "open_endpoint",
]
