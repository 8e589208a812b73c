"""Registration with every NameServer: at once on every change of the role, in parallel, over long-lived connections.

In between, each NameServer is asked every two seconds whether it has the present version (322). That keeps the
registration alive, and only a NameServer that says *changed* gets the whole table: an empty one is full again within
seconds, and a large table costs nothing while it stands still.

A whole table costs by its size, so topics that come and go do not each bring one: the creator of a few topics waits
until they are registered one by one (217), one table serves all that wait, and where nobody waits tables keep a
distance.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ternmq.broker.nameserver_view import NameServerView
from ternmq.errors import MQError, NotANameServerError, RegistrationRefusedError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.registration import RegisterBrokerBody, body_crc32
from ternmq.protocol.routes import MASTER_ID, QueueData, TopicRouteData
from ternmq.protocol.topics import DataVersion, TopicConfig, topic_table
from ternmq.remoting import Answer, Endpoint

_log = logging.getLogger(__name__)

ASK_SECONDS = 2.0
RETRY_SECONDS = 0.25
CALL_SECONDS = 3.0
UNREGISTER_SECONDS = 1.0
HEARTBEAT_TIMEOUT_MS = 10_000
# While topics come and go and nobody waits, tables are so many times as far apart as one takes, but for two seconds'
# worth that may come together: 10,000 topics take 0.1 s, and a tenth of a core goes into tables. A follower's table is
# no news to anybody and comes with the next question.
TABLE_DISTANCE = 10


@dataclass(frozen=True)
class ReplicaIdentity:
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
class RegistrationState:
    """What a replica has to register now.

    Attributes:
        broker_id: 0 for the leader, else the number in the member id plus 1.
        term: Raft term.
        version: version of the topic table; its state version is the term.
        topics: the topic table.
        group_id: what the group was founded as.
    """

    broker_id: int
    term: int
    version: DataVersion
    topics: dict[str, TopicConfig]
    group_id: str = ""


class Registrar:
    """Keeps one replica registered.

    Args:
        endpoint: its connections.
        nameservers: their addresses; each is served by a task of its own, so a dead one holds up none.
        identity: what never changes.
        state: gives what to register now; None while there is nothing to serve yet. Costs by the number of topics.
        topic: gives one topic as it is now; None if there is none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        nameservers: Sequence[str],
        identity: ReplicaIdentity,
        state: Callable[[], RegistrationState | None],
        topic: Callable[[str], TopicConfig | None],
    ) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._make_state = state
        self._topic = topic
        self._revision = 0
        self._urgent = 0  # the revision of the last change that must not wait
        self._cached: tuple[int, RegistrationState | None, bytes] = (-1, None, b"")
        self._table_seconds = 0.0  # what making, sending and entering the last table took
        self._next_table = 0.0  # when topics that changed are worth another one
        self._paid_until = 0.0
        self._views = {address: NameServerView() for address in nameservers}
        self._wakers = {address: asyncio.Event() for address in nameservers}
        self._synced = asyncio.Event()  # another one after each sync
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; registers as soon as there is something to serve."""
        self._endpoint.on_disconnected(self._disconnected)
        self._tasks = [asyncio.create_task(self._keep(address)) for address in self._views]
        self.changed()

    def changed(self) -> None:
        """The role changed: register at once everywhere."""
        self._revision += 1
        self._urgent = self._revision
        self._wake()

    def topics_changed(self) -> None:
        """Topics changed: register soon."""
        self._revision += 1
        self._wake()

    async def wait_registered(self, within: float, topics: Collection[str] = ()) -> bool:
        """Wait until every NameServer that is in order has what there is to register now.

        Args:
            within: seconds; a NameServer that does not answer holds nobody up for longer, and one that is known to be
                down not at all.
            topics: names of the topics that matter, if not all do.

        Returns:
            Whether they have.
        """
        revision = self._revision
        for view in self._views.values():
            view.want(revision, topics)
        self._wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self._is_registered(revision, topics):
                    await self._synced.wait()
                return True
        return False

    def _is_registered(self, revision: int, topics: Collection[str]) -> bool:
        return all(view.has_registered(revision, topics) for view in self._views.values() if view.in_order)

    def _wake(self) -> None:
        for waker in self._wakers.values():
            waker.set()

    async def stop(self) -> None:
        """Stop, and tell every NameServer that this replica goes."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # As it is now: after a hand-over, id 0 is another's, and Apache's of 4.9 forgets by id.
        state = self._make_state() or self._cached[1]
        if state is not None and self._cached[1] is not None:
            await asyncio.gather(*(self._unregister(address, state) for address in self._views))

    def _disconnected(self, address: str) -> None:
        """A NameServer that closed the connection has forgotten us: it gets the table, not a question."""
        if address in self._views:
            self._views[address].forgot()
            self._wakers[address].set()

    async def _keep(self, address: str) -> None:
        """Serve one NameServer for ever."""
        waker, view = self._wakers[address], self._views[address]
        while True:
            waker.clear()
            try:
                pause = await self._sync_once(address, view)
                if not view.in_order:
                    _log.info("NameServer %s is back", address)
                self._note_result(view, in_order=True)
            except MQError as error:
                is_stranger = isinstance(error, NotANameServerError)
                if view.in_order:
                    _log.warning("%s%s", "" if is_stranger else f"NameServer {address}: ", error)
                self._note_result(view, in_order=False)
                if not is_stranger and not isinstance(error, RegistrationRefusedError):
                    # Tried four times a second, whatever changes meanwhile: its own closing connections wake it, too.
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                pause = ASK_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await waker.wait()

    def _note_result(self, view: NameServerView, *, in_order: bool) -> None:
        """Keep how a sync ended, and wake the callers of `wait_registered`."""
        view.in_order = in_order
        synced, self._synced = self._synced, asyncio.Event()
        synced.set()

    async def _sync_once(self, address: str, view: NameServerView) -> float:
        """Register, register single topics, or ask; gives the seconds until the next sync.

        Raises:
            MQError: the NameServer cannot be reached, does not answer, or refused.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if self._may_register_topics(view):
            await self._register_topics(address, view)
            return 0.0
        waits = view.revision >= self._urgent and not view.wants_table and began < self._next_table
        if waits and view.revision == self._cached[0] < self._revision:
            return self._next_table - began
        # A table that another NameServer got will do, unless it would take back topics that this one has got since.
        is_enough = waits and self._cached[0] >= view.newest
        revision, state, body = self._cached if is_enough else self._present_state(began)
        if state is None:
            return ASK_SECONDS
        if view.revision == revision and not await self._is_changed(address, state):
            return ASK_SECONDS
        await self._register(address, state, body)
        view.took_table(revision)
        self._table_seconds = loop.time() - began
        # Not the present revision: what changed meanwhile has to be sent, too.
        return 0.0 if self._revision != revision else ASK_SECONDS

    def _may_register_topics(self, view: NameServerView) -> bool:
        """Whether it has a table of this leader, and what is missing are few topics that a caller waits for."""
        state = self._cached[1]
        if state is None or state.broker_id != MASTER_ID or view.revision < self._urgent:
            return False
        return view.is_topic_by_topic_cheaper(len(state.topics))

    def _keep_distance(self, now: float, state: RegistrationState | None) -> None:
        """Set when topics that changed are worth the next table, after one that was made now."""
        if state is None or state.broker_id != MASTER_ID:
            self._next_table = now + ASK_SECONDS
            return
        self._paid_until = max(self._paid_until, now) + TABLE_DISTANCE * self._table_seconds
        # A topic that comes by use is looked for in the next moment: a few tables may come together.
        self._next_table = min(self._paid_until - ASK_SECONDS, now + ASK_SECONDS)

    async def _register_topics(self, address: str, view: NameServerView) -> None:
        """Register the topics that a caller waits for, one by one.

        Raises:
            MQError: as `_sync_once`.

        Source: RocketMQ 5.x, BrokerController#registerSingleTopicAll.
        """
        revision, topics = self._revision, list(view.wanted)
        codes = await asyncio.gather(*(self._register_topic(address, topic) for topic in topics))
        if all(code == ResponseCode.SUCCESS for code in codes):
            view.took_topics(revision, topics)
        else:
            view.takes_topics = False  # 4.9 does not know the request

    async def _register_topic(self, address: str, topic: str) -> int:
        config = self._topic(topic)
        queues = []
        if config is not None:
            queues = [
                QueueData(
                    broker_name=self._identity.name,
                    perm=config.perm,
                    read_queue_nums=config.read_queue_nums,
                    topic_sys_flag=config.topic_sys_flag,
                    write_queue_nums=config.write_queue_nums,
                )
            ]
        # The broker name is for a topic that has no queues any more; Apache's NameServer passes over such a topic.
        fields = {"topic": topic, "brokerName": self._identity.name}
        body = TopicRouteData(queue_datas=queues).encode(standard=True)
        answer = await self._call(address, RequestCode.REGISTER_TOPIC_IN_NAMESRV, fields, body)
        return answer.code

    def _present_state(self, now: float) -> tuple[int, RegistrationState | None, bytes]:
        """Give the revision, what to register, and its body, made once for all NameServers."""
        before, held, body = self._cached
        if before == self._revision:
            return self._cached
        state = self._make_state()
        if state == held and before > 0:
            # Nothing that a NameServer would see differently, a follower that learnt its leader's name, say.
            for view in self._views.values():
                view.same_table(before, self._revision)
        else:
            body = b""
            if state is not None:
                body = RegisterBrokerBody([], topic_table(state.topics, state.version)).encode()
        self._cached = (self._revision, state, body)
        self._keep_distance(now, state)
        return self._cached

    def _fields(self, state: RegistrationState) -> dict[str, str]:
        identity = self._identity
        return {
            "brokerName": identity.name,
            "brokerAddr": identity.address,
            "clusterName": identity.cluster,
            "brokerId": str(state.broker_id),
        }

    async def _register(self, address: str, state: RegistrationState, body: bytes) -> None:
        fields = self._fields(state) | {
            "haServerAddr": self._identity.ha_address,
            "compressed": "false",
            "bodyCrc32": str(body_crc32(body)),
            "heartbeatTimeoutMillis": str(HEARTBEAT_TIMEOUT_MS),
            # Its presence tells a 5.x NameServer that this is no 4.9 broker.
            "enableActingMaster": "false",
            "ternTerm": str(state.term),
            "ternGroup": state.group_id,
        }
        answer = await self._call(address, RequestCode.REGISTER_BROKER, fields, body)
        if answer.code == ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
            raise NotANameServerError(address, code=answer.code)
        if answer.code != ResponseCode.SUCCESS:
            raise RegistrationRefusedError(
                f"refused id {state.broker_id} in term {state.term}: {answer.remark}",
                code=answer.code,
                broker=address,
            )
        _log.debug("registered with %s as id %d in term %d", address, state.broker_id, state.term)

    async def _is_changed(self, address: str, state: RegistrationState) -> bool:
        fields = self._fields(state)
        answer = await self._call(address, RequestCode.QUERY_DATA_VERSION, fields, state.version.encode())
        # A NameServer that cannot say gets the table.
        return answer.code != ResponseCode.SUCCESS or answer.fields.get("changed", "true") != "false"

    async def _call(self, address: str, code: int, fields: dict[str, str], body: bytes) -> Answer:
        return await self._endpoint.call(address, code, fields, body, timeout=CALL_SECONDS)

    async def _unregister(self, address: str, state: RegistrationState) -> None:
        try:
            await self._endpoint.call(
                address, RequestCode.UNREGISTER_BROKER, self._fields(state), timeout=UNREGISTER_SECONDS
            )
        except MQError as error:
            _log.info("could not say goodbye to NameServer %s: %s", address, error)
