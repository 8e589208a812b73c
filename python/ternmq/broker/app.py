"""One replica: builds the parts in order from its configuration, starts and stops them."""

import asyncio
import logging
import time
from collections.abc import Collection
from datetime import datetime
from functools import partial

from ternmq.broker.bootstrap import log_missing_members
from ternmq.broker.changes import Changes
from ternmq.broker.dispatch import AdminHandlers, admin_dispatch_table
from ternmq.broker.engine import (
    PROPOSED_EVENT,
    ROLE_EVENT,
    STOPPED_EVENT,
    TOPICS_EVENT,
    Engine,
    shown_topic,
    start_engine,
)
from ternmq.broker.handlers.admin.clients import ClientHandlers
from ternmq.broker.handlers.admin.groups import GroupHandlers
from ternmq.broker.handlers.admin.replica import ReplicaHandlers
from ternmq.broker.handlers.admin.runtime import RuntimeHandlers
from ternmq.broker.handlers.admin.settings import SettingsHandlers
from ternmq.broker.handlers.admin.statistics import StatisticsHandlers
from ternmq.broker.handlers.admin.topics import TopicHandlers
from ternmq.broker.leader_watch import LeaderWatch
from ternmq.broker.leadership_transfer import LeadershipTransfer
from ternmq.broker.master_lookup import asker, with_master
from ternmq.broker.preferred_leader import PreferredLeader
from ternmq.broker.proposals import Proposals
from ternmq.broker.registration import Registrar, RegistrationState, ReplicaIdentity
from ternmq.broker.roles import STARTING, Role, Roles
from ternmq.config import BrokerConfig
from ternmq.config.addresses import join_address
from ternmq.config.exposure import warn_while_exposed
from ternmq.config.topology import HA_PORT_DISTANCE
from ternmq.errors import MQError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.topics import DataVersion, TopicConfig
from ternmq.remoting import Endpoint, Event, Reply, Request, open_endpoint

_log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
# Of the fifteen after which a supervisor kills.
TRANSFER_SECONDS = 2.0
# The engine gives a transfer up after one election timeout; appends are held for so long.
TRANSFER_TIMEOUTS = 1.5
# Clients that are at work learn within a round trip that another replica leads.
LINGER_SECONDS = 0.1
# Within the five seconds that RocketMQ's tools wait.
FORWARD_SECONDS = 4.0
# A NameServer that hangs costs the creation of a topic so much, until it is known to be out of order.
ANNOUNCE_SECONDS = 1.0


class BrokerApp:
    """A replica on the running event loop.

    Args:
        config: what this process was told.
    """

    def __init__(self, config: BrokerConfig) -> None:
        self._config = config
        self._engine: Engine | None = None
        self._endpoint: Endpoint | None = None
        self._registrar: Registrar | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._proposals = Proposals()
        self._roles = Roles(self._leader_address)
        self._watch: LeaderWatch | None = None

    async def start(self) -> None:
        """Recover, listen, join the group, and register with every NameServer as soon as the role is known.

        Raises:
            ConfigError: the replica cannot start; the sentence says what to change.
        """
        config = self._config
        endpoint = self._endpoint = open_endpoint(workers=config.workers)
        runtime = RuntimeHandlers(self._running_engine, config.data)
        table = admin_dispatch_table(self._handlers(runtime))
        endpoint.answer_requests(table)
        endpoint.on_event(ROLE_EVENT, self._role_event)
        endpoint.on_event(TOPICS_EVENT, self._topics_event)
        endpoint.on_event(PROPOSED_EVENT, self._proposed_event)
        endpoint.on_event(STOPPED_EVENT, self._stopped_event)
        self._registrar = Registrar(
            endpoint, config.nameservers, _identity(config), self._registration_state, self._topic
        )
        try:
            config = self._config = await with_master(config, asker(endpoint, config))
            # Recovery reads the log, which takes as long as it takes: not on the event loop.
            self._engine = await asyncio.to_thread(start_engine, endpoint, config, list(table))
        except BaseException:
            await endpoint.close()
            raise
        # The listener first: a role that changes between the two is told, and the status is not older than it.
        self._roles.on_change(self._role_changed)
        self._take_status()
        addresses = _peer_addresses(config)
        self._watch = LeaderWatch(config.group, config.member, config.mode, addresses, self._roles, self._in_reach)
        self._registrar.start()
        self._tasks = [
            asyncio.create_task(_sample_every_second(runtime)),
            asyncio.create_task(self._watch.run()),
            *self._leader_tasks(self._engine),
            asyncio.create_task(warn_while_exposed(config.name, config.listen_host)),
            asyncio.create_task(log_missing_members(config.group, addresses, self._waiting_for)),
        ]
        _log.info("%s listens on %s:%d", config.name, config.listen_host, config.port)

    async def stop(self) -> None:
        """Hand over, leave the NameServers, let what is appended be decided, close."""
        await self._transfer_leadership()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._registrar is not None:
            await self._registrar.stop()
            self._registrar = None
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(engine.stop, round(STOP_SECONDS * 1000))
        if self._endpoint is not None:
            await self._endpoint.close()
            self._endpoint = None

    async def _transfer_leadership(self) -> None:
        """Have another member lead, and send clients there while this one can still say where it is."""
        engine = self._engine
        if engine is None or self._failure.done() or self._config.mode != "raft":
            # Nobody else may lead.
            return
        # A turn of the log thread, which may write.
        progress = partial(asyncio.to_thread, engine.progress)
        if await LeadershipTransfer(progress, engine.transfer_leader, self._roles, self._transfer_patience()).run(
            TRANSFER_SECONDS
        ):
            engine.send_away()
            # What is on its way here is refused with 14, for certain. On a broken connection nothing would be certain.
            await asyncio.sleep(LINGER_SECONDS)

    async def failed(self) -> str:
        """Wait until the replica stops by itself; gives its sentence. Never returns while all is well."""
        return await asyncio.shield(self._failure)

    # -- what the engine tells -----------------------------------------------------------------------------------

    def _role_event(self, event: Event) -> None:
        _, name, term, leader = event
        self._roles.changed(name, term, leader)

    def _topics_event(self, event: Event) -> None:
        if self._registrar is not None:
            self._registrar.topics_changed()

    def _proposed_event(self, event: Event) -> None:
        _, number, code, remark = event
        self._proposals.decided(number, code, remark)

    def _stopped_event(self, event: Event) -> None:
        _log.error("%s stopped: %s", self._config.name, event[1])
        if not self._failure.done():
            self._failure.set_result(event[1])

    def _take_status(self) -> None:
        """Take the role that the engine had before a listener was there."""
        status = self._running_engine().status()
        if status["role"] != STARTING:
            self._roles.changed(status["role"], status["term"], status["leader"])

    def _waiting_for(self) -> Collection[str] | None:
        """Members that the bootstrap waits for; None once this replica takes part in its group."""
        status = self._running_engine().status()
        return list(status.get("waiting_for", ())) if status["role"] == STARTING else None

    def _leader_tasks(self, engine: Engine) -> list[asyncio.Task[None]]:
        """What only a leader does, begun on every replica."""
        preferred = self._config.preferred_leader
        if preferred is None or preferred == self._config.member:
            return []
        followers = partial(asyncio.to_thread, engine.followers)
        handing = PreferredLeader(preferred, followers, engine.transfer_leader, self._roles, self._transfer_patience())
        return [asyncio.create_task(handing.run())]

    def _transfer_patience(self) -> float:
        return TRANSFER_TIMEOUTS * self._config.election_min_ms / 1000

    def _in_reach(self) -> Collection[str]:
        return list(self._running_engine().status().get("in_reach", ()))

    def _role_changed(self, role: Role) -> None:
        _log.info("%s is %s in term %d, leader %s", self._config.name, role.name, role.term, role.leader or "unknown")
        if self._registrar is not None:
            self._registrar.changed()

    def _handlers(self, runtime: RuntimeHandlers) -> AdminHandlers:
        config, engine = self._config, self._running_engine
        changes = Changes(engine, self._roles, self._proposals)
        return AdminHandlers(
            topics=TopicHandlers(
                engine, changes, self._term, _own_names(config), self._forward_to_leader, self._announce
            ),
            groups=GroupHandlers(engine, changes, self._term),
            statistics=StatisticsHandlers(engine, config.group),
            clients=ClientHandlers(engine),
            settings=SettingsHandlers(config, runtime.started_ms, engine, changes, self._announce),
            runtime=runtime,
            replica=ReplicaHandlers(
                engine,
                self._roles,
                frozenset(member.id for member in config.members),
                config.mode,
                config.data,
                lambda: self._watch.leaderless_ms if self._watch is not None else 0,
            ),
        )

    # -- what it tells others ------------------------------------------------------------------------------------

    def _running_engine(self) -> Engine:
        if self._engine is None:
            raise MQError(f"{self._config.name} is starting or stopping", code=ResponseCode.SERVICE_NOT_AVAILABLE)
        return self._engine

    async def _forward_to_leader(self, address: str, request: Request) -> Reply:
        assert self._endpoint is not None, "requests come through the endpoint"
        answer = await self._endpoint.call(address, request.code, request.fields, request.body, timeout=FORWARD_SECONDS)
        return Reply(answer.code, answer.remark, answer.fields, answer.body)

    async def _announce(self, topics: Collection[str]) -> bool:
        return self._registrar is None or await self._registrar.wait_registered(ANNOUNCE_SECONDS, topics)

    def _topic(self, name: str) -> TopicConfig | None:
        """Give one topic as NameServers should show it."""
        row = self._engine.topic(name) if self._engine is not None else None
        if row is None or self._engine is None:
            return None
        return shown_topic(row, self._engine.permission()[0])

    def _term(self) -> int:
        return self._roles.current.term

    def _leader_address(self) -> str | None:
        address = self._engine.status().get("leader_address") if self._engine is not None else None
        return str(address) if address else None

    def _registration_state(self) -> RegistrationState | None:
        """Give what to register now.

        The version is read before the topics: a topic that comes in between is registered early under the old version,
        and again, with its own, by the event that follows. The other order could lose it.
        """
        role = self._roles.current
        if role.name == STARTING or self._engine is None:
            return None
        counter, changed_ms = self._engine.topic_version()
        permission, _ = self._engine.permission()
        topics = {row[0]: shown_topic(row, permission) for row in self._engine.topics()}
        if len(topics) < 2:
            # Nothing is applied yet; a NameServer refuses a table of one topic.
            return None
        broker_id = 0 if role.is_leader else self._config.follower_broker_id(role.leader)
        if broker_id == 0 and not role.is_leader:
            # It was the master: who is it now is about to be known.
            return None
        group_id = str(self._engine.status().get("group_id", ""))
        return RegistrationState(broker_id, role.term, DataVersion(counter, role.term, changed_ms), topics, group_id)


def _identity(config: BrokerConfig) -> ReplicaIdentity:
    return ReplicaIdentity(
        config.cluster,
        config.group,
        config.advertised,
        join_address(config.advertise_host, config.port + HA_PORT_DISTANCE),
    )


def _peer_addresses(config: BrokerConfig) -> dict[str, str]:
    return {member.id: join_address(member.host, member.peer_port) for member in config.members if member.host}


def _own_names(config: BrokerConfig) -> frozenset[str]:
    return frozenset({config.cluster, config.group, f"{config.cluster}_REPLY_TOPIC"})


async def _sample_every_second(runtime: RuntimeHandlers) -> None:
    while True:
        runtime.sample(time.monotonic(), datetime.now().astimezone().date())
        await asyncio.sleep(1.0)
