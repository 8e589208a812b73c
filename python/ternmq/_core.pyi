"""The engine's whole surface: transport, replica, message codecs.

Everything is exchanged in batches. No thread of the engine ever calls Python: it queues events, makes a file descriptor
readable, and Python drains. Objects must not be used after a fork; processes are started with spawn.
"""

from typing import Any, Final, Self, final

__all__ = [
    "DEFAULT_TOPIC",
    "DELAYS_MS",
    "DLQ_PREFIX",
    "EVENT_KINDS",
    "MAX_GROUP_LENGTH",
    "MAX_QUEUES",
    "MAX_RETRY_TOPIC_LENGTH",
    "MAX_TOPIC_LENGTH",
    "OWN_VERSION",
    "PERM_INHERIT",
    "PERM_READ",
    "PERM_WRITE",
    "PROPERTY_NAMES",
    "REQUEST_CODES",
    "RESPONSE_CODES",
    "RETRY_PREFIX",
    "SYSTEM_GROUPS",
    "SYSTEM_PREFIX",
    "SYSTEM_TOPICS",
    "SYS_FLAG_UNIT",
    "SYS_FLAG_UNIT_SUB",
    "TICK_MS",
    "Broker",
    "Endpoint",
    "Records",
    "code_name",
    "crc32",
    "decode_messages",
    "encode_batch",
    "encode_properties",
    "engine_routes",
    "java_hash",
    "offset_id",
    "open_journal",
    "take_journal",
    "unique_id",
]

EVENT_KINDS: Final[dict[str, int]]
"""Kinds of events by name. The kind is an event's first item; then come

- REQUEST: request_id, connection_id, peer, code, version, language, oneway, fields, body
- ANSWER to a call: call_id, code, version, remark | None, fields, body
- FAILED, a call without an answer: call_id, reason, text. Reason 0: unreachable, nothing was sent; 1: timed out; 2: the
  connection closed, the peer may have seen it; 3: refused here, nothing was sent. The text does not repeat the address
- CLOSED, connection of a client, for those that had sent requests: connection_id, peer
- DISCONNECTED, connection of ours: address
- PUSH, request of a server on a connection of ours: request_id, address, code, version, fields, body
- STORED, sends: sender, list of (call_id, queue_id, queue_offset)
- SEND_ANSWERED, otherwise: sender, call_id, code, version, remark | None, fields, body
- SEND_FAILED, a send without an answer: sender, call_id, reason, text; reasons as in FAILED
- HEARTBEAT_OUTCOME, first heartbeat of a version has ended: version, address, answered
- ROLE of a replica: role, term, leader_member | None
- TOPICS changed: counter, timestamp_ms
- PROPOSED, a proposal was decided: proposal_id, code, remark | None
- STOPPED, a replica, for good: sentence

fields is a dict[str, str], body is bytes, peer is host:port. A request_id of 0 marks a one-way request, which is never
answered.
"""

REQUEST_CODES: Final[dict[str, int]]
"""Codes of requests by RocketMQ's names."""
RESPONSE_CODES: Final[dict[str, int]]
"""Codes of answers by RocketMQ's names."""
OWN_VERSION: Final[int]
"""Version that requests and answers of ours carry."""
TICK_MS: Final[int]
"""Milliseconds of a tick; heartbeat and election times are whole numbers of them."""
PROPERTY_NAMES: Final[tuple[str, ...]]
"""Names of properties that are no user's."""
RETRY_PREFIX: Final[str]
"""What a group's retry topic begins with."""
DLQ_PREFIX: Final[str]
"""What a group's dead-letter topic begins with."""
DEFAULT_TOPIC: Final[str]
"""The topic after whose model brokers make new ones."""
SYSTEM_TOPICS: Final[tuple[str, ...]]
"""Topics that belong to brokers, beside those that begin with SYSTEM_PREFIX."""
SYSTEM_PREFIX: Final[str]
"""What names of topics begin with that belong to brokers."""
SYSTEM_GROUPS: Final[tuple[str, ...]]
"""Groups that every broker has."""
MAX_TOPIC_LENGTH: Final[int]
"""Characters of a topic's name."""
MAX_RETRY_TOPIC_LENGTH: Final[int]
"""Characters of the name of a retry or dead-letter topic."""
MAX_GROUP_LENGTH: Final[int]
"""Characters of a group's name."""
MAX_QUEUES: Final[int]
"""Queues that a topic may have in the state of a group."""
DELAYS_MS: Final[tuple[int, ...]]
"""Delays of the levels, level 1 first; milliseconds."""
PERM_INHERIT: Final[int]
PERM_WRITE: Final[int]
PERM_READ: Final[int]
"""Permissions of a topic."""
SYS_FLAG_UNIT: Final[int]
SYS_FLAG_UNIT_SUB: Final[int]
"""Flags of a topic."""

_Event = tuple[Any, ...]

@final
class Endpoint:
    """Connections in and out of one process, and the queue of what they have to tell.

    Args:
        workers: net threads.
        max_pending: requests that wait to be drained or answered, and calls that wait for answers; one request more is
            answered 2 at once, one call more fails with reason 3.
        max_pending_bytes: bytes of these requests; also what may wait to be sent on one outgoing connection.

    Raises:
        OSError: no threads or descriptors are left.
        ValueError: ``workers`` or ``max_pending`` is 0.

    Every method raises ``RuntimeError`` in a fork of the process that made the endpoint.
    """

    def __new__(
        cls, *, workers: int = 1, max_pending: int = 10_000, max_pending_bytes: int = 67_108_864
    ) -> Endpoint: ...
    def fileno(self) -> int:
        """File descriptor that is readable while events wait. Stays open as long as the object lives."""

    def drain(self) -> list[_Event]:
        """Take all waiting events, oldest first; never blocks."""

    def listen(
        self,
        host: str,
        port: int,
        *,
        max_frame_bytes: int = 16_777_216,
        max_connections: int = 16_384,
        idle_seconds: int = 120,
    ) -> int:
        """Open a port for requests, which then arrive as events.

        Args:
            host: address or name to bind.
            port: 0 for any free one.
            max_frame_bytes: largest frame, its length field included.
            max_connections: open connections of this port.
            idle_seconds: a connection on which nothing moved for this long is closed.

        Returns:
            The bound port.

        Raises:
            OSError: the port cannot be bound; carries the system's ``errno``.
            RuntimeError: the endpoint is closed.
        """

    def call(self, calls: list[tuple[int, str, int, dict[str, str], bytes, int]]) -> None:
        """Start calls; each ends with exactly one event ANSWER or FAILED.

        Args:
            calls: ``(call_id, address, code, fields, body, timeout_ms)``; the address is ``host:port``, the time
                includes connecting.

        Raises:
            RuntimeError: the endpoint is closed.
        """

    def send(
        self, sender: int, sends: list[tuple[int, str, int, dict[str, str], int, int, str | None, str, bytes, int]]
    ) -> list[str | None]:
        """Start sends; each ends with exactly one entry of an event STORED, or one event SEND_ANSWERED or SEND_FAILED.

        Args:
            sender: comes back with the events; calls of different senders may have the same ids.
            sends: ``(call_id, address, code, fields, queue_id, born_ms, message_id, properties, body, timeout_ms)``.
                ``fields`` are the header's short names but for ``e``, ``g`` and ``i``; they are read once for all
                neighbours that share the object. A message id is put before the properties as ``UNIQ_KEY``; None has
                one made, an empty one is none.

        Returns:
            The message ids that were made, and None where one was given.

        Raises:
            RuntimeError: the endpoint is closed.
        """

    def oneway(self, calls: list[tuple[str, int, dict[str, str], bytes]]) -> None:
        """Send requests that nobody answers; what cannot be sent is dropped.

        Args:
            calls: ``(address, code, fields, body)``.

        Raises:
            RuntimeError: the endpoint is closed.
        """

    def beat(
        self,
        version: int,
        code: int,
        body: bytes,
        addresses: list[str],
        *,
        interval_ms: int,
        retry_ms: int,
        timeout_ms: int,
    ) -> None:
        """Keep sending a heartbeat from now on, on the net threads, until the next call says otherwise.

        Args:
            version: from 1 on; a new one goes to all addresses at once, and the first outcome of it at each address is
                told by an event HEARTBEAT_OUTCOME. Of the same one only new addresses hear at once.
            code: request code.
            body: of each heartbeat.
            addresses: where to, ``host:port``; none ends it.
            interval_ms: from an answer to the next heartbeat; a lost connection is followed by one at once.
            retry_ms: from a failure to the next one.
            timeout_ms: how long an answer may take.

        Raises:
            RuntimeError: the endpoint is closed.
        """

    def answer(self, answers: list[tuple[int, int, str | None, dict[str, str] | None, bytes]]) -> None:
        """Answer requests, in the header form of each; unknown ids and closed connections are passed over.

        Args:
            answers: ``(request_id, code, remark, fields, body)``.
        """

    def disconnect(self, address: str) -> None:
        """Close the connection to an address; its calls end with reason 2."""

    def close(self) -> None:
        """Close all ports and connections and end the threads. What is queued is still drained; may be repeated."""

@final
class Records:
    """Stored messages of one pull answer; made by `decode_messages`."""

    def __len__(self) -> int: ...
    def place(self, number: int) -> tuple[str, int]:
        """Topic and queue id of a message.

        Raises:
            IndexError: there is no such message.
        """

    def details(self, number: int) -> tuple[int, int, int, int, int, str, int, dict[str, str]]:
        """Decode the rest of a message.

        Returns:
            ``(physical_offset, flag, sys_flag, born_ms, stored_ms, store_host, reconsume_times, properties)``; a body
            that came inflated has the bits that said so taken off ``sys_flag``.

        Raises:
            IndexError: there is no such message.
        """

def decode_messages(body: bytes, max_body: int) -> tuple[Records, list[int], list[bytes], list[int]]:
    """Decode the stored messages of a pull answer: what every reader needs at once, the rest when it is asked for.

    Args:
        body: records back to back.
        max_body: bytes that a compressed body may have in the clear.

    Returns:
        The records; of each its queue offset; of each its body, inflated; and the numbers of those that cannot be
        inflated and come as they are.

    Raises:
        ValueError: a record is cut short, contradicts itself or fails its checksum.
    """

def encode_properties(properties: dict[str, str]) -> str:
    """Write message properties in their text form.

    Raises:
        ValueError: a name or value is empty or holds a separator, or the text exceeds 32,767 bytes.
    """

def encode_batch(messages: list[tuple[int, bytes, str]]) -> bytes:
    """Encode the body of a batch send.

    Args:
        messages: ``(flag, body, properties)``, the properties in their text form.

    Raises:
        ValueError: a part is too long for its length field.
    """

def open_journal() -> int:
    """Give a file descriptor that is readable while lines of the engine's log wait, those of before included.

    Only `take_journal` reads it. It takes the place of the one of an earlier call, which a child process needs.

    Raises:
        OSError: no descriptor is left.
    """

def take_journal() -> tuple[list[tuple[str, int, str]], int]:
    """Take all lines that wait; never blocks.

    Returns:
        Each as name of the logger, level in Python's numbers, text of one line; and how many were dropped since the
        last call because too many waited.
    """

def unique_id() -> str:
    """Make the next message id of this process (``UNIQ_KEY``): 32 hex digits, 56 with an IPv6 address."""

def java_hash(text: str) -> int:
    """Hash a text as Java's ``String.hashCode`` does; tag codes are made of it."""

def crc32(data: bytes) -> int:
    """Checksum of a message body: CRC-32 without its highest bit."""

def offset_id(host: str, port: int, physical_offset: int) -> str:
    """Id of a stored message, from the broker's IP address, its port and the record's place in the log.

    Raises:
        ValueError: ``host`` is not an IP address.
    """

def engine_routes() -> list[tuple[int, str, str, str]]:
    """Requests that a replica's engine answers by itself: code, name, header type, what an answer waits for."""

def code_name(code: int) -> str | None:
    """Name of a request code of RocketMQ; None for a number that has none."""

@final
class Broker:
    """One replica of a broker group, with its threads. Its events come out of the endpoint's `drain`.

    Its events are of the kinds ROLE, TOPICS, PROPOSED and STOPPED; after the last the process ends within a second.
    Requests with one of the configured `python_codes` arrive as REQUEST events.
    """

    def __new__(cls, endpoint: Endpoint, config: dict[str, object]) -> Self:
        """Start a replica. Returns before it serves: a new group waits for all its members.

        Args:
            endpoint: whose threads and events it uses.
            config: the settings, by name; all are required, and no other is taken.

        Raises:
            ValueError: a setting is missing, wrong or unknown, the directory is in use, or a port cannot be opened.
        """

    def stop(self, timeout_ms: int) -> None:
        """Stop cleanly; wait at most `timeout_ms` for what is appended to be decided."""

    def status(self) -> dict[str, Any]:
        """Role, term, leader, indexes, and a hash of the state."""

    def topics(self) -> list[tuple[str, int, int, int, int, bool, str, dict[str, str]]]:
        """Name, read queues, write queues, perm, system flags, order, filter type, attributes of each topic."""

    def topic(self, name: str) -> tuple[str, int, int, int, int, bool, str, dict[str, str]] | None:
        """One topic, as a row of `topics`."""

    def topic_version(self) -> tuple[int, int]:
        """Counter and time, in milliseconds, of the last change of the topic table."""

    def groups(self) -> list[str]:
        """Names of the subscription groups."""

    def put_topic(
        self,
        proposal_id: int,
        name: str,
        read: int,
        write: int,
        perm: int,
        sys_flag: int,
        order: bool,
        filter_type: str,
        attributes: dict[str, str],
    ) -> None:
        """Propose a topic; the outcome is an event with `proposal_id`."""

    def use_topic(self, proposal_id: int, name: str, queues: int) -> None:
        """Propose a topic as a send to it would, if there is none; the outcome is an event with `proposal_id`."""

    def permission(self) -> tuple[int, bool]:
        """Bits of permission that the group shows its topics with at most (6 or 4), and whether sends are rejected."""

    def put_permission(self, proposal_id: int, read_only: bool | None, rejects_sends: bool | None) -> None:
        """Propose what clients may do at the group; None leaves a half as it is. The outcome is an event."""

    def group_configs(self) -> list[dict[str, Any]]:
        """Subscription groups, ordered by name, each in the form of RocketMQ's `SubscriptionGroupConfig`.

        All of its members by their JSON names; of `groupRetryPolicy` the `type`, and of the two policies the one that
        it chooses, if that has pauses.
        """

    def group_version(self) -> tuple[int, int]:
        """Counter and time, in milliseconds, of the last change of the group table."""

    def put_group(self, proposal_id: int, config: dict[str, Any]) -> None:
        """Propose a subscription group, in the form of `group_configs`; the outcome is an event with `proposal_id`.

        Raises:
            ValueError: a field is missing or of a wrong type.
        """

    def delete_topic(self, proposal_id: int, name: str) -> None:
        """Propose to delete a topic with its messages and offsets; the outcome is an event with `proposal_id`.

        A topic that does not exist is deleted already.
        """

    def delete_group(self, proposal_id: int, name: str, clean_offsets: bool) -> None:
        """Propose to delete a subscription group, with `clean_offsets` also its offsets; the outcome is an event.

        A group that does not exist is deleted already.
        """

    def queue_range(self, topic: str, queue_id: int) -> tuple[int, int]:
        """Oldest offset of a queue and offset of its next message; 0 and 0 where there is none."""

    def store_times(self, topic: str, places: list[tuple[int, int]]) -> list[int]:
        """Store times, in milliseconds, of messages named by queue id and offset; 0 where there is none.

        Reads the log, without holding up other threads.

        Raises:
            OSError: the log cannot be read.
        """

    def offsets(self, group: str) -> list[tuple[str, int, int]]:
        """Topic, queue id and offset of all that a group has committed."""

    def subscribers(self, topic: str) -> list[str]:
        """Groups that are connected with a subscription to a topic, in no order."""

    def consumers(
        self, group: str
    ) -> tuple[str, str, str, list[tuple[str, str, str, int]], list[tuple[str, str, str, int]]] | None:
        """A consumer group as it is connected to this replica; None if nobody is.

        Returns:
            Message model, consume type, where a new group begins; members as address, client id, language, version;
            subscriptions as topic, expression, kind of expression, version.
        """

    def producers(self, group: str) -> list[tuple[str, str, str, int]]:
        """Connected members of a producer group: address, client id, language, version."""

    def first_stored(self, index: int, max_bytes: int) -> tuple[int | None, int | None]:
        """Look for the first message in a part of the log. Reads the log, without holding up other threads.

        Args:
            index: frame to begin with; 0 for the first that is kept.
            max_bytes: size of that part; one frame may be larger.

        Returns:
            Store time of the message in milliseconds, None if there is none in that part; index to go on at, None if
            nothing that is applied comes after it.

        Raises:
            OSError: the log cannot be read.
        """

    def delay_level(self, level: int) -> tuple[int, int] | None:
        """Messages put and messages stored of a delay level, counted from 1; None if there is no such level."""

    def counters(self) -> dict[str, int]:
        """Totals since the start; empty while it does not serve.

        What clients put here: put_messages, put_bytes, put_failed. What pulls took: get_messages, get_bytes, and the
        looks at queues that found something or nothing, get_found and get_missed. And the ends of the log:
        messages_applied (those read at the start included), log_end_position, applied_position. Places where readers
        met damage of the log: rot_detected. How often store timestamps fell because a clock had been ahead:
        timestamp_falls. Messages of other replicas that the consensus engine could not use: peer_messages_unusable.
        """

    def followers(self) -> list[tuple[str, str | None, int, int, int]]:
        """How far behind the other members are, as this leader knows; empty if it does not lead. Reads the log.

        Member id, address if known, the last frame that it has persisted, bytes of the log that it lacks, and for how
        long it has lacked something, ms.
        """

    def progress(self) -> list[tuple[str, int, bool]]:
        """How far the other members are, if this replica leads.

        Member id, index up to which it holds the log durably, whether it answered lately. Waits for a turn of the log
        thread, two seconds at most.
        """

    def send_away(self) -> None:
        """Refuse pulls with 14 and where the leader is, those that wait as well: for a replica that is going."""

    def promote(self, force: bool) -> tuple[int, int]:
        """Make this slave the master; its last frame and when that was stored, ms since 1970.

        Raises:
            ValueError: it is no slave, its master lives, or messages may be lost and that was not forced.
        """

    def transfer_leader(self, member: str) -> None:
        """Hand leadership to a member, if this replica leads.

        Raises:
            ValueError: no such member.
        """
