"""Write docs/settings.md from the tables of settings and of Apache's keys: every key of every file, and its meaning.

Run by `make generate`; a test fails if the file differs from what this writes.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ternmq.config.apache_ignored import SOCKETS
from ternmq.config.apache_keys import BROKER_KEYS, ApacheKey
from ternmq.config.apache_places import BROKER_PLACES, NAMESERVER_PLACES, Config, Place
from ternmq.config.namesrv_conf import A_BROKERS, NAMESERVER_KEYS
from ternmq.config.setting import Setting
from ternmq.config.settings import BROKER, NAMESERVER
from ternmq.config.topology import SharedSection, TopologyFile

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "settings.md"

_HEAD = """# Settings

Every key that a node can be told: by a topology file, or by the files that Apache's servers have. A key that is not
here stops the start, with the nearest that is (`--lenient` passes over unknown keys of Apache's files).

Written by `make generate` from `python/ternmq/config/settings.py` and its neighbours; do not edit it.
"""
_TABLES = {
    "ClusterSection": "`[cluster]`",
    "NameServerSection": "`[[nameserver]]`",
    "GroupSection": "`[[group]]`",
    "MemberSection": "`members` of a `[[group]]`",
}


def document() -> str:
    """Give the whole text."""
    schema = msgspec.json.schema(TopologyFile)["$defs"]
    shared = msgspec.json.schema(SharedSection)["$defs"]["SharedSection"]
    parts = [
        _HEAD,
        "## A broker's settings\n",
        "In `[defaults]` of a topology file, equal on all brokers, or in a `broker.conf`. Sizes and durations of a"
        " topology file are a\nnumber and a unit: B, KiB, MiB, GiB, TiB; ms, s, m, h, d. In Apache's files they are"
        " bytes and milliseconds.\n",
        _table(("key", "default", "bounds", "meaning", "in a `broker.conf`", "a change wants"), map(_setting, BROKER)),
        "Beside them `[defaults]` has\n",
        _table(("key", "default", "meaning"), _keys(shared)),
        "## Other tables of a topology file\n",
    ]
    for section, title in _TABLES.items():
        parts += [f"### {title}\n", _table(("key", "default", "meaning"), _keys(schema[section]))]
    parts += [
        "## `broker.conf`\n",
        "The settings above (a single master without `flushDiskType` says `ASYNC_FLUSH`, as Apache's does), and names,"
        " addresses and folders:\n",
        _table(("key", "here"), _places(BROKER_PLACES)),
        *_others(BROKER_KEYS),
        "## `namesrv.conf`\n",
        _table(("key", "default", "bounds", "meaning"), map(_of_a_nameserver, NAMESERVER)),
        _table(("key", "here"), _places(NAMESERVER_PLACES)),
        "Keys of a broker and those of sockets mean nothing there.\n",
        *_others({key: known for key, known in NAMESERVER_KEYS.items() if known.text not in (A_BROKERS, SOCKETS)}),
    ]
    return "\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def _setting(row: Setting) -> tuple[str, ...]:
    apache = [f"`{key}`" for key in (row.apache, row.apache_before) if key is not None]
    return (f"`{row.key}`", _default(row), _bounds(row), row.help, ", once ".join(apache) or "-", f"a {row.change}")


def _of_a_nameserver(row: Setting) -> tuple[str, ...]:
    return (f"`{row.apache}`", _default(row), _bounds(row), row.help)


def _default(row: Setting) -> str:
    return row.chosen or f"`{row.in_words(row.default)}`"


def _bounds(row: Setting) -> str:
    if row.kind in {"switch", "word"}:
        return " or ".join(f"`{word}`" for word in (row.words or ("true", "false")))
    if row.most is None:
        return "-" if row.least is None else f"from {row.in_words(row.least)}"
    return f"{row.in_words(row.least or 0)} to {row.in_words(row.most)}"


def _keys(section: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Give a row for each key of a table of the file, from the schema of its type."""
    rows: list[tuple[str, ...]] = []
    for key, about in section["properties"].items():
        default = about.get("default")
        if key in section.get("required", ()):
            shown = "required"
        elif isinstance(default, bool):
            shown = f"`{str(default).lower()}`"
        else:
            shown = f"`{default}`" if default else "-"
        rows.append((f"`{key}`", shown, about["description"]))
    return rows


def _places(places: Sequence[Place[Config]]) -> list[tuple[str, ...]]:
    return [(f"`{place.key}`", place.ours) for place in places]


def _others(keys: Mapping[str, ApacheKey]) -> list[str]:
    """Give the tables of the keys that are refused, and of those without meaning, by their reasons."""
    refused: dict[tuple[str, str], list[str]] = {}
    ignored: dict[str, list[str]] = {}
    for key, known in sorted(keys.items()):
        if known.kind == "refused":
            refused.setdefault((known.text, " ".join(sorted(known.harmless))), []).append(key)
        elif known.kind == "ignored":
            ignored.setdefault(known.text, []).append(key)
    return [
        "Refused, unless the value says what is so anyway:\n",
        _table(
            ("keys", "taken as", "why"),
            (
                (_named(names), f"`{harmless}`" if harmless else "empty", why)
                for (why, harmless), names in refused.items()
            ),
        ),
        "Without meaning here; each is named at start:\n",
        _table(("why", "keys"), ((why, _named(names)) for why, names in sorted(ignored.items()))),
    ]


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


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
