"""Typed face of the engine's transport: endpoints, calls, server routes."""

from __future__ import annotations

from ternmq.remoting.calls import Answer, Done, Outcome
from ternmq.remoting.endpoint import Endpoint, Event, Transport
from ternmq.remoting.opening import open_endpoint
from ternmq.remoting.serving import Handler, Reply, Request, Route

__all__ = [
    "Answer",
    "Done",
    "Endpoint",
    "Event",
    "Handler",
    "Outcome",
    "Reply",
    "Request",
    "Route",
    "Transport",
    "open_endpoint",
]
