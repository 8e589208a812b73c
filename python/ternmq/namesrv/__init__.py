"""The NameServer: which brokers hold which topics. Knows no other NameServer and opens no connection."""

from ternmq.namesrv.app import NameServerApp

__all__ = ["NameServerApp"]
