"""Sizes and durations as people write them: a number and a unit, never a bare number."""

import re

from ternmq.errors import ConfigError

_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_QUANTITY = re.compile(r"\s*(\d+)\s*([A-Za-z]+)\s*")


def _parse(text: str, key: str, units: dict[str, int], example: str) -> int:
    found = _QUANTITY.fullmatch(text)
    if found is None or found.group(2) not in units:
        names = ", ".join(units)
        raise ConfigError(f'{key} = "{text}" is not a number with a unit ({names}), for example "{example}"')
    return int(found.group(1)) * units[found.group(2)]


def parse_size(text: str, key: str) -> int:
    """Read a size such as "64MiB".

    Args:
        text: what the file says.
        key: name of the field, for the error.

    Returns:
        Bytes.

    Raises:
        ConfigError: no number, no unit, or an unknown unit.
    """
    return _parse(text, key, _SIZE_UNITS, "64MiB")


def parse_duration_ms(text: str, key: str) -> int:
    """Read a duration such as "300ms".

    Args:
        text: what the file says.
        key: name of the field, for the error.

    Returns:
        Milliseconds.

    Raises:
        ConfigError: no number, no unit, or an unknown unit.
    """
    return _parse(text, key, _DURATION_UNITS_MS, "300ms")


def size_text(size: int) -> str:
    """Write bytes as `parse_size` reads them, in the largest unit that divides them."""
    return _text(size, _SIZE_UNITS)


def duration_text(duration_ms: int) -> str:
    """Write milliseconds as `parse_duration_ms` reads them, in the largest unit that divides them."""
    return _text(duration_ms, _DURATION_UNITS_MS)


def _text(value: int, units: dict[str, int]) -> str:
    unit = next(unit for unit in reversed(units) if value % units[unit] == 0)
    return f"{value // units[unit]}{unit}"
