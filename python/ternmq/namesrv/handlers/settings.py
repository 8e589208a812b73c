"""The NameServer's own configuration: shown (319), never changed by a request (318)."""

from ternmq.config import NameServerConfig
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Reply, Request


def _flag(value: bool) -> str:
    return "true" if value else "false"


class NameServerSettingsHandlers:
    """Requests of tools about configuration.

    Args:
        config: what this process was told.
    """

    def __init__(self, config: NameServerConfig) -> None:
        lines = {
            "bindAddress": config.listen_host,
            "deleteTopicWithBrokerRegistration": _flag(config.delete_topic_with_registration),
            "enableControllerInNamesrv": "false",
            "listenPort": str(config.port),
            "orderMessageEnable": _flag(config.order_message_enable),
            "returnOrderTopicConfigToBroker": _flag(config.return_order_topic_config),
            "scanNotActiveBrokerInterval": str(config.scan_interval_ms),
            "supportActingMaster": "false",
        }
        self._body = "".join(f"{key}={value}\n" for key, value in lines.items()).encode()

    def show(self, request: Request) -> Reply:
        """319: under Apache's key names; no path is among them."""
        return Reply(body=self._body)

    def change(self, request: Request) -> Reply:
        """318: refused for every key, since one of Apache's named a file to write to (CVE-2023-37582)."""
        return Reply(
            ResponseCode.NO_PERMISSION,
            "the configuration of a NameServer is changed in its topology file, then it is restarted",
        )
