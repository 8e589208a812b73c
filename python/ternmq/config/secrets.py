"""Secrets: only ever references in files, read once at start."""

import os
import secrets
from pathlib import Path

from ternmq.errors import ConfigError

MINIMUM_BYTES = 16


def read_secret(reference: str, relative_to: Path) -> bytes:
    """Read the secret that a reference names.

    Args:
        reference: "file:PATH" or "env:NAME".
        relative_to: folder that a relative path starts from.

    Raises:
        ConfigError: another form, nothing there, or a secret shorter than 16 bytes. The secret itself is never named.
    """
    kind, colon, name = reference.partition(":")
    if not colon or kind not in {"file", "env"} or not name:
        raise ConfigError('secret must be a reference, "file:PATH" or "env:NAME", never the secret itself')
    if kind == "env":
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(f"secret is env:{name}, but the environment has no {name}")
        secret = value.encode()
    else:
        path = relative_to / name
        try:
            secret = path.read_bytes().strip()
        except OSError as error:
            raise ConfigError(f"secret is file:{name}, but {path} cannot be read: {error.strerror}") from error
    if len(secret) < MINIMUM_BYTES:
        raise ConfigError(f"the secret in {reference} is shorter than {MINIMUM_BYTES} bytes")
    return secret


def make_secret_file(path: Path) -> None:
    """Write a new random secret, readable by its owner only; an existing file is left alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
