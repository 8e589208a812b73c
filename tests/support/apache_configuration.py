"""Apache's own configuration classes and Java's own reader of properties, asked in a JVM."""

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from support import maven

_PROJECT = Path(__file__).parent / "apache-configuration"
_MAIN = "ternmq.configuration.Configuration"
RUN_SECONDS = 120

_REMOTING = "org.apache.rocketmq.remoting.netty"
_SERVER, _CLIENT = f"{_REMOTING}.NettyServerConfig", f"{_REMOTING}.NettyClientConfig"
_COMMON = ("org.apache.rocketmq.common.BrokerConfig", "org.apache.rocketmq.store.config.MessageStoreConfig")
NAMESERVER = "org.apache.rocketmq.common.namesrv.NamesrvConfig"

# What a broker reads its file into, and a NameServer its own; 5 adds to both.
BROKER_CLASSES = {
    "4.9.8": (*_COMMON, _SERVER, _CLIENT),
    "5.5.0": (
        *_COMMON,
        _SERVER,
        _CLIENT,
        "org.apache.rocketmq.auth.config.AuthConfig",
        "org.apache.rocketmq.tieredstore.MessageStoreConfig",
    ),
}
NAMESERVER_CLASSES = {
    "4.9.8": (NAMESERVER, _SERVER, _CLIENT),
    "5.5.0": (NAMESERVER, _SERVER, _CLIENT, "org.apache.rocketmq.common.ControllerConfig"),
}


@dataclass(frozen=True)
class ApacheKey:
    """A key of one class; an empty default may also stand for none."""

    name: str
    default: str


def keys(version: str, classes: Sequence[str]) -> list[ApacheKey]:
    """Ask Apache's classes of a version for what they read and show.

    Args:
        version: "4.9.8" or "5.5.0".
        classes: their full names.
    """
    found = []
    for line in _run(version, ["keys", *classes], b"").splitlines():
        _, name, default = line.split("\t")
        found.append(ApacheKey(name, default))
    return found


def java_properties(files: Sequence[bytes]) -> list[dict[str, str] | None]:
    """Have Java read properties files; None for one that it refuses."""
    lines = b"\n".join(base64.b64encode(file) for file in files)
    return [_entries(line) for line in _run("5.5.0", ["properties"], lines).split("\n")[: len(files)]]


def _entries(line: str) -> dict[str, str] | None:
    if line == "refused":
        return None
    pairs = [entry.split("=") for entry in line.split(" ") if entry]
    return {_text(key): _text(value) for key, value in pairs}


def _text(encoded: str) -> str:
    padded = encoded + "=" * (-len(encoded) % 4)
    return base64.urlsafe_b64decode(padded).decode("utf-16-be", "replace")


def _run(version: str, arguments: list[str], given: bytes) -> str:
    output = maven.build(_PROJECT, {"rocketmq.version": version})
    command = ["java", "-cp", maven.classpath(output), _MAIN, *arguments]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
