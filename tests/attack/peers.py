"""Peers that misbehave: raw sockets, and what may be expected of the other end."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator

from support.speaker import RESPONSE, Answer, parse_answer, read_answer

CLOSED_WITHIN_SECONDS = 10.0


@contextlib.contextmanager
def connected(address: str, timeout: float = 5.0, *, receive_buffer: int | None = None) -> Iterator[socket.socket]:
    """A raw connection.

    Args:
        address: host:port.
        timeout: of each call on it, in seconds.
        receive_buffer: bytes; a small one makes an unread peer felt early.
    """
    host, port = address.rsplit(":", 1)
    with socket.socket() as peer:
        if receive_buffer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.settimeout(timeout)
        peer.connect((host, int(port)))
        yield peer


def send_all(peer: socket.socket, data: bytes) -> None:
    """Send, unless the other end has had enough in the middle of it."""
    with contextlib.suppress(ConnectionError):
        peer.sendall(data)


def is_closed(peer: socket.socket, within: float = CLOSED_WITHIN_SECONDS) -> bool:
    """Whether the other end closes without saying anything more."""
    peer.settimeout(within)
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def says_nothing(peer: socket.socket, within: float = 0.3) -> bool:
    """Whether the other end neither answers nor closes."""
    readable, _, _ = select.select([peer], [], [], within)
    return not readable


def answers(peer: socket.socket, count: int) -> list[Answer]:
    """So many answers, in the order they come."""
    return [read_answer(peer) for _ in range(count)]


def answers_in(received: bytes) -> list[Answer]:
    """All whole answers in what was received."""
    found = []
    at = 0
    while at + 4 <= len(received):
        (length,) = struct.unpack_from(">I", received, at)
        if at + 4 + length > len(received):
            break
        answer = parse_answer(received[at + 4 : at + 4 + length])
        assert answer.flag & RESPONSE
        found.append(answer)
        at += 4 + length
    return found


def binary_header(code: int, opaque: int, flag: int, fields: bytes, *, remark_length: int = 0) -> bytes:
    """A binary header with any bytes for its fields."""
    return struct.pack(">hBhiii", code, 0, 409, opaque, flag, remark_length) + struct.pack(">i", len(fields)) + fields
