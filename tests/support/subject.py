"""What a test needs of a running cluster, whoever made it: ours, or Apache's own servers."""

from typing import Protocol

from support.processes import Identity


class Subject(Protocol):
    """A cluster of named processes on loopback: `ns1`, `group-a/n0`, …"""

    @property
    def nameserver_addresses(self) -> list[str]:
        """Address of each NameServer, dead ones included."""

    @property
    def nameservers(self) -> str:
        """The NameServer list as clients take it."""

    @property
    def brokers(self) -> list[str]:
        """Names of all broker nodes."""

    @property
    def group(self) -> str:
        """Name of the first broker group, which is the broker name that clients see."""

    def address(self, name: str) -> str:
        """Client address of a node."""

    def identity(self, name: str) -> Identity:
        """The process of a node as it was last started."""

    def launch(self, name: str) -> None:
        """Start a dead node again; does not wait for it."""

    def master(self, group: str | None = None) -> str | None:
        """Name of the node that the NameServers show as a group's master, if one does."""

    def topic_is_everywhere(self, topic: str) -> bool:
        """Whether an acknowledged topic is known to every replica, as far as the cluster promises nothing before."""

    def down(self) -> None:
        """End every process of the cluster."""
