"""Payloads to bytes and back."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

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
    """Objects of one type as JSON: dataclasses, msgspec structs, builtins, their collections, and pydantic models.

    Models are read and written by pydantic, by their aliases; also where they stand in collections and unions. All
    else is msgspec's.

    Args:
        kind: type of the payload; a body that does not fit it does not decode.

    Raises:
        ConfigError: a type that neither knows; it could never decode.
    """

    def __init__(self, kind: type[T]) -> None:
        from ternmq.client.json_types import json_functions  # only users of this codec pay for it

        self.kind = kind
        self._encode, self._decode = json_functions(kind)

    def encode(self, value: T, /) -> bytes:
        """Make a body of an object."""
        return self._encode(value)

    def decode(self, body: bytes, /) -> T:
        """Make an object of a body.

        Raises:
            msgspec.MsgspecError: not JSON, or not of this type; of pydantic, its ValidationError.
        """
        value: T = self._decode(body)
        return value

    def __repr__(self) -> str:
        return f"JSON({self.kind!r})"
