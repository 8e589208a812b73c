"""The control plane of one replica: what decides and what operators call. Messages never come here."""

from ternmq.broker.app import BrokerApp

__all__ = ["BrokerApp"]
