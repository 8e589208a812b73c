"""Settings of this replica: show (26) and change (25)."""

from ternmq.config import BrokerConfig
from ternmq.config.apache_places import shown_broker
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.topics import DataVersion
from ternmq.remoting import Reply, Request


class SettingsHandlers:
    """Requests about settings.

    Args:
        config: what this process was told.
        started_ms: wall clock of the start, the version of settings that never change.
    """

    def __init__(self, config: BrokerConfig, started_ms: int) -> None:
        self._config = config
        self._version = DataVersion(timestamp=started_ms)

    def show(self, request: Request) -> Reply:
        """26: the settings under RocketMQ's names, one `key=value` a line. Secrets are not among them."""
        lines = "".join(f"{key}={value}\n" for key, value in shown_broker(self._config).items())
        return Reply(fields={"version": self._version.encode().decode()}, body=lines.encode())

    def change(self, request: Request) -> Reply:
        """25: no setting can be changed while the replica runs, so every key is refused, and nothing else happens."""
        keys = _keys(request.body)
        if not keys:
            return Reply(ResponseCode.SYSTEM_ERROR, "string2Properties error: the body has no key=value line")
        named = ", ".join(keys)
        return Reply(ResponseCode.NO_PERMISSION, f"no such setting can be changed while the broker runs: {named}")


def _keys(body: bytes) -> list[str]:
    """Give the keys of `key=value` lines, escaped: they are repeated in a remark and in logs."""
    lines = body.decode(errors="replace").splitlines()
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", "!")))
    return [ascii(key.strip())[1:-1][:255] for key, equals, _ in pairs if equals and key.strip()][:20]
