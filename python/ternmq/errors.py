"""The exception tree: one class per situation that a caller treats differently.

    MQError                                code, broker, remark, retriable, refresh_route
    ├─ ConfigError (ValueError)            wrong or contradictory argument or configuration; nothing was sent
    │   └─ NotANameServerError             the address given for a NameServer is a broker's
    ├─ CodecError (ValueError)             a payload or body that cannot be read or written
    │   └─ BodyError                       a peer's JSON body that cannot be read
    ├─ ClientClosedError
    │   ├─ ForkedClientError               used in a child process after os.fork
    │   └─ ForeignLoopError                used in another event loop than the one that opened it
    ├─ UnsupportedError                    the broker's version or the transport cannot do it
    ├─ UnreachableError (ConnectionError)  no address could be reached; nothing was sent
    ├─ CallTimeoutError (TimeoutError)     sent, but not answered in time
    ├─ ConnectionLostError (ConnectionError)  sent, and the connection closed before the answer
    ├─ RouteNotFoundError                  17: no such topic, no auto-creation
    ├─ AccessDeniedError (PermissionError) 16
    ├─ RejectedError                       the message is not stored
    │   ├─ BrokerBusyError                 2; retriable
    │   ├─ NotWritableError                14: no leader, disk reserve reached, draining
    │   └─ MessageIllegalError             13: size, name, properties
    ├─ OutcomeUnknownError                 may be stored, may be delivered: never treat as lost
    │   ├─ SendTimeoutError (TimeoutError)
    │   └─ StoredUnconfirmedError          10, 11, 12; has the receipt
    ├─ NotFoundError
    ├─ AlreadyExistsError                  what is to be created is there
    ├─ NotDrainedError                     a broker group that is to be emptied or taken away is in use
    ├─ OffsetOutOfRangeError
    ├─ AlreadySettledError (RuntimeError)  a message or batch is settled a second time, or by itself and with its batch
    ├─ HeaderError                         29: a peer's header field that is missing or cannot be read
    ├─ AttributeRefusedError               29: a topic cannot have these attributes
    ├─ SettlementLostError                 the queue belongs to another consumer now; the message comes again
    ├─ LaunchError                         a local cluster cannot be started or driven
    │   ├─ NotRunningError                 none runs in that folder
    │   └─ AlreadyRunningError             the node or cluster to be started runs
    ├─ RegistrationRefusedError            a NameServer does not take a registration
    │   ├─ StaleTermError                  a registration from a leader that has been replaced
    │   └─ NameTakenError                  a registration under the name of another group
    └─ ServerError                         1 outside sends, and any other code

    Reject (Exception)                     raised by those who handle messages, never by ternmq

Callers never compare texts. Exceptions name limits and addresses, never secrets or bodies.
"""


class MQError(Exception):
    """Base of everything that ternmq raises on purpose.

    Args:
        message: what happened and what to do next, one or two sentences.
        code: response code of the peer; None where none was received.
        broker: address or name of the peer that answered or failed.
        remark: the peer's own words, for people only.
    """

    retriable = False
    """Whether the same call may succeed a moment later."""
    refresh_route = False
    """Whether the route should be read again before the next try."""

    def __init__(
        self, message: str, *, code: int | None = None, broker: str | None = None, remark: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.broker = broker
        self.remark = remark


class ConfigError(MQError, ValueError):
    """An argument or a configuration that is wrong or contradicts itself; nothing was sent or started."""


class NotANameServerError(ConfigError):
    """An address that was given as a NameServer's is a broker's."""

    def __init__(self, address: str, *, code: int | None = None) -> None:
        super().__init__(
            f"{address} is a broker, not a NameServer; give the address of a NameServer, whose port is mostly 9876",
            code=code,
            broker=address,
        )


class CodecError(MQError, ValueError):
    """A payload that cannot be encoded or decoded."""


class BodyError(CodecError):
    """A JSON body of a peer that even the lenient reader cannot read, or that lacks what it must have."""


class HeaderError(MQError):
    """A header field of a peer is missing or does not parse (answered with code 29)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=29, remark=message)


class ClientClosedError(MQError):
    """The client, producer or consumer was closed."""


class ForkedClientError(ClientClosedError):
    """The client was opened in the parent process; a child must open its own."""


class ForeignLoopError(ClientClosedError):
    """The client was opened in another event loop; each loop must open its own."""


class UnsupportedError(MQError):
    """The broker's version or the transport cannot do what was asked."""


class UnreachableError(MQError, ConnectionError):
    """No connection could be made; nothing was sent."""

    retriable = True
    refresh_route = True


class CallTimeoutError(MQError, TimeoutError):
    """The request was sent and not answered in time: what it did is unknown."""

    retriable = True
    refresh_route = True


class ConnectionLostError(MQError, ConnectionError):
    """The request was sent and the connection closed before the answer: what it did is unknown."""

    retriable = True
    refresh_route = True


class RouteNotFoundError(MQError):
    """No NameServer knows the topic and it is not created by itself (code 17)."""


class AccessDeniedError(MQError, PermissionError):
    """The topic, group or caller lacks the permission (code 16)."""


class RejectedError(MQError):
    """The message is not stored.

    Args:
        certain: False where the peer is known to send the same code after an append too.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        broker: str | None = None,
        remark: str | None = None,
        certain: bool = True,
    ) -> None:
        super().__init__(message, code=code, broker=broker, remark=remark)
        self.certain = certain


class BrokerBusyError(RejectedError):
    """A limit of the broker is reached (code 2); the remark names it."""

    retriable = True


class NotWritableError(RejectedError):
    """The broker takes no writes now: no leader, disk reserve reached, draining (code 14)."""

    retriable = True
    refresh_route = True


class MessageIllegalError(RejectedError):
    """Size, name or properties of the message break a limit (code 13)."""


class OutcomeUnknownError(MQError):
    """The message may be stored and may be delivered: never treat it as lost."""

    retriable = True


class SendTimeoutError(OutcomeUnknownError, TimeoutError):
    """A send was not answered within its timeout."""

    refresh_route = True


class StoredUnconfirmedError(OutcomeUnknownError):
    """Stored by the master, but not confirmed as far as the broker promises (codes 10, 11, 12).

    Args:
        receipt: the send receipt, as it would have been returned.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        broker: str | None = None,
        remark: str | None = None,
        receipt: object = None,
    ) -> None:
        super().__init__(message, code=code, broker=broker, remark=remark)
        self.receipt = receipt


class NotFoundError(MQError):
    """What was asked for does not exist (codes 22, 24, 26)."""


class AlreadyExistsError(MQError):
    """What was to be created exists; it was left as it is."""


class NotDrainedError(MQError):
    """A broker group that is to be emptied or taken away is still needed; nothing was taken away."""


class OffsetOutOfRangeError(MQError):
    """The queue offset lies outside what the broker keeps (code 21)."""


class AlreadySettledError(MQError, RuntimeError):
    """A message or batch was settled before, or a message of a batch is settled by itself: a mistake of the caller."""


class AttributeRefusedError(MQError):
    """An attribute of a topic breaks a rule (answered with code 29)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=29, remark=message)


class SettlementLostError(MQError):
    """The queue went to another consumer before the message was settled; it will come again."""


class RegistrationRefusedError(MQError):
    """A NameServer does not take a registration: it is not whole, or a newer leader is known there."""


class StaleTermError(RegistrationRefusedError):
    """A leader registered with an older term than one already seen for its group.

    Args:
        broker_name: the group.
        offered: term of the refused registration.
        held: the newest term seen.
    """

    def __init__(self, broker_name: str, offered: int, held: int) -> None:
        super().__init__(
            f"leader of {broker_name} registers with term {offered}, but term {held} has been seen", code=1
        )
        self.broker_name = broker_name
        self.offered = offered
        self.held = held


class NameTakenError(RegistrationRefusedError):
    """A master registered under the name of a group that has another master in the same term."""


class LaunchError(MQError):
    """A local cluster cannot be started or driven.

    Args:
        hint: the next thing to try.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NotRunningError(LaunchError):
    """No local cluster runs in that folder."""


class AlreadyRunningError(LaunchError):
    """The node or the cluster that was to be started runs already."""


class ServerError(MQError):
    """Any other failure that the peer reported."""


class Reject(Exception):
    """Raise it in a message's block to make the message a dead letter at once: to try again would not help."""
