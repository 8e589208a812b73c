"""One send from acceptance to its receipt: where it goes, its tries, and what waits for a leader."""

from __future__ import annotations

import asyncio
import functools
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from ternmq.client.messages import MessageQueue, SendReceipt, SendStatus
from ternmq.client.outcomes import FAIL, RETRY, WAIT, is_ambiguous, judge, send_error
from ternmq.client.routes import TopicRoute
from ternmq.client.routing import Routing
from ternmq.client.sharding import shard_index
from ternmq.errors import ClientClosedError, MQError, OutcomeUnknownError, StoredUnconfirmedError
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Answer, Endpoint, Outcome

_STORED: dict[int, SendStatus] = {
    ResponseCode.SUCCESS: "ok",
    ResponseCode.FLUSH_DISK_TIMEOUT: "flush_disk_timeout",
    ResponseCode.SLAVE_NOT_AVAILABLE: "slave_not_available",
    ResponseCode.FLUSH_SLAVE_TIMEOUT: "flush_slave_timeout",
}
_PAUSE_SECONDS = 0.05
"""Between a refusal and the next try on the same broker, and between two looks at what waits."""
_GRACE_SECONDS = 0.25
"""How long a replaced master may still answer what was sent to it, before the send goes to the new one as well."""
_SILENCE_SECONDS = 1.0
"""A master that leaves a send unanswered so long is asked about at the NameServers, while the send goes on waiting."""


class Plan:
    """What all sends to one topic share.

    Args:
        route: the topic's route when the plan was made.
        fields: header fields that do not change from one send to the next.
    """

    __slots__ = ("_turn", "confirmed", "fields", "route", "topic")

    def __init__(self, route: TopicRoute, fields: dict[str, str]) -> None:
        self.topic = route.topic
        self.route = route
        self.fields = fields
        self.confirmed = not route.derived
        self._turn = random.randrange(1 << 16)

    def next_queue(self, routing: Routing, avoid: str | None) -> MessageQueue | None:
        """The next queue in turn whose group has a master, not in group `avoid` if there is another; None if none."""
        queues = self.route.writable
        count = len(queues)
        fallback = None
        for step in range(1, count + 1):
            queue = queues[(self._turn + step) % count]
            if routing.leaders.master(queue.broker) is None:
                continue
            if queue.broker != avoid:
                self._turn += step
                return queue
            fallback = fallback or queue
        return fallback

    def shard_queue(self, shard: str) -> MessageQueue | None:
        """The queue of a shard key, whether its group has a master now or not; None if the topic has no queue."""
        queues = self.route.writable
        return queues[shard_index(shard, len(queues))] if queues else None


class Send:
    """One message, or one batch, on its way.

    Args:
        plan: what its topic needs.
        code: request code, 310 or 320.
        fields: complete header fields but for the queue.
        body: the wire's body.
        ids: message ids; one but for a batch.
        shard: key whose sends go one after the other; None for none.
        queue: fixed queue; None lets each try choose.
        deadline: time of the loop.
        tries: how many there may be.
        future: gets the receipts, or the exception.
    """

    __slots__ = (
        "address", "ambiguous", "attempt", "body", "code", "deadline", "fields", "future", "ids", "last", "plan",
        "queue", "sent_at", "shard", "size", "timer", "tries", "waits",
    )  # fmt: skip

    def __init__(
        self,
        plan: Plan,
        code: int,
        fields: dict[str, str],
        body: bytes,
        ids: list[str],
        shard: str | None,
        queue: MessageQueue | None,
        deadline: float,
        tries: int,
        future: asyncio.Future[Any],
    ) -> None:
        self.plan = plan
        self.code = code
        self.fields = fields
        self.body = body
        self.size = len(body)
        self.ids = ids
        self.shard = shard
        self.queue = queue
        self.deadline = deadline
        self.tries = tries
        self.future = future
        self.address = ""
        self.attempt = 0
        self.waits = 0
        self.ambiguous = False
        self.last: Outcome | None = None
        self.sent_at = 0.0
        self.timer: asyncio.TimerHandle | None = None


class Sender:
    """Carries sends to their masters.

    A try ends with an answer, a failure, or when the master that owes the answer was replaced. Sends for a group
    without a known master are parked and go out at the next change of routes or masters; waiting is not a try. Sends
    with the same shard key go one after the other.

    Args:
        endpoint: the network.
        routing: routes and masters.
        on_done: called with each send that ended.
    """

    def __init__(self, endpoint: Endpoint, routing: Routing, on_done: Callable[[Send], None]) -> None:
        self.plans: dict[str, Plan] = {}
        self._endpoint = endpoint
        self._routing = routing
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._outstanding: dict[Send, None] = {}  # in order of sending
        self._parked: dict[Send, None] = {}
        self._shards: dict[tuple[str, str], deque[Send]] = {}  # the first of each is on its way
        self._watching: asyncio.TimerHandle | None = None
        routing.on_change(self._routes_changed)

    def submit(self, send: Send) -> None:
        """Start a send; behind the others of its shard key if there are some."""
        if send.shard is not None:
            line = self._shards.get((send.plan.topic, send.shard))
            if line is not None:
                line.append(send)
                return
            self._shards[send.plan.topic, send.shard] = deque((send,))
        self._try(send)

    def close(self) -> None:
        """Stop; everything must have ended before."""
        self._routing.forget(self._routes_changed)
        if self._watching is not None:
            self._watching.cancel()

    # -- one try -------------------------------------------------------------------------------------------------

    def _try(self, send: Send) -> None:
        """Send to the right master now, or park."""
        now = self._loop.time()
        left_ms = int((send.deadline - now) * 1000)
        if left_ms <= 0:
            self._fail(send, in_time=False)
            return
        queue = send.queue
        if send.shard is None and (queue is None or send.attempt or send.last is not None):
            queue = send.queue = send.plan.next_queue(self._routing, queue.broker if queue is not None else None)
        address = self._routing.leaders.master(queue.broker) if queue is not None else None
        if queue is None or address is None:
            self._park(send)
            return
        send.fields["e"] = str(queue.id)
        send.address = address
        send.attempt = attempt = send.attempt + 1
        send.sent_at = now
        self._outstanding[send] = None
        if self._watching is None:
            self._watching = self._loop.call_later(_SILENCE_SECONDS / 2, self._watch)
        done = functools.partial(self._outcome, send, attempt)
        try:
            self._endpoint.start_call(address, send.code, send.fields, send.body, left_ms, done)
        except ClientClosedError as error:
            done(error)

    def _outcome(self, send: Send, attempt: int, outcome: Outcome) -> None:
        if send.attempt != attempt or send not in self._outstanding:
            return  # the answer of a master that was given up in the meantime
        del self._outstanding[send]
        if isinstance(outcome, Answer) and outcome.code in _STORED:
            self._stored(send, outcome)
            return
        send.last = outcome
        send.ambiguous |= is_ambiguous(outcome)
        assert send.queue is not None
        verdict = judge(outcome)
        if verdict == WAIT:
            send.attempt -= 1
            send.waits += 1
            self._role_moved(send, outcome)
            # Two replicas that name each other as the leader must not be asked in a tight circle.
            self._again(send, pause=send.waits > 1 or self._routing.leaders.master(send.queue.broker) == send.address)
        elif verdict == FAIL or attempt >= send.tries or send.future.cancelled():
            self._note_failure(send, outcome)
            self._fail(send, in_time=True)
        else:
            assert verdict == RETRY
            self._note_failure(send, outcome)
            self._again(send, pause=isinstance(outcome, Answer))

    def _again(self, send: Send, *, pause: bool) -> None:
        """Try again: at once, or after a moment so that a broker that refuses is not hammered."""
        if pause:
            self._park(send, _PAUSE_SECONDS)
        else:
            self._try(send)

    def _note_failure(self, send: Send, outcome: Outcome) -> None:
        if isinstance(outcome, MQError):
            self._role_moved(send, outcome)
        elif outcome.code == ResponseCode.TOPIC_NOT_EXIST:
            self._routing.refresh_soon(send.plan.topic, 0.0)

    def _role_moved(self, send: Send, outcome: Outcome) -> None:
        assert send.queue is not None
        answer = outcome if isinstance(outcome, Answer) else None
        if answer is not None or outcome.refresh_route:  # type: ignore[union-attr]
            self._routing.reject(send.queue.broker, send.address, answer)

    # -- waiting -------------------------------------------------------------------------------------------------

    def _park(self, send: Send, seconds: float | None = None) -> None:
        """Keep a send until something changes, its pause ends, or its time is up."""
        self._parked[send] = None
        for broker in {queue.broker for queue in self._candidates(send)}:
            self._routing.master(broker)  # starts the search where there is none
        until = send.deadline if seconds is None else min(send.deadline, self._loop.time() + seconds)
        send.timer = self._loop.call_at(until, self._unpark, send)

    def _candidates(self, send: Send) -> tuple[MessageQueue, ...]:
        if send.shard is not None and send.queue is not None:
            return (send.queue,)
        return send.plan.route.writable

    def _unpark(self, send: Send) -> None:
        if send in self._parked:
            del self._parked[send]
            assert send.timer is not None
            send.timer.cancel()
            if send.future.cancelled():
                self._end(send)
            else:
                self._try(send)

    def _routes_changed(self) -> None:
        """Start what waited, and give a replaced master a last moment to answer what it owes."""
        for plan in self.plans.values():
            plan.route = self._routing.known(plan.topic) or plan.route
        for send in self._outstanding:
            if self._is_orphan(send):
                self._loop.call_later(_GRACE_SECONDS, self._give_up, send, send.attempt)
        for send in tuple(self._parked):
            self._unpark(send)

    def _give_up(self, send: Send, attempt: int) -> None:
        """Send again to the new master what the replaced one has not answered: it may never do.

        It may also have stored it, so whoever wants no message twice, with `retries=0`, is told that instead.
        """
        if send.attempt == attempt and send in self._outstanding and self._is_orphan(send):
            del self._outstanding[send]
            send.ambiguous = True
            if send.tries == 1:
                self._fail(send, in_time=True)
                return
            send.tries += send.attempt >= send.tries  # the switch itself costs no try
            self._try(send)

    def _is_orphan(self, send: Send) -> bool:
        assert send.queue is not None
        master = self._routing.leaders.master(send.queue.broker)
        return master is not None and master != send.address

    def _watch(self) -> None:
        """Have masters asked about that leave sends unanswered; a stopped process keeps its connections open."""
        self._watching = None
        oldest = next(iter(self._outstanding), None)
        if oldest is not None:
            if self._loop.time() - oldest.sent_at >= _SILENCE_SECONDS:
                self._routing.doubt()
            self._watching = self._loop.call_later(_SILENCE_SECONDS / 2, self._watch)

    # -- the end -------------------------------------------------------------------------------------------------

    def _stored(self, send: Send, answer: Answer) -> None:
        try:
            offset = int(answer.fields["queueOffset"])
            number = int(answer.fields["queueId"])
        except (KeyError, ValueError) as error:
            failure = OutcomeUnknownError(f"{send.address} answered a send without a queue offset", broker=send.address)
            failure.__cause__ = error
            self._end(send, failure)
            return
        queue = send.queue
        assert queue is not None
        if number != queue.id:
            queue = queue._replace(id=number)
        status = _STORED[answer.code]
        receipts = [SendReceipt(ident, queue, offset + index, status) for index, ident in enumerate(send.ids)]
        if not send.plan.confirmed:
            send.plan.confirmed = True
            self._routing.refresh_soon(send.plan.topic)
        if answer.code == ResponseCode.SUCCESS:
            self._end(send, receipts=receipts)
            return
        self._end(
            send,
            StoredUnconfirmedError(
                f"{send.address} stored the message but did not confirm it as configured: {status}",
                code=answer.code,
                broker=send.address,
                remark=answer.remark,
                receipt=receipts[0],
            ),
        )

    def _fail(self, send: Send, *, in_time: bool) -> None:
        what = str(send.queue) if send.queue is not None else f"topic {send.plan.topic}"
        error = send_error(send.last, send.address, what, ambiguous=send.ambiguous, in_time=in_time)
        if isinstance(send.last, MQError) and error is not send.last:
            error.__cause__ = send.last
        self._end(send, error)

    def _end(self, send: Send, error: MQError | None = None, receipts: list[SendReceipt] | None = None) -> None:
        future = send.future
        if not future.done():
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(receipts[0] if send.code != 320 and receipts else receipts)
        self._on_done(send)
        if send.shard is not None:
            self._next_of_shard(send)

    def _next_of_shard(self, send: Send) -> None:
        assert send.shard is not None
        key = (send.plan.topic, send.shard)
        line = self._shards[key]
        line.popleft()
        while line and line[0].future.cancelled():
            self._on_done(line.popleft())
        if line:
            self._loop.call_soon(self._try, line[0])  # not at once: a line that has timed out would recurse
        else:
            del self._shards[key]
