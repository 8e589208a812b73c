"""Write docs/compatibility.md from the dispatch tables: which requests are served, where, and which test shows it.

Run by `make generate`; a test fails if the file differs from what this writes.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

from ternmq.broker.dispatch import admin_dispatch_table
from ternmq.broker.engine import code_name, engine_routes
from ternmq.namesrv.dispatch import nameserver_dispatch_table
from ternmq.protocol.codes import RequestCode

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "compatibility.md"

_HEAD = """# Compatibility

Requests of RocketMQ's remoting protocol that are served, with the codes of 4.9 and 5.x. Any other code is answered with
3, "not supported". Codes from 30000 on are ours.

Written by `make generate` from the dispatch tables; do not edit it.
"""

NAMESRV, ENGINE, CONTROL = "NameServer", "broker, engine", "broker, control plane"

_ADMIN = "tests/unit/broker/test_admin_handlers.py"
_GROUPS = "tests/unit/broker/test_group_handlers.py"
_SHOWN = "tests/unit/broker/test_inspection_handlers.py"
_MQADMIN = "tests/conformance/test_mqadmin.py"
_NAMESRV = "tests/unit/namesrv/test_handlers.py"
_SEND = "tests/conformance/test_java_send.py"
_PULL = "tests/conformance/test_java_pull.py"
_OFFSETS = "tests/conformance/test_java_offsets.py"
_CONSUMERS = "crates/broker/tests/solo/consumers.rs"

# The nearest test of each code: with a foreign program where there is one.
TESTS = {
    ENGINE: {
        10: "crates/broker/tests/solo/main.rs", 11: _PULL, 12: "tests/conformance/test_java_queries.py", 14: _OFFSETS,
        15: _OFFSETS, 29: _OFFSETS, 30: _OFFSETS, 31: _OFFSETS, 32: _OFFSETS,
        33: "tests/conformance/test_java_queries.py", 34: _CONSUMERS, 35: _CONSUMERS,
        36: "tests/conformance/test_java_retry.py", 38: _CONSUMERS, 41: "tests/conformance/test_java_push.py",
        42: "tests/conformance/test_java_push.py", 46: "crates/broker/tests/solo/lookups.rs", 310: _SEND, 320: _SEND,
        361: "tests/conformance/test_java_lite_pull.py",
    },
    CONTROL: {
        17: _MQADMIN, 18: _ADMIN, 21: _SHOWN, 25: _SHOWN, 26: _SHOWN, 28: _ADMIN, 43: _SHOWN, 200: _MQADMIN,
        201: _MQADMIN, 202: _MQADMIN, 203: _MQADMIN, 204: _SHOWN, 207: _MQADMIN, 208: _MQADMIN, 215: _MQADMIN,
        225: _GROUPS, 300: _MQADMIN, 351: _SHOWN, 352: _GROUPS, 30_001: _ADMIN, 30_002: _ADMIN, 30_003: _ADMIN,
        30_004: _ADMIN,
    },
    NAMESRV: dict.fromkeys(
        (100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 318, 319, 322, 327, 901,
         904), _NAMESRV,
    ),
}  # fmt: skip


class Served(NamedTuple):
    """One row."""

    code: int
    name: str
    where: str
    handler: str
    test: str | None


class _Family:
    """Stands in for an object of handlers: its attributes are their names."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, handler: str) -> str:
        return f"{self._name}.{handler}"


class _Families:
    """Stands in for all handlers of the control plane."""

    def __getattr__(self, name: str) -> _Family:
        return _Family(name)


def rows() -> list[Served]:
    """Give a row for each code that each side serves, ordered by code."""
    # The tables only look up handlers, so names do; their types say otherwise.
    families: Any = _Families()
    namesrv: list[Any] = [_Family(name) for name in ("registration", "routes", "topics", "kv", "settings")]
    found = [(code, ENGINE, f"{header}, {waits_for}") for code, _, header, waits_for in engine_routes()]
    found += [(code, CONTROL, str(handler)) for code, handler in admin_dispatch_table(families).items()]
    found += [(code, NAMESRV, str(handler)) for code, handler in nameserver_dispatch_table(*namesrv).items()]
    served = [Served(int(code), _name(code), where, how, TESTS[where].get(int(code))) for code, where, how in found]
    return sorted(served, key=lambda row: (row.code, row.where))


def document() -> str:
    """Give the whole text."""
    lines = [
        _HEAD,
        "| code | name | where | handler, or header and what it waits for | shown by |",
        "|---|---|---|---|---|",
    ]
    for row in rows():
        shown = f"`{row.test}`" if row.test else "-"
        lines.append(f"| {row.code} | {row.name} | {row.where} | {row.handler} | {shown} |")
    return "\n".join(lines) + "\n"


def _name(code: int) -> str:
    known = code_name(code)
    return known if known is not None else RequestCode(code).name


def main() -> int:
    """Write the document, or only say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if the document differs")
    text = document()
    if parser.parse_args().check:
        return int(not DOCUMENT.exists() or DOCUMENT.read_text() != text)
    DOCUMENT.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
