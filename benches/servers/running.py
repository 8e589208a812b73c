"""What a row needs of running servers, whoever made them."""

import time
from dataclasses import dataclass, field

from support.subject import Subject


@dataclass(frozen=True)
class Servers:
    """A running cluster.

    Args:
        side: `ours` or `apache`.
        subject: the processes.
        names: of all nodes.
        groups: names of the broker groups.
        up_seconds: from the first process to a master of every group in every NameServer.
        up_at: monotonic time, which tells one cluster from the next.
    """

    side: str
    subject: Subject
    names: tuple[str, ...]
    groups: tuple[str, ...]
    up_seconds: float
    up_at: float = field(default_factory=time.monotonic)

    @property
    def pids(self) -> list[int]:
        """All living processes, NameServers included."""
        identities = [self.subject.identity(name) for name in self.names]
        return [identity.pid for identity in identities if identity.is_alive()]

    @property
    def broker_pids(self) -> list[int]:
        """The living brokers."""
        identities = [self.subject.identity(name) for name in self.subject.brokers]
        return [identity.pid for identity in identities if identity.is_alive()]

    @property
    def leaders(self) -> list[str]:
        """Address of each group's master."""
        return [self.leader_of(group) for group in self.groups]

    def leader_of(self, group: str) -> str:
        """Address of a group's master.

        Raises:
            LookupError: NameServers show none.
        """
        name = self.subject.master(group)
        if name is None:
            raise LookupError(f"no NameServer shows a master of {group}")
        return self.subject.address(name)
