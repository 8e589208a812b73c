"""Header fields: texts in a map, read into types; what does not parse is answered with 29 and keeps the connection."""

from collections.abc import Mapping

from ternmq.errors import HeaderError

MAX_NAME_LENGTH = 255


def text_field(fields: Mapping[str, str], name: str) -> str:
    """Give a required text.

    Raises:
        HeaderError: missing or blank.
    """
    value = fields.get(name)
    if value is None or not value.strip():
        raise HeaderError(f"the header field {name} is missing")
    return value


def name_field(fields: Mapping[str, str], name: str) -> str:
    """Give a required name: at most 255 printable characters, as it is echoed and logged.

    Raises:
        HeaderError: missing, too long or with control characters.
    """
    value = text_field(fields, name)
    if len(value) > MAX_NAME_LENGTH:
        raise HeaderError(f"the header field {name} is longer than {MAX_NAME_LENGTH} characters")
    if not value.isprintable():
        raise HeaderError(f"the header field {name} has control characters")
    return value


def int_field(
    fields: Mapping[str, str], name: str, default: int | None = None, *, least: int = 0, most: int = (1 << 63) - 1
) -> int:
    """Give an integer.

    Args:
        fields: the header.
        name: of the field.
        default: for a missing one; None means that it is required.
        least: smallest value allowed.
        most: greatest value allowed.

    Raises:
        HeaderError: missing, not an integer, or out of bounds.
    """
    value = fields.get(name)
    if value is None or value == "":
        if default is None:
            raise HeaderError(f"the header field {name} is missing")
        return default
    # Not int() alone, which takes spaces, underscores and digits of other scripts.
    if not value.removeprefix("-").isdecimal() or not value.isascii() or len(value) > 20:
        raise HeaderError(f"the header field {name} is not an integer")
    number = int(value)
    if not least <= number <= most:
        raise HeaderError(f"the header field {name} is {number}, outside {least} to {most}")
    return number


def bool_field(fields: Mapping[str, str], name: str, default: bool = False) -> bool:
    """Give a boolean; as in Java only `true`, in any case, is true."""
    value = fields.get(name)
    return default if value is None else value.lower() == "true"
