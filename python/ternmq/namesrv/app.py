"""One NameServer: builds the parts in order from its configuration, starts and stops them."""

import asyncio
import logging
import time

from ternmq.config import NameServerConfig
from ternmq.config.exposure import warn_while_exposed
from ternmq.errors import ConfigError
from ternmq.namesrv.dispatch import nameserver_dispatch_table
from ternmq.namesrv.encoded_routes import EncodedRoutes
from ternmq.namesrv.handlers.kv import KvHandlers
from ternmq.namesrv.handlers.registration import RegistrationHandlers
from ternmq.namesrv.handlers.routes import RouteHandlers
from ternmq.namesrv.handlers.settings import NameServerSettingsHandlers
from ternmq.namesrv.handlers.topics import NameServerTopicHandlers
from ternmq.namesrv.kv_store import KvStore
from ternmq.namesrv.route_table import RouteTable
from ternmq.namesrv.table_turns import TableTurns, in_slices
from ternmq.remoting import Endpoint, open_endpoint

_MAX_REQUESTS = 10_000
"""Requests that the engine holds at most; those that wait for their turn at the table all know their connection."""

_log = logging.getLogger(__name__)


def monotonic_ms() -> int:
    """Time for liveness: never goes back, and counts the time that the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class NameServerApp:
    """A NameServer on the running event loop.

    Args:
        config: what this process was told.

    Raises:
        ConfigError: the key-value file is there and cannot be read.
    """

    def __init__(self, config: NameServerConfig) -> None:
        self._config = config
        self._kv = KvStore(config.kv_path)
        self._table = RouteTable(delete_missing_topics=config.delete_topic_with_registration)
        self._turns = TableTurns()
        self._brokers_left = asyncio.Event()
        self._endpoint: Endpoint | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.port = config.port

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the port is taken or the address is not of this machine; says by what setting.
        """
        config = self._config
        answers = EncodedRoutes(self._table, self._kv, with_order=config.order_message_enable)
        table = nameserver_dispatch_table(
            RegistrationHandlers(
                self._table, self._turns, self._kv, monotonic_ms, return_order_topics=config.return_order_topic_config
            ),
            RouteHandlers(self._table, answers),
            NameServerTopicHandlers(self._table, self._turns),
            KvHandlers(self._kv),
            NameServerSettingsHandlers(config),
        )
        endpoint = open_endpoint(workers=1, max_pending=_MAX_REQUESTS)
        try:
            self.port = endpoint.serve(
                config.listen_host, config.port, table, self._connection_closed, max_running=_MAX_REQUESTS
            )
        except OSError as error:
            await endpoint.close()
            raise ConfigError(
                f"{config.id} cannot listen on {config.listen_host}:{config.port}: {error.strerror or error};"
                f" change listen of {config.id} in the topology, or listenPort in namesrv.conf"
            ) from error
        self._endpoint = endpoint
        self._tasks = [
            asyncio.create_task(self._expire_silent_brokers()),
            asyncio.create_task(self._clear_after_brokers()),
            asyncio.create_task(warn_while_exposed(config.id, config.listen_host)),
        ]
        _log.info("%s listens on %s:%d", config.id, config.listen_host, self.port)

    async def stop(self) -> None:
        """Stop listening and close every connection; brokers and clients go to the other NameServers."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._endpoint is not None:
            await self._endpoint.close()
            self._endpoint = None

    def _connection_closed(self, connection_id: int, peer: str) -> None:
        # Later in this turn of the loop: a registration that came just before must have begun to wait for its turn.
        asyncio.get_running_loop().call_soon(self._forget_connection, connection_id)

    def _forget_connection(self, connection_id: int) -> None:
        self._turns.connection_closed(connection_id)
        for broker in self._table.connection_closed(connection_id):
            self._brokers_left.set()
            _log.info("%s id %d at %s is gone: connection closed", broker.name, broker.id, broker.address)

    async def _expire_silent_brokers(self) -> None:
        interval = self._config.scan_interval_ms / 1000
        while True:
            await asyncio.sleep(interval)
            for broker in self._table.expire(monotonic_ms()):
                self._brokers_left.set()
                _log.warning("%s id %d at %s is gone: silent for too long", broker.name, broker.id, broker.address)

    async def _clear_after_brokers(self) -> None:
        """Take out what brokers have left in the table; nobody is shown it meanwhile."""
        while True:
            await self._brokers_left.wait()
            self._brokers_left.clear()
            async with self._turns.turn():
                await in_slices(self._table.settling())
