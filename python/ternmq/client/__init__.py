"""The client: `connect`, producers, consumers, administration."""

from __future__ import annotations

from ternmq.client.admin import Admin, BrokerInfo, ClusterInfo, TopicType
from ternmq.client.arguments import Start
from ternmq.client.batches import Batch
from ternmq.client.codecs import JSON, Codec, Raw, Text
from ternmq.client.connection import Client, connect
from ternmq.client.consumer import Consumer
from ternmq.client.message_queue import MessageQueue
from ternmq.client.messages import Message, Origin
from ternmq.client.producer import Producer
from ternmq.client.receipts import SendReceipt
from ternmq.client.topic_route import QueueCounts, TopicRoute

__all__ = [
    "JSON",
    "Admin",
    "Batch",
    "BrokerInfo",
    "Client",
    "ClusterInfo",
    "Codec",
    "Consumer",
    "Message",
    "MessageQueue",
    "Origin",
    "Producer",
    "QueueCounts",
    "Raw",
    "SendReceipt",
    "Start",
    "Text",
    "TopicRoute",
    "TopicType",
    "connect",
]
