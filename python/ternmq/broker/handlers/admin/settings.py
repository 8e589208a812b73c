"""Settings of this replica: show (26) and change (25)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ternmq.broker.changes import Changes
from ternmq.broker.engine import Engine
from ternmq.broker.handlers.admin.topics import Announce
from ternmq.config import BrokerConfig
from ternmq.config.apache_places import shown_broker
from ternmq.errors import HeaderError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.names import BROKER_PERMISSION, REJECT_SENDS
from ternmq.protocol.topics import PERM_READ, PERM_READ_WRITE, DataVersion
from ternmq.remoting import Reply, Request


@dataclass(frozen=True)
class _PermissionChange:
    """What a request asks for; None leaves a half as it is."""

    read_only: bool | None = None
    rejects_sends: bool | None = None


def _broker_permission(value: str) -> bool:
    if value not in (str(PERM_READ), str(PERM_READ_WRITE)):
        raise HeaderError(
            f"{BROKER_PERMISSION} is {ascii(value)[:32]}, but must be 6 (read and write) or 4 (read only)"
        )
    return value == str(PERM_READ)


def _switch(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise HeaderError(f"{REJECT_SENDS} is {ascii(value)[:32]}, but must be true or false")
    return value.lower() == "true"


_CHANGED_AT_RUN_TIME: dict[str, Callable[[_PermissionChange, str], _PermissionChange]] = {
    BROKER_PERMISSION: lambda change, value: replace(change, read_only=_broker_permission(value)),
    REJECT_SENDS: lambda change, value: replace(change, rejects_sends=_switch(value)),
}
"""They are the group's, not a replica's: an op of the log, which the next leader has, too."""


class SettingsHandlers:
    """Requests about settings.

    Args:
        config: what this process was told.
        started_ms: wall clock of the start, the version of settings that never change.
        engine: what knows what clients may do at the group.
        changes: the way to change that.
        announce: brings a change to the NameServers.
    """

    def __init__(
        self,
        config: BrokerConfig,
        started_ms: int,
        engine: Callable[[], Engine],
        changes: Changes,
        announce: Announce,
    ) -> None:
        self._config = config
        self._version = DataVersion(timestamp=started_ms)
        self._engine = engine
        self._changes = changes
        self._announce = announce

    def show(self, request: Request) -> Reply:
        """26: the settings under RocketMQ's names, one `key=value` a line. Secrets are not among them."""
        permission, rejects_sends = self._engine().permission()
        settings = shown_broker(self._config) | {
            BROKER_PERMISSION: str(permission),
            REJECT_SENDS: str(rejects_sends).lower(),
        }
        lines = "".join(f"{key}={value}\n" for key, value in settings.items())
        return Reply(fields={"version": self._version.encode().decode()}, body=lines.encode())

    async def change(self, request: Request) -> Reply:
        """25: change what may change while the group runs; one key that may not, and nothing is changed.

        A group that becomes read-only is answered when the NameServers show its topics so, as a topic that changes.

        Source: RocketMQ 5.x, AdminBrokerProcessor#updateBrokerConfig, which registers when brokerPermission changes.
        """
        settings = _settings(request.body)
        if not settings:
            return Reply(ResponseCode.SYSTEM_ERROR, "string2Properties error: the body has no key=value line")
        fixed = [key for key in settings if key not in _CHANGED_AT_RUN_TIME]
        if fixed:
            named = ", ".join(_shown(fixed))
            return Reply(ResponseCode.NO_PERMISSION, f"no such setting can be changed while the broker runs: {named}")
        change = _PermissionChange()
        for key, value in settings.items():
            change = _CHANGED_AT_RUN_TIME[key](change, value)
        reply = await self._changes.make(
            [lambda engine, number: engine.put_permission(number, change.read_only, change.rejects_sends)]
        )
        if reply.code == ResponseCode.SUCCESS:
            await self._announce(())
        return reply


def _settings(body: bytes) -> dict[str, str]:
    lines = body.decode(errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!")))
    return {key.strip(): value.strip() for key, equals, value in pairs if equals and key.strip()}


def _shown(keys: Collection[str]) -> list[str]:
    """Escape keys and bound their number and length: they are repeated in a remark and in logs."""
    return [ascii(key)[1:-1][:255] for key in list(keys)[:20]]
