"""Data on the wire: request and response codes, and the JSON bodies that RocketMQ's programs exchange."""
