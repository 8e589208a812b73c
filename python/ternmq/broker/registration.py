"""Registration with every NameServer: at once on every change, in parallel, over long-lived connections.

In between, each NameServer is asked every two seconds whether it has the present version (322). That keeps the
registration alive, and only a NameServer that says *changed* gets the whole table: an empty one is full again within
seconds, and a large table costs nothing while it stands still.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ternmq.errors import MQError, RegistrationRefusedError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.registration import RegisterBrokerBody, body_crc32
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table
from ternmq.remoting import Answer, Endpoint

_log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
RETRY_SECONDS = 0.25
CALL_SECONDS = 3.0
UNREGISTER_SECONDS = 1.0
HEARTBEAT_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class Self:
    """What a replica says of itself that never changes while it runs.

    Attributes:
        cluster: cluster name.
        name: broker name.
        address: "host:port" that clients are told.
        ha_address: where slaves would copy from; Java wants the field.
    """

    cluster: str
    name: str
    address: str
    ha_address: str


@dataclass(frozen=True)
class Standing:
    """What a replica has to register now.

    Attributes:
        broker_id: 0 for the leader, else the number in the member id plus 1.
        term: Raft term.
        version: version of the topic table; its state version is the term.
        topics: the topic table.
    """

    broker_id: int
    term: int
    version: DataVersion
    topics: dict[str, TopicConfig]


class Registrar:
    """Keeps one replica registered.

    Args:
        endpoint: its connections.
        nameservers: their addresses; each is served by a task of its own, so a dead one holds up none.
        identity: what never changes.
        standing: gives what to register now; None while there is nothing to serve yet.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        nameservers: Sequence[str],
        identity: Self,
        standing: Callable[[], Standing | None],
    ) -> None:
        self._endpoint = endpoint
        self._nameservers = tuple(nameservers)
        self._identity = identity
        self._make_standing = standing
        self._revision = 0
        self._cached: tuple[int, Standing | None, bytes] = (-1, None, b"")
        # Revision that each NameServer is known to hold; 0 is none.
        self._held = dict.fromkeys(self._nameservers, 0)
        self._wakers = {address: asyncio.Event() for address in self._nameservers}
        self._out_of_order: set[str] = set()
        self._turned = asyncio.Event()  # another one after each turn
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; registers as soon as there is a standing."""
        self._endpoint.on_disconnected(self._disconnected)
        self._tasks = [asyncio.create_task(self._keep(address)) for address in self._nameservers]
        self.changed()

    def changed(self) -> None:
        """Role or topics changed: register at once everywhere."""
        self._revision += 1
        for waker in self._wakers.values():
            waker.set()

    async def shown(self, within: float) -> bool:
        """Wait until every NameServer that is in order has what there is to register now.

        Args:
            within: seconds; a NameServer that does not answer holds nobody up for longer, and one that is known to be
                down not at all.

        Returns:
            Whether they have.
        """
        self.changed()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self._is_shown():
                    await self._turned.wait()
                return True
        return False

    def _is_shown(self) -> bool:
        revision = self._present()[0]
        return all(held == revision for address, held in self._held.items() if address not in self._out_of_order)

    async def stop(self) -> None:
        """Stop, and tell every NameServer that this replica goes."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        standing = self._cached[1]
        if standing is not None:
            await asyncio.gather(*(self._unregister(address, standing) for address in self._nameservers))

    def _disconnected(self, address: str) -> None:
        """A NameServer that closed the connection has forgotten us: it gets the table, not a question."""
        if address in self._held:
            self._held[address] = 0
            self._wakers[address].set()

    async def _keep(self, address: str) -> None:
        """Serve one NameServer for ever."""
        waker = self._wakers[address]
        while True:
            waker.clear()
            try:
                pause = await self._turn(address)
                if address in self._out_of_order:
                    _log.info("NameServer %s is back", address)
                self._note(address, in_order=True)
            except MQError as error:
                if address not in self._out_of_order:
                    _log.warning("NameServer %s: %s", address, error)
                self._note(address, in_order=False)
                if not isinstance(error, RegistrationRefusedError):
                    # Tried four times a second, whatever changes meanwhile: its own closing connections wake it, too.
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                pause = ASK_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await waker.wait()

    def _note(self, address: str, *, in_order: bool) -> None:
        """Keep how a turn ended, and have those look who wait for it."""
        if in_order:
            self._out_of_order.discard(address)
        else:
            self._out_of_order.add(address)
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    async def _turn(self, address: str) -> float:
        """Register or ask; gives the seconds until the next turn.

        Raises:
            MQError: the NameServer cannot be reached, does not answer, or refused.
        """
        revision, standing, body = self._present()
        if standing is None:
            return ASK_SECONDS
        if self._held[address] == revision and not await self._is_changed(address, standing):
            return ASK_SECONDS
        await self._register(address, standing, body)
        # Not the present revision: what changed meanwhile has to be sent, too.
        self._held[address] = revision
        return 0.0 if self._revision != revision else ASK_SECONDS

    def _present(self) -> tuple[int, Standing | None, bytes]:
        """Give the revision, what to register, and its body, made once for all NameServers."""
        if self._cached[0] != self._revision:
            standing = self._make_standing()
            if standing == self._cached[1] and self._cached[0] > 0:
                # Nothing that a NameServer would see differently, a follower that learnt its leader's name, say.
                self._revision = self._cached[0]
                return self._cached
            body = b""
            if standing is not None:
                body = RegisterBrokerBody([], topic_table(standing.topics, standing.version)).encode()
            self._cached = (self._revision, standing, body)
        return self._cached

    def _fields(self, standing: Standing) -> dict[str, str]:
        identity = self._identity
        return {
            "brokerName": identity.name,
            "brokerAddr": identity.address,
            "clusterName": identity.cluster,
            "brokerId": str(standing.broker_id),
        }

    async def _register(self, address: str, standing: Standing, body: bytes) -> None:
        fields = self._fields(standing) | {
            "haServerAddr": self._identity.ha_address,
            "compressed": "false",
            "bodyCrc32": str(body_crc32(body)),
            "heartbeatTimeoutMillis": str(HEARTBEAT_TIMEOUT_MS),
            # Its presence tells a 5.x NameServer that this is no 4.9 broker.
            "enableActingMaster": "false",
            "ternTerm": str(standing.term),
        }
        answer = await self._call(address, RequestCode.REGISTER_BROKER, fields, body)
        if answer.code != ResponseCode.SUCCESS:
            raise RegistrationRefusedError(
                f"refused id {standing.broker_id} in term {standing.term}: {answer.remark}",
                code=answer.code,
                broker=address,
            )
        _log.debug("registered with %s as id %d in term %d", address, standing.broker_id, standing.term)

    async def _is_changed(self, address: str, standing: Standing) -> bool:
        fields = self._fields(standing)
        answer = await self._call(address, RequestCode.QUERY_DATA_VERSION, fields, standing.version.encode())
        # A NameServer that cannot say gets the table.
        return answer.code != ResponseCode.SUCCESS or answer.fields.get("changed", "true") != "false"

    async def _call(self, address: str, code: int, fields: dict[str, str], body: bytes) -> Answer:
        return await self._endpoint.call(address, code, fields, body, timeout=CALL_SECONDS)

    async def _unregister(self, address: str, standing: Standing) -> None:
        try:
            await self._endpoint.call(
                address, RequestCode.UNREGISTER_BROKER, self._fields(standing), timeout=UNREGISTER_SECONDS
            )
        except MQError as error:
            _log.info("could not say goodbye to NameServer %s: %s", address, error)
