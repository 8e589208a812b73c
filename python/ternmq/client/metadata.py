"""Routes of topics and masters of groups: looked up once, polled, and read again at once when a master goes away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping

from ternmq.client.leader_discovery import LeaderDiscovery
from ternmq.client.leaders import Leaders
from ternmq.client.nameservers import NameServers
from ternmq.client.topic_route import TopicRoute, derived_route, read_cluster, read_route, with_missing_groups
from ternmq.errors import MQError, NotWritableError, RouteNotFoundError, UnreachableError
from ternmq.protocol.codes import RequestCode, ResponseCode
from ternmq.protocol.names import DEFAULT_TOPIC
from ternmq.protocol.responses import response_error
from ternmq.remoting import Answer, Endpoint, Outcome

_log = logging.getLogger("ternmq.client.routing")  # Public: users filter by it.

POLL_SECONDS = 30.0
_QUESTION_SECONDS = 0.4
_PROBE_SECONDS = 0.2
_KEEP_MISSING_SECONDS = 60.0
"""A NameServer that has just started knows few groups: what it leaves out is kept this long."""
_SHORTEST_LOOK_SECONDS = 0.02
_LONGEST_LOOK_SECONDS = 0.3
"""Bounds of the pause between two looks for what exists and is not shown yet."""
_MAKE_SECONDS = 1.0
"""How long a first send waits for a group that does not answer, before it goes to another one."""
_UNTIL_SHOWN_SECONDS = 10.0
"""How long a topic is looked for that a send has made: brokers answer the send first and register then."""


class Metadata:
    """What the client knows of topics and groups, and the tasks that keep it true.

    Args:
        endpoint: the network.
        nameservers: asked for routes and masters.
        timeout: seconds for questions that no caller bounds.
    """

    def __init__(self, endpoint: Endpoint, nameservers: NameServers, timeout: float) -> None:
        self.leaders = Leaders()
        self.nameservers = nameservers
        self._endpoint = endpoint
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._routes: dict[str, TopicRoute] = {}
        self._seen: dict[tuple[str, str], float] = {}  # when a NameServer last showed (topic, broker)
        self._shown_by: dict[str, str] = {}  # which NameServer last showed the addresses of a broker
        self._unreached: dict[str, UnreachableError] = {}  # why the master of a broker was given up, if for that
        self._lookups: dict[tuple[str, str], asyncio.Task[TopicRoute]] = {}  # by what is done, and topic
        self._created: dict[str, set[str]] = {}  # groups where a send has made a topic, and no NameServer shows it yet
        self._discoveries: dict[str, LeaderDiscovery] = {}
        self._discovery_task: asyncio.Task[None] | None = None
        self._discovery_waker = asyncio.Event()
        self._probed: set[str] = set()  # groups whose rejected master was asked and has not answered
        self._refresh_all_task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[], None]] = []
        self._waiters: set[asyncio.Future[None]] = set()
        endpoint.on_disconnected(self._disconnected)
        self._spawn(self._poll())

    # -- topics --------------------------------------------------------------------------------------------------

    def known(self, topic: str) -> TopicRoute | None:
        """The route of a topic, if it was looked up before."""
        return self._routes.get(topic)

    async def find(self, topic: str, deadline: float, *, create: bool = False) -> TopicRoute:
        """The route of a topic; asks a NameServer if it is not known yet, or may be on more groups by now.

        What a send of this client has made is there, whatever the NameServers show at this moment: it is waited for.

        Args:
            topic: name of the topic.
            deadline: time of the loop after which to give up.
            create: for an unknown topic take the route that it gets when a broker creates it at the first send.

        Raises:
            RouteNotFoundError: no NameServer knows the topic, and it cannot be created by sending.
            UnreachableError: no NameServer answers.
        """
        while not create and topic in self._created and deadline > self._loop.time():
            await self.wait_for_change(deadline - self._loop.time())
        route = self._routes.get(topic)
        if route is not None and (create or not route.promised):
            return route
        if not create and topic in self._created and (route is None or route.derived):
            raise RouteNotFoundError(f"topic {topic} was made by a send, and no NameServer shows it yet")
        try:
            return await self._once(("find", topic), lambda: self._look_up(topic, deadline))
        except RouteNotFoundError:
            if create:
                return await self._once(("create", topic), lambda: self._create(topic, deadline))
            if route is not None and route.groups:  # a NameServer that has just started knows few topics
                return route
            raise

    def refresh_soon(self, topic: str, after: float = _LONGEST_LOOK_SECONDS) -> None:
        """Read a topic's route again after so many seconds, in the background."""
        self._spawn(self._refresh(topic, after))

    def created(self, topic: str, broker: str) -> None:
        """Take note that a send has made a topic on a group: its route is read until a NameServer shows it there."""
        is_looked_for = topic in self._created
        self._created.setdefault(topic, set()).add(broker)
        if not is_looked_for:
            self._spawn(self._look_until_shown(topic))

    # -- masters -------------------------------------------------------------------------------------------------

    def master(self, broker: str) -> str | None:
        """Address of a group's master; None while none is known, and then it is looked for."""
        address = self.leaders.master(broker)
        if address is None:
            self.discover_leader(broker)
        return address

    async def wait_for_master(self, broker: str, deadline: float) -> str:
        """Address of a group's master, as soon as one is known.

        Raises:
            NotWritableError: none until the deadline.
        """
        while True:
            address = self.master(broker)
            if address is not None:
                return address
            left = deadline - self._loop.time()
            if left <= 0:
                raise NotWritableError(
                    f"group {broker} has shown no leader in time{self.why_no_leader([broker])}", broker=broker
                )
            await self.wait_for_change(left)

    def reject(self, broker: str, address: str, outcome: Outcome | None = None) -> None:
        """Take note that a master failed, or that an answer says it is none; a new one is looked for at once."""
        if isinstance(outcome, UnreachableError):
            self._unreached[broker] = outcome
        hint, term = _hint(outcome if isinstance(outcome, Answer) else None)
        if self.leaders.reject(broker, address, hint, term):
            _log.info("group %s: %s does not lead any more, now %s", broker, address, self.leaders.master(broker))
            self._notify()
        if self.leaders.master(broker) is None:
            self.discover_leader(broker, missed=True)
        else:
            self._unreached.pop(broker, None)

    def discover_leader(self, broker: str, *, missed: bool = False) -> None:
        """Keep looking for a group's master for the next seconds.

        Args:
            broker: name of the group.
            missed: its master was lost just now.
        """
        now = self._loop.time()
        discovery = self._discoveries.get(broker)
        if discovery is None:
            self._discoveries[broker] = LeaderDiscovery(now)
        elif missed:
            discovery.restart(now)
        else:
            discovery.extend(now)
        if discovery is None or missed:
            self._discovery_waker.set()
        if self._discovery_task is None or self._discovery_task.done():
            self._discovery_task = self._spawn(self._discover_leaders())

    def refresh_all(self) -> None:
        """Ask the next NameServer for all masters, while the known ones stay believed."""
        if self._refresh_all_task is None or self._refresh_all_task.done():
            self.leaders.reset_rejected()
            self._refresh_all_task = self._spawn(self._ask_cluster())

    def learn_cluster(self, nameserver: str, body: bytes) -> None:
        """Take all addresses of a cluster info body that a NameServer gave.

        Raises:
            BodyError: not readable.
        """
        changed = [self._learn(name, addresses, nameserver) for name, addresses in read_cluster(body).items()]
        if any(changed):
            self._notify()

    def why_no_leader(self, brokers: Iterable[str]) -> str:
        """What to add to an error about missing leaders: masters that are shown, but cannot be reached; else empty."""
        unreached = {broker: self._unreached[broker] for broker in brokers if broker in self._unreached}
        return "".join(f"; {self.explained(broker, error)}" for broker, error in unreached.items())

    def explained(self, broker: str, error: MQError) -> MQError:
        """The error to raise for a call to a broker: if a NameServer showed the address it says which, and what to set.

        Args:
            broker: name of the group that was called.
            error: why it failed; returned as it is, but for an `UnreachableError`.
        """
        nameserver = self._shown_by.get(broker)
        if not isinstance(error, UnreachableError) or nameserver is None:
            return error
        explained = UnreachableError(
            f"{error}; NameServer {nameserver} shows this address for broker {broker}: if it is wrong from here, set"
            " brokerIP1 in its broker.conf (advertise in a topology)",
            broker=error.broker,
        )
        explained.__cause__ = error
        return explained

    def addresses_in_use(self) -> set[str]:
        """Addresses of all replicas of all groups that hold a topic in use."""
        return self.leaders.addresses({broker for route in self._routes.values() for broker in route.brokers})

    # -- changes -------------------------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a route or a master changes."""
        self._listeners.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """End `on_change` for this callback."""
        self._listeners.remove(callback)

    async def wait_for_change(self, timeout: float) -> None:
        """Wait until a route or a master changes, or the time is up."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiters.discard(waiter)

    async def close(self) -> None:
        """Stop all background work."""
        tasks = [*self._tasks, *self._lookups.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- inside --------------------------------------------------------------------------------------------------

    async def _look_up(self, topic: str, deadline: float) -> TopicRoute:
        """Ask for a topic; one NameServer that knows it is enough, as another may have just started."""
        fields = {"topic": topic}
        answer = await self.nameservers.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, fields, deadline)
        nameserver = self.nameservers.current
        if answer.code == ResponseCode.TOPIC_NOT_EXIST:
            for address, other in await self.nameservers.ask_each(RequestCode.GET_ROUTEINFO_BY_TOPIC, fields, deadline):
                if other.code == ResponseCode.SUCCESS:
                    nameserver, answer = address, other
                    break
        if answer.code == ResponseCode.TOPIC_NOT_EXIST:
            raise RouteNotFoundError(f"no NameServer knows topic {topic}", code=answer.code, remark=answer.remark)
        if answer.code != ResponseCode.SUCCESS:
            raise response_error(answer.code, answer.remark, broker=f"NameServer {nameserver}")
        return self._store(read_route(topic, answer.body), nameserver)

    async def _once(self, key: tuple[str, str], work: Callable[[], Coroutine[None, None, TopicRoute]]) -> TopicRoute:
        """Do something once, however many callers wait for its end."""
        task = self._lookups.get(key)
        if task is None:
            task = self._lookups[key] = self._loop.create_task(work())
            task.add_done_callback(lambda done: self._looked_up(key, done))
        return await asyncio.shield(task)

    async def _create(self, topic: str, deadline: float) -> TopicRoute:
        """Route of a topic that does not exist yet: made on every group, or promised where brokers await a send.

        Brokers of ours are asked to make it as a send would, so that it is on every group from the first message on.
        Others do not know the request; there the topic is on the groups that sends have reached.
        """
        template = await self.find(DEFAULT_TOPIC, deadline)
        made = await self._create_on_groups(topic, template, deadline)
        if made:
            with contextlib.suppress(MQError):
                await self._look_up(topic, deadline)
        known = self._routes.get(topic)
        for broker in made:
            if known is None or broker not in known.groups:
                self.created(topic, broker)
        if known is not None:
            return known
        return self._store(derived_route(topic, template))  # its addresses are the template's

    async def _look_until_shown(self, topic: str) -> None:
        """Read a topic's route again and again until it shows all groups where sends have made it."""
        until = self._loop.time() + _UNTIL_SHOWN_SECONDS
        pause = _SHORTEST_LOOK_SECONDS
        try:
            while topic in self._created and self._loop.time() < until:
                await self._refresh(topic, 0.0)
                if topic in self._created:
                    await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_LOOK_SECONDS)
        finally:
            missing = self._created.pop(topic, None)
        if missing:
            _log.warning(
                "topic %s was made by a send on %s, and no NameServer has shown it there for %g s",
                topic, ", ".join(sorted(missing)), _UNTIL_SHOWN_SECONDS,
            )  # fmt: skip
            self._notify()

    async def _create_on_groups(self, topic: str, template: TopicRoute, deadline: float) -> list[str]:
        """Ask every group that shows a master for a topic; gives the names of those that have it now."""
        timeout = max(0.01, min(_MAKE_SECONDS, (deadline - self._loop.time()) / 2))
        asked = {
            broker: self._endpoint.call(
                address,
                RequestCode.USE_TOPIC,
                {"topic": topic, "queues": str(counts.write)},
                timeout=timeout,
            )
            for broker, counts in template.groups.items()
            if (address := self.leaders.master(broker)) is not None
        }
        outcomes = await asyncio.gather(*asked.values(), return_exceptions=True)
        made = []
        for broker, outcome in zip(asked, outcomes, strict=True):
            if isinstance(outcome, Answer) and outcome.code == ResponseCode.SUCCESS:
                made.append(broker)
            elif not isinstance(outcome, Answer) or outcome.code != ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
                said = outcome if isinstance(outcome, BaseException) else f"{outcome.code} {outcome.remark}"
                _log.info("topic %s is not made on %s until a send comes there: %s", topic, broker, said)
        return made

    def _looked_up(self, key: tuple[str, str], task: asyncio.Task[TopicRoute]) -> None:
        del self._lookups[key]
        if not task.cancelled():
            task.exception()  # read, as no caller may be left to do it: all of them may have been cancelled

    def _store(self, route: TopicRoute, nameserver: str | None = None) -> TopicRoute:
        now = self._loop.time()
        for broker in route.brokers:
            self._seen[route.topic, broker] = now
        created = self._created.get(route.topic)
        is_shown = created is not None and created <= route.groups.keys()
        if is_shown:
            del self._created[route.topic]
        before = self._routes.get(route.topic)
        if before is not None:
            recent = {
                broker for broker in before.brokers
                if now - self._seen.get((route.topic, broker), 0.0) < _KEEP_MISSING_SECONDS
            }  # fmt: skip
            route = with_missing_groups(route, before, recent)
        changed = is_shown or route != before
        for broker, addresses in route.brokers.items():
            changed |= self._learn(broker, addresses, nameserver)
        self._routes[route.topic] = route
        if changed:
            self._notify()
        return route

    def _learn(self, broker: str, addresses: Mapping[int, str], nameserver: str | None) -> bool:
        """Take a broker's addresses, and which NameServer showed them; says whether its master changed."""
        if nameserver is not None:
            self._shown_by[broker] = nameserver
        changed = self.leaders.learn(broker, addresses)
        if changed:
            self._unreached.pop(broker, None)
        return changed

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for topic in list(self._routes):
                await self._refresh(topic, 0.0)

    async def _refresh(self, topic: str, after: float) -> None:
        await asyncio.sleep(after)
        with contextlib.suppress(MQError):  # the next poll, or the next send that fails, asks again
            await self._look_up(topic, self._loop.time() + self._timeout)

    async def _discover_leaders(self) -> None:
        """Ask NameServers in turn, and the rejected masters themselves, until all wanted groups show a master.

        A silent NameServer does not hold up the next question: the host that died may have run one, too.
        """
        while missing := self._missing():
            now = self._loop.time()
            due = [broker for broker, discovery in missing.items() if discovery.due <= now]
            if due:
                self._spawn(self._ask_cluster())
            for broker in due:
                missing[broker].asked(now)
                if broker not in self._probed:
                    self._probed.add(broker)
                    self._spawn(self._probe(broker))
            self._discovery_waker.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(discovery.due for discovery in missing.values()) - now):
                    await self._discovery_waker.wait()

    def _missing(self) -> dict[str, LeaderDiscovery]:
        now = self._loop.time()
        self._discoveries = {
            broker: discovery for broker, discovery in self._discoveries.items() if not discovery.is_over(now)
        }
        return {
            broker: discovery for broker, discovery in self._discoveries.items() if self.leaders.master(broker) is None
        }

    async def _ask_cluster(self) -> None:
        """One question covers all groups, whatever topics they carry."""
        with contextlib.suppress(MQError):
            nameserver, answer = await self.nameservers.ask_next(
                RequestCode.GET_BROKER_CLUSTER_INFO, {}, _QUESTION_SECONDS
            )
            if answer.code == ResponseCode.SUCCESS:
                self.learn_cluster(nameserver, answer.body)

    async def _probe(self, broker: str) -> None:
        """Ask the rejected master whether it leads: after a short cut of the network it is still the right one."""
        try:
            await self._ask_rejected(broker)
        finally:
            self._probed.discard(broker)

    async def _ask_rejected(self, broker: str) -> None:
        address = self.leaders.rejected(broker)
        if address is None:
            return
        queue = next(
            (queue for route in self._routes.values() for queue in route.readable if queue.broker == broker), None
        )
        fields = {"topic": queue.topic if queue else DEFAULT_TOPIC, "queueId": str(queue.id if queue else 0)}
        with contextlib.suppress(MQError):
            answer = await self._endpoint.call(address, RequestCode.GET_MAX_OFFSET, fields, timeout=_PROBE_SECONDS)
            if answer.code == ResponseCode.SUCCESS:
                changed = self.leaders.confirm(broker, address)
                self._unreached.pop(broker, None)
            else:
                changed = self.leaders.reject(broker, address, *_hint(answer))
            if changed:
                self._notify()

    def _disconnected(self, address: str) -> None:
        for broker in self.leaders.led_by(address):
            self.reject(broker, address)

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for listener in tuple(self._listeners):
            listener()

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _hint(answer: Answer | None) -> tuple[str, int]:
    """The leader that a refusal names, and its term; empty and 0 if it names none."""
    if answer is None:
        return "", 0
    term = answer.fields.get("leaderTerm", "")
    return answer.fields.get("leaderAddr", ""), int(term) if term.isdecimal() else 0
