"""Unit files for systemd: one a node, from a topology."""

import re
from pathlib import Path

from ternmq.config.node import data_root
from ternmq.config.topology import Topology

# A node drains for 5 s at most, then closes; the manager kills what takes longer.
STOP_SECONDS = 30
OPEN_FILES = 65_536


def unit_name(node: str) -> str:
    """Name the unit of a node: "ternmq-broker-a-n0.service"."""
    return f"ternmq-{node.replace('/', '-')}.service"


def unit(topology: Topology, node: str, *, program: Path, file: Path, user: str, insecure: bool) -> str:
    """Write the unit of one node.

    Args:
        topology: a checked topology, which has the node.
        node: "ns1" or "broker-a/n0".
        program: the command `ternmq` on the machine.
        file: the topology file on the machine.
        user: as whom it runs there; the data folder must be theirs.
        insecure: give `--insecure`, which a node needs to listen beyond loopback.
    """
    kind = "broker" if "/" in node else "namesrv"
    options = " --insecure" if insecure else ""
    data = (file.parent / data_root(topology, node)).resolve()
    command = (program, "run", kind, "--topology", file, "--node", node)
    return f"""[Unit]
Description=ternmq {kind} {node} of {topology.cluster.name.replace("%", "%%")}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
ExecStart={" ".join(_word(str(word)) for word in command)}{options}
User={user}
# SIGTERM hands over and drains.
KillSignal=SIGTERM
TimeoutStopSec={STOP_SECONDS}
# Whatever ends it: its log says why, and what it acknowledged is on the disk.
Restart=on-failure
RestartSec=1
LimitNOFILE={OPEN_FILES}
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
ReadWritePaths={_quoted(str(data))}

[Install]
WantedBy=multi-user.target
"""


_PLAIN = re.compile(r"[\w@:,./+=-]+", re.ASCII)


def _word(text: str) -> str:
    """Write a word of a command line, which systemd splits at blanks and in which it expands `%` and `$`.

    Source: systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers".
    """
    return _quoted(text).replace("$", "$$")


def _quoted(text: str) -> str:
    """Write an item of a list; `%` is expanded in every one."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
