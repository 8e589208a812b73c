"""Reading and writing the topology file: TOML, strict, at most 1 MiB."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from ternmq.config.names import nearest
from ternmq.config.rules import check_topology
from ternmq.config.topology import (
    ClusterSection,
    DefaultsSection,
    GroupSection,
    MemberSection,
    NameServerSection,
    Section,
    Topology,
    TopologyFile,
)
from ternmq.errors import ConfigError

MAX_FILE_BYTES = 1 << 20

# Keys that a reader of the documentation may try before the part exists, and where others went.
_KNOWN_ELSEWHERE = {
    "retention": "retention is not there yet: this version deletes nothing; remove the key",
    "tls": "tls is not there yet; keep the cluster on a trusted network and start it with --insecure",
    "log": "log is an option of the launcher, not of the topology; remove the key",
    "address": "address is called host in a member and listen in a nameserver",
    "peers": "peers are the members of a [[group]]",
}


def load_topology(path: Path) -> Topology:
    """Read and check a topology file.

    Args:
        path: a TOML file of at most 1 MiB.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key, a value outside its bounds, or a rule of
            `ternmq.config.rules` broken; the sentence says what to change.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"the topology {path} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"the topology {path} has {len(raw)} bytes; at most {MAX_FILE_BYTES} are read")
    topology = parse_topology(raw, str(path), path.resolve().parent)
    check_topology(topology)
    return topology


def parse_topology(raw: bytes, source: str, base: Path) -> Topology:
    """Turn TOML into a topology whose fields have the right types; rules between fields are not checked.

    Args:
        raw: the file.
        source: what to call it in errors.
        base: folder from which relative paths start.

    Raises:
        ConfigError: not TOML, an unknown key or a wrong type.
    """
    try:
        data = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{source} is not TOML: {error}") from error
    try:
        file = msgspec.convert(data, TopologyFile, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_explain(str(error))}") from error
    return Topology(
        cluster=file.cluster, defaults=file.defaults, nameserver=file.nameserver, group=file.group, base=base
    )


_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?")
_SECTIONS: dict[str, type[Section]] = {
    "": TopologyFile,
    "cluster": ClusterSection,
    "defaults": DefaultsSection,
    "nameserver[...]": NameServerSection,
    "group[...]": GroupSection,
    "group[...].members[...]": MemberSection,
}


def _explain(message: str) -> str:
    """Put the parser's finding into a sentence that says what to change."""
    found = _UNKNOWN_FIELD.search(message)
    if found is None:
        return message.replace(" - at `$.", " in `").replace("`$.", "`")
    key, place = found.group(1), re.sub(r"\[\d+\]", "[...]", found.group(2) or "")
    where = f"in [{place.replace('[...]', '')}]" if place else "at the top level"
    if key in _KNOWN_ELSEWHERE:
        return f"key `{key}` {where}: {_KNOWN_ELSEWHERE[key]}"
    section = _SECTIONS.get(place, TopologyFile)
    hint = nearest(key, section.__struct_fields__)
    return f"unknown key `{key}` {where}" + (f"; {hint}" if hint else "")


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # TOML's basic strings escape as JSON strings do.
        return msgspec.json.encode(value).decode()
    if isinstance(value, dict):
        return "{ " + ", ".join(_toml_pairs(value)) + " }"
    lines = "".join(f"  {_toml_value(item)},\n" for item in value)
    return f"[\n{lines}]"


def _toml_pairs(values: dict[str, Any]) -> list[str]:
    return [f"{key} = {_toml_value(value)}" for key, value in values.items() if value is not None]


def _toml_table(header: str, section: Section) -> str:
    return "\n".join([header, *_toml_pairs(msgspec.to_builtins(section))]) + "\n"


def dump_topology(topology: Topology) -> str:
    """Write a topology as TOML that `load_topology` reads back to an equal one; every default is written out."""
    tables = [_toml_table("[cluster]", topology.cluster), _toml_table("[defaults]", topology.defaults)]
    tables += [_toml_table("[[nameserver]]", server) for server in topology.nameserver]
    tables += [_toml_table("[[group]]", group) for group in topology.group]
    return "\n".join(tables)
