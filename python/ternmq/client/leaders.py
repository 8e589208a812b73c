"""Who leads which broker group, as far as this client can tell. Pure: no clock, no socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class _GroupAddresses:
    __slots__ = ("master", "rejected", "replicas", "term")

    def __init__(self) -> None:
        self.replicas: dict[int, str] = {}
        self.master: str | None = None
        self.rejected: str | None = None
        self.term = 0


class Leaders:
    """Masters by broker name, from routes, refusals and closed connections.

    A master that failed is rejected: it is believed again only when a route shows another address first, when a hint
    with a newer term names it, when it was asked and leads, or when the master that was followed instead is in doubt
    itself. So a NameServer that lags does not send the client back.

    Attributes:
        version: another one after each change of a master.
    """

    def __init__(self) -> None:
        self.version = 0
        self._groups: dict[str, _GroupAddresses] = {}

    def learn(self, broker: str, addresses: Mapping[int, str]) -> bool:
        """Take a group's addresses from a route, by broker id; id 0 is the master.

        Returns:
            Whether the known master changed.
        """
        group = self._groups.setdefault(broker, _GroupAddresses())
        group.replicas = dict(addresses)
        offered = addresses.get(0)
        if offered is None or offered == group.rejected:
            return False  # a NameServer that shows no master may just lag: a working connection knows better
        group.rejected = None
        return self._follow(group, offered)

    def reject(self, broker: str, address: str, hint: str = "", hint_term: int = 0) -> bool:
        """Take note that an address does not lead its group, or does not answer.

        Args:
            broker: the group.
            address: of the broker that failed or refused.
            hint: the leader that it named, if any; taken if the route knows that address.
            hint_term: the leader's term; older ones than seen before are stale.

        Returns:
            Whether the known master changed.
        """
        group = self._groups.get(broker)
        if group is None:
            return False
        before = group.master
        if address == group.master:
            self._follow(group, None)
            group.rejected = address
        if hint and hint != address and hint in group.replicas.values() and self._is_news(group, hint, hint_term):
            self._follow(group, hint)
            group.term = hint_term
        return group.master != before

    def reset_rejected(self) -> None:
        """Believe rejected masters again that a route names: those that were followed instead may be gone as well."""
        for group in self._groups.values():
            if group.master is not None:
                group.rejected = None

    def confirm(self, broker: str, address: str) -> bool:
        """Believe an address that was asked and leads; only where no master is known.

        Returns:
            Whether the known master changed.
        """
        group = self._groups.get(broker)
        if group is None or group.master is not None:
            return False
        group.rejected = None
        return self._follow(group, address)

    def master(self, broker: str) -> str | None:
        """Address of the group's master; None while none is known."""
        group = self._groups.get(broker)
        return None if group is None else group.master

    def rejected(self, broker: str) -> str | None:
        """The last master that failed, until another is known by a route."""
        group = self._groups.get(broker)
        return None if group is None else group.rejected

    def readable(self, broker: str) -> list[str]:
        """Where committed messages can be read: the master alone, or without one all that did not fail."""
        group = self._groups.get(broker)
        if group is None:
            return []
        if group.master is not None:
            return [group.master]
        return [address for _, address in sorted(group.replicas.items()) if address != group.rejected]

    def replica(self, broker: str, broker_id: int) -> str | None:
        """Address of the member with a broker id, by the group's newest route; None if it names none."""
        group = self._groups.get(broker)
        return None if group is None else group.replicas.get(broker_id)

    def led_by(self, address: str) -> list[str]:
        """Broker names whose master has this address."""
        return [broker for broker, group in self._groups.items() if group.master == address]

    def without_master(self) -> list[str]:
        """Broker names whose master is not known."""
        return [broker for broker, group in self._groups.items() if group.master is None]

    def addresses(self, brokers: Iterable[str]) -> set[str]:
        """All addresses of some groups, masters and others."""
        found: set[str] = set()
        for broker in brokers:
            group = self._groups.get(broker)
            if group is not None:
                found.update(group.replicas.values())
                if group.master is not None:
                    found.add(group.master)
        return found

    def _follow(self, group: _GroupAddresses, master: str | None) -> bool:
        if group.master == master:
            return False
        group.master = master
        self.version += 1
        return True

    @staticmethod
    def _is_news(group: _GroupAddresses, hint: str, term: int) -> bool:
        if term > group.term:
            return True
        return term == group.term and group.master is None and hint != group.rejected
