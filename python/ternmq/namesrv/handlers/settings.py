"""The NameServer's own configuration: shown (319), never changed by a request (318)."""

from ternmq.config import NameServerConfig
from ternmq.config.apache_places import shown_nameserver
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Reply, Request

# What Apache can switch on, and is not there.
_ABSENT = {"enableControllerInNamesrv": "false", "supportActingMaster": "false"}


class NameServerSettingsHandlers:
    """Requests of tools about configuration.

    Args:
        config: what this process was told.
    """

    def __init__(self, config: NameServerConfig) -> None:
        lines = sorted((shown_nameserver(config) | _ABSENT).items())
        self._body = "".join(f"{key}={value}\n" for key, value in lines).encode()

    def show(self, request: Request) -> Reply:
        """319: under Apache's key names; no path is among them."""
        return Reply(body=self._body)

    def change(self, request: Request) -> Reply:
        """318: refused for every key, since one of Apache's named a file to write to (CVE-2023-37582)."""
        return Reply(
            ResponseCode.NO_PERMISSION,
            "the configuration of a NameServer is changed in its topology file, then it is restarted",
        )
