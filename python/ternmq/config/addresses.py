"""Host and port as text, and which hosts count as loopback."""

import ipaddress
import re
import socket

from ternmq.errors import ConfigError

_MAX_HOST = 253
_PORT = re.compile(r"[0-9]{1,5}")
_WITH_PORT = re.compile(r"[^:]+:[0-9]{1,5}")
_OCTET = re.compile(r"[0-9]+|[xX*]+")
# Names with an underscore are none for the DNS, but containers have them.
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")

WILDCARDS = frozenset({"0.0.0.0", "::", "", "*"})


def split_address(text: str, key: str) -> tuple[str, int]:
    """Split "host:port"; an IPv6 host may stand in brackets.

    Args:
        text: the address.
        key: name of the field, for the error.

    Raises:
        ConfigError: no port, a port outside 1 to 65535, or a host that is none.
    """
    if "://" in text:
        raise ConfigError(f'{key} = "{text}" is a URL; write host:port alone, for example "10.0.0.1:9876"')
    host, colon, port = text.strip().rpartition(":")
    if not colon or not host or not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise ConfigError(f'{key} = "{text}" is not host:port, for example "10.0.0.1:9876"')
    host = host.strip("[]")
    if not is_wildcard(host):
        check_host(host, key)
    return host, int(port)


def check_host(host: str, key: str) -> None:
    """Refuse what cannot be one host's name or IP; whether a name resolves is not looked at.

    Args:
        host: without brackets and port.
        key: name of the field, for the error.

    Raises:
        ConfigError: a URL, a list, a port, an unfilled example, or characters that no host name has.
    """
    problem = _host_problem(host)
    if problem is not None:
        raise ConfigError(f'{key} = "{host}" {problem}')


def _host_problem(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return None
    if "://" in host:
        return "is a URL; write the host alone"
    if any(separator in host for separator in ",;|"):
        return "is a list; write one host name or IP"
    if _WITH_PORT.fullmatch(host):
        return "has a port; write the host alone"
    labels = host.rstrip(".").split(".")
    # As in pages for copying: 192.168.x.x, 10.0.0.256.
    if len(labels) == 4 and all(_OCTET.fullmatch(label) for label in labels):
        return "is not an IP address; write the real one"
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return "is neither a host name nor an IP"
    return None


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
        key: name of the field, for the error; with file and line where they are known.

    Raises:
        ConfigError: the name does not resolve here.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f'{key} = "{host}" does not resolve here ({reason}); message ids hold an IP: write the IP that clients'
            " reach, or a name that resolves"
        ) from error
    # IPv4 first: older clients cannot read message ids with 16-byte addresses.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0])
