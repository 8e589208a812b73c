"""Host and port as text, and which hosts count as loopback."""

import ipaddress
import socket

from ternmq.errors import ConfigError

WILDCARDS = frozenset({"0.0.0.0", "::", "", "*"})


def split_address(text: str, key: str) -> tuple[str, int]:
    """Split "host:port"; an IPv6 host may stand in brackets.

    Args:
        text: the address.
        key: name of the field, for the error.

    Raises:
        ConfigError: no port, or a port outside 1 to 65535.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ConfigError(f'{key} = "{text}" is not host:port, for example "10.0.0.1:9876"')
    return host.strip("[]"), int(port)


def join_address(host: str, port: int) -> str:
    """Write host and port as RocketMQ clients read them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_nameservers(text: str, key: str) -> tuple[str, ...]:
    """Split a list of NameServers; RocketMQ separates them with semicolons, commas are accepted too.

    Raises:
        ConfigError: an entry is not host:port, or the list is empty.
    """
    parts = [part.strip() for part in text.replace(",", ";").split(";") if part.strip()]
    if not parts:
        raise ConfigError(f'{key} names no NameServer; write "10.0.0.1:9876;10.0.0.2:9876"')
    return tuple(join_address(*split_address(part, key)) for part in parts)


def is_loopback(host: str) -> bool:
    """Say whether an address or the name localhost stays on this machine; other names are not resolved."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Say whether a host means every interface, which nobody can connect to."""
    return host in WILDCARDS


def resolve_ip(host: str, key: str) -> str:
    """Turn a host name into the IP that goes into message records and ids, which hold no names.

    Args:
        host: name or IP.
        key: name of the field, for the error.

    Raises:
        ConfigError: the name does not resolve here.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f'{key} = "{host}" does not resolve here ({error}); message ids hold an IP, so set {key} to one'
        ) from error
    # IPv4 first: older clients cannot read message ids with 16-byte addresses.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])
