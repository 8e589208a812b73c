"""Names of things: the nearest known key, and what cluster, group and member names may contain."""

import difflib
import re
from collections.abc import Iterable

from ternmq.errors import ConfigError

_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Apache takes every name; "." and "@" are in names of today's clusters.
_BROKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_RAFT_MEMBER = re.compile(r"[A-Za-z](\d{1,6})")


def nearest(key: str, known: Iterable[str]) -> str:
    """Suggest the known key that a mistyped one is closest to, as a half sentence.

    Returns:
        Of few known keys all, where none is near; of many nothing: a wrong hint costs more than none.
    """
    candidates = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in candidates}
    # One letter of a short key is as much as two of a long one.
    cutoff = 0.75 if len(key) < 6 else 0.85
    close = difflib.get_close_matches(key.lower(), list(lowered), n=1, cutoff=cutoff)
    if close:
        return f"did you mean `{lowered[close[0]]}`?"
    return "known here: " + ", ".join(candidates) if len(candidates) <= 20 else ""


def check_broker_name(name: str, key: str) -> None:
    """Check a cluster or group name: it becomes the name of a topic that the broker makes, and of a folder.

    Raises:
        ConfigError: empty, too long, or other characters than letters, digits, "-", "_", "." and "@".
    """
    if not _BROKER_NAME.fullmatch(name):
        raise ConfigError(
            f'{key} = "{name}": use 1 to 100 letters, digits, "-", "_", "." and "@", starting with a letter or digit'
        )


def check_node_name(name: str, key: str) -> None:
    """Check a NameServer or member id: it becomes a folder.

    Raises:
        ConfigError: empty, longer than 64, or other characters than letters, digits, ".", "-" and "_".
    """
    if not _NODE_NAME.fullmatch(name):
        raise ConfigError(
            f'{key} = "{name}": use 1 to 64 letters, digits, ".", "-" and "_", starting with a letter or digit'
        )


def raft_member_number(member: str, key: str) -> int:
    """Take the number of a Raft member id, a letter and a number; followers register as the number + 1.

    Raises:
        ConfigError: another form.
    """
    found = _RAFT_MEMBER.fullmatch(member)
    if found is None:
        raise ConfigError(f'{key} = "{member}" is not a letter and a number, for example "n0"')
    return int(found.group(1))
