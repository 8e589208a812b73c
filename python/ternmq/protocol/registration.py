"""The body of a broker's registration (103), plain and compressed."""

import struct
import zlib
from collections.abc import Generator, Iterator

import msgspec

from ternmq.errors import BodyError
from ternmq.protocol.codes import MAPPING_SECTION_VERSION, REGISTER_BODY_VERSION
from ternmq.protocol.fastjson import decode_as
from ternmq.protocol.topics import (
    DataVersion,
    QueueShape,
    TopicConfig,
    TopicTable,
    decode_data_version,
    decode_topic_table,
    decode_topic_text,
    queue_shape,
    topic_table_members,
)

MAX_INFLATED_BYTES = 64 << 20
_COUNTED_BYTES = 256 << 10

# Read in well under a millisecond.
_PIECE_BYTES = 64 << 10
# Two would do: a topic has one object inside, its attributes.
_PIECE_ATTEMPTS = 8
_shapes_decoder = msgspec.json.Decoder(dict[str, QueueShape], strict=False)


class RegisterBrokerBody(msgspec.Struct, frozen=True, rename="camel"):
    """Topics of a broker, and the filter servers that nobody has any more."""

    filter_server_list: list[str] = []
    topic_config_serialize_wrapper: TopicTable = TopicTable()

    def encode(self) -> bytes:
        """Write the plain form."""
        return msgspec.json.encode(
            {
                "filterServerList": self.filter_server_list,
                "topicConfigSerializeWrapper": topic_table_members(self.topic_config_serialize_wrapper),
            }
        )


class ShapeTable(msgspec.Struct, frozen=True, rename="camel"):
    """A registered topic table, of each topic what routes say of it; reading no more than that takes a third."""

    data_version: DataVersion = DataVersion()
    topic_config_table: dict[str, QueueShape] = {}


class _RawTable(msgspec.Struct, frozen=True, rename="camel"):
    data_version: DataVersion = DataVersion()
    topic_config_table: msgspec.Raw = msgspec.Raw(b"{}")


class _RawTableBody(msgspec.Struct, frozen=True, rename="camel"):
    topic_config_serialize_wrapper: _RawTable = _RawTable()


def body_crc32(body: bytes) -> int:
    """Checksum of a body as transmitted, 31 bits as in Java; 0 in a header means unchecked."""
    return zlib.crc32(body) & 0x7FFF_FFFF


def decode_register_body(body: bytes, *, compressed: bool, version: int) -> RegisterBrokerBody:
    """Read the body of a registration.

    Args:
        body: as transmitted.
        compressed: header field `compressed`.
        version: the sender's version ordinal; decides which sections the body has.

    Raises:
        BodyError: not readable, or larger than 64 MiB when inflated.
    """
    if version < REGISTER_BODY_VERSION:
        return RegisterBrokerBody(topic_config_serialize_wrapper=decode_topic_table(body))
    if not compressed:
        return decode_as(body, RegisterBrokerBody, "RegisterBrokerBody")
    return _decode_compressed(_inflate(body), with_mappings=version >= MAPPING_SECTION_VERSION)


def decoding_plain_shapes(body: bytes, *, version: int) -> Generator[None, None, ShapeTable | None]:
    """Read the topics of an uncompressed registration natively, in steps: 20,000 of them are a few MB.

    Args:
        body: as transmitted.
        version: the sender's version ordinal.

    Returns:
        The topics; None for a body that only `decode_shapes` may be able to read.
    """
    try:
        if version < REGISTER_BODY_VERSION:
            table = msgspec.json.decode(body, type=_RawTable, strict=False)
        else:
            table = msgspec.json.decode(body, type=_RawTableBody, strict=False).topic_config_serialize_wrapper
        yield
        shapes: dict[str, QueueShape] = {}
        for piece in _pieces(bytes(table.topic_config_table)):
            shapes |= piece
            yield
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return ShapeTable(table.data_version, shapes)


def _pieces(text: bytes) -> Iterator[dict[str, QueueShape]]:
    at = 0
    while (found := _piece(text, at)) is not None:
        at, shapes = found
        yield shapes
    yield _shapes_decoder.decode(b"{%b" % text[at + 1 :])


def _piece(text: bytes, at: int) -> tuple[int, dict[str, QueueShape]] | None:
    """Read some topics of an object of topics.

    A piece ends at a brace before `,"`. Whether that brace ends a topic shows when the piece is read as an object of
    its own: where that object is complete, so is the last topic.

    Args:
        text: the object.
        at: where its brace stands, or the comma after the piece before.

    Returns:
        Where the piece ends, and its topics; None if all that follows is best read at once.
    """
    end = at + _PIECE_BYTES
    for _ in range(_PIECE_ATTEMPTS):
        end = text.find(b'},"', end) + 1
        if not end:
            break
        try:
            return end, _shapes_decoder.decode(b"{%b}" % text[at + 1 : end])
        except msgspec.DecodeError:
            continue
    return None


def decode_shapes(body: bytes, *, compressed: bool, version: int) -> ShapeTable:
    """Read the topics of any registration, as `decode_register_body` does, whose arguments and errors it has.

    Raises:
        BodyError: not readable, or larger than 64 MiB when inflated.
    """
    table = decode_register_body(body, compressed=compressed, version=version).topic_config_serialize_wrapper
    shapes = {name: queue_shape(config) for name, config in table.topic_config_table.items()}
    return ShapeTable(table.data_version, shapes)


def _inflate(body: bytes) -> bytes:
    # Its length is counted before a byte of it is kept. Inflated in one call, a body without end takes twice the bound,
    # for its pieces and for what they are joined to, and the C library keeps half of that for the process's life.
    length = _inflated_length(body)
    try:
        return zlib.decompress(body, bufsize=max(length, 1))
    except zlib.error as error:
        raise BodyError(f"a compressed registration cannot be inflated: {error}") from error


def _inflated_length(body: bytes) -> int:
    inflater = zlib.decompressobj()
    length = 0
    rest = body
    while not inflater.eof:
        try:
            piece = inflater.decompress(rest, _COUNTED_BYTES)
        except zlib.error as error:
            raise BodyError(f"a compressed registration cannot be inflated: {error}") from error
        rest = inflater.unconsumed_tail
        length += len(piece)
        if length > MAX_INFLATED_BYTES:
            raise BodyError(f"a compressed registration has more than {MAX_INFLATED_BYTES} bytes")
        if not piece and not rest and not inflater.eof:
            raise BodyError("a compressed registration is cut off")
    return length


class _Sections:
    """Reader of `i32 length, bytes` sections."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def count(self) -> int:
        if self.at + 4 > len(self.data):
            raise BodyError("a compressed registration ends within a length")
        (number,) = struct.unpack_from(">i", self.data, self.at)
        self.at += 4
        if not 0 <= number <= len(self.data) - self.at:
            raise BodyError(f"a compressed registration claims {number} with {len(self.data) - self.at} bytes left")
        return int(number)

    def section(self) -> bytes:
        length = self.count()
        self.at += length
        return self.data[self.at - length : self.at]


def _decode_compressed(plain: bytes, *, with_mappings: bool) -> RegisterBrokerBody:
    """Layout, inflated: version JSON; count, topics as text; filter servers JSON; since 5.0 count and mappings."""
    sections = _Sections(plain)
    version = decode_data_version(sections.section())
    topics: dict[str, TopicConfig] = {}
    for _ in range(sections.count()):
        raw = sections.section()
        try:
            topic = decode_topic_text(raw.decode())
        except ValueError as error:
            raise BodyError(f"a topic in a compressed registration cannot be read: {error}") from error
        topics[topic.topic_name] = topic
    filter_servers = decode_as(sections.section(), list[str], "filter server list")
    if with_mappings:
        for _ in range(sections.count()):
            sections.section()
    return RegisterBrokerBody(filter_servers, TopicTable(data_version=version, topic_config_table=topics))
