"""Tables that newer tools ask for page by page (21, 201).

Source: RocketMQ 5.5, TopicConfigManager#subTopicConfigTable. A page belongs to a version of the table: who names
another one, or none, gets the first page, and begins again.
"""

from collections.abc import Mapping
from itertools import islice
from typing import TypeVar

from ternmq.errors import BodyError, HeaderError
from ternmq.protocol.fields import int_field
from ternmq.protocol.topics import DataVersion, decode_data_version

Row = TypeVar("Row")


def page(
    table: Mapping[str, Row], version: DataVersion, fields: Mapping[str, str], first: str, most: str
) -> dict[str, Row]:
    """Give the part of a table that was asked for, the whole one if no part was.

    Args:
        table: the rows, in an order that does not change within a version.
        version: of the table.
        fields: header of the request.
        first: field with the number of rows to pass over.
        most: field with the size of a page.

    Raises:
        HeaderError: a field does not parse.
    """
    if not fields.get(first) or not fields.get(most):
        return dict(table)
    start = int_field(fields, first)
    size = int_field(fields, most, least=1)
    if _version(fields.get("dataVersion", "")) != version:
        start = 0
    return dict(islice(table.items(), start, start + size))


def _version(text: str) -> DataVersion | None:
    if not text.strip():
        return None
    try:
        return decode_data_version(text.encode())
    except BodyError as error:
        raise HeaderError(f"the header field dataVersion cannot be read: {error}") from error
