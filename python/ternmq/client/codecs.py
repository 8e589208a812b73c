"""Payloads to bytes and back."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from ternmq.errors import CodecError

T = TypeVar("T")


class Codec(Protocol[T]):
    """Two methods that turn a payload into a message body and back.

    Either may raise anything; the client turns it into a `CodecError`.
    """

    def encode(self, value: T, /) -> bytes:
        """Make a body of a payload."""

    def decode(self, body: bytes, /) -> T:
        """Make a payload of a body."""


class Raw:
    """Bytes as they are: the default."""

    def encode(self, value: bytes, /) -> bytes:
        """Take the payload as the body.

        Raises:
            CodecError: not bytes.
        """
        if not isinstance(value, bytes):
            raise CodecError(f"the payload is {type(value).__name__}, but without a codec it must be bytes")
        return value

    def decode(self, body: bytes, /) -> bytes:
        """Take the body as the payload."""
        return body


class Text:
    """Strings as UTF-8."""

    def encode(self, value: str, /) -> bytes:
        """Make a body of a string."""
        return value.encode()

    def decode(self, body: bytes, /) -> str:
        """Make a string of a body.

        Raises:
            UnicodeDecodeError: not UTF-8.
        """
        return body.decode()


class JSON(Generic[T]):
    """Objects of one type as JSON: dataclasses, msgspec structs, builtins and their collections.

    Args:
        kind: type of the payload; a body that does not fit it does not decode.
    """

    def __init__(self, kind: type[T]) -> None:
        import msgspec  # only users of this codec pay for it

        self.kind = kind
        self._encoder = msgspec.json.Encoder()
        self._decoder: Any = msgspec.json.Decoder(kind)

    def encode(self, value: T, /) -> bytes:
        """Make a body of an object."""
        return self._encoder.encode(value)

    def decode(self, body: bytes, /) -> T:
        """Make an object of a body.

        Raises:
            msgspec.MsgspecError: not JSON, or not of this type.
        """
        value: T = self._decoder.decode(body)
        return value
