"""Sends from acceptance to their receipts: their tries, what waits for a leader, and what becomes of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ternmq.client.keyed_queue import KeyedQueue
from ternmq.client.message_queue import MessageQueue
from ternmq.client.metadata import Metadata
from ternmq.client.outcomes import FAIL, RETRY, WAIT, is_ambiguous, retry_decision, send_error
from ternmq.client.pending_send import STORED, PendingSend, receipts, unconfirmed
from ternmq.client.publish_info import TopicPublishInfo
from ternmq.client.receipts import SendReceipt
from ternmq.errors import MQError, StoredUnconfirmedError
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Answer, Endpoint, Outcome, StoredSend, failure

_FLUSH_SENDS = 512
"""Sends that cross into the engine before the turn of the loop ends: brokers get work while more is being posted."""
_PAUSE_SECONDS = 0.05
"""Between a refusal and the next try on the same broker, and between two looks at what waits."""
_GRACE_SECONDS = 0.25
"""How long a replaced master may still answer what was sent to it, before the send goes to the new one as well."""
_SILENCE_SECONDS = 1.0
"""A master that leaves a send unanswered so long is asked about at the NameServers, while the send goes on waiting."""


class Sender:
    """Carries sends to their masters, many at a time.

    A try ends with an answer, a failure, or when the master that owes the answer was replaced. Sends for a group
    without a known master are parked and go out at the next change of routes or masters; waiting is not a try. Sends
    with the same shard key go one after the other.

    Attributes:
        unflushed: sends that cross into the engine with the end of this turn of the loop.

    Args:
        endpoint: the network.
        metadata: routes and masters.
        wall_clock_ms: milliseconds since 1970.
        on_ended: called with the number of sends that have ended, and the bytes of their bodies together.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        metadata: Metadata,
        wall_clock_ms: Callable[[], int],
        on_ended: Callable[[int, int], None],
    ) -> None:
        self.publish_infos: dict[str, TopicPublishInfo] = {}
        self._endpoint = endpoint
        self._metadata = metadata
        self._leaders = metadata.leaders
        self._wall_clock_ms = wall_clock_ms
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._number = endpoint.add_sender(self)
        self._last_call_id = 0
        self.unflushed: list[PendingSend] = []
        self._outstanding: dict[int, PendingSend] = {}  # by call id, in order of sending
        self._parked: dict[PendingSend, None] = {}
        self._shards: KeyedQueue[PendingSend] = KeyedQueue()
        self._silence_timer: asyncio.TimerHandle | None = None
        metadata.on_change(self._metadata_changed)

    def submit(self, send: PendingSend) -> None:
        """Start a send; behind the others of its shard key if there are some."""
        if send.shard is None or self._shards.push(send.publish_info.topic, send.shard, send):
            self._start(send)

    def close(self) -> None:
        """Stop; everything must have ended before."""
        self._metadata.forget(self._metadata_changed)
        self._endpoint.remove_sender(self._number)
        if self._silence_timer is not None:
            self._silence_timer.cancel()

    # -- one try -------------------------------------------------------------------------------------------------

    def _start(self, send: PendingSend) -> None:
        """Send to the right master with the next flush, or park."""
        if send.shard is None:
            before = send.queue
            target = send.publish_info.next_target(self._leaders, None if before is None else before.broker)
        else:
            target = self._shard_target(send, send.shard)
        if target is None:
            self._park(send)
            return
        send.queue, send.address = target
        send.attempt += 1
        self._last_call_id = send.call_id = call_id = self._last_call_id + 1
        self._outstanding[call_id] = send
        unflushed = self.unflushed
        unflushed.append(send)
        if len(unflushed) == 1:
            self._loop.call_soon(self._flush_to_engine)
        elif len(unflushed) >= _FLUSH_SENDS:
            self._flush_to_engine()

    def _try(self, send: PendingSend) -> None:
        """Start another try, if there is time left."""
        if send.deadline - self._loop.time() < 0.001:
            self._fail(send, in_time=False)
        else:
            self._start(send)

    def _shard_target(self, send: PendingSend, shard: str) -> tuple[MessageQueue, str] | None:
        if send.queue is None:
            send.queue = send.publish_info.shard_queue(shard)
        address = self._leaders.master(send.queue.broker) if send.queue is not None else None
        return (send.queue, address) if send.queue is not None and address is not None else None

    def _flush_to_engine(self) -> None:
        """Hand over what was started in this turn; the engine makes message ids and headers, and watches deadlines."""
        sends, self.unflushed = self.unflushed, []
        if not sends:  # a full flush has taken them before the turn ended
            return
        now, now_ms = self._loop.time(), self._wall_clock_ms()
        try:
            ids = self._endpoint.send(
                self._number,
                [
                    (
                        send.call_id,
                        send.address,
                        send.code,
                        send.fields,
                        send.queue.id,  # type: ignore[union-attr]
                        send.born_ms or now_ms,
                        send.id,
                        send.properties,
                        send.body,
                        int((send.deadline - now) * 1000) or 1,
                    )
                    for send in sends
                ],
            )
        except Exception as error:
            self._flush_failed(sends, error)
            return
        for send, ident in zip(sends, ids, strict=True):
            send.sent_at = now
            if ident is not None:
                send.id = ident
                send.born_ms = now_ms
        if self._silence_timer is None:
            self._silence_timer = self._loop.call_later(_SILENCE_SECONDS / 2, self._look_for_silence)

    def _flush_failed(self, sends: list[PendingSend], error: Exception) -> None:
        """End sends that the engine cannot read, or that met a closed network: no answer would ever end them."""
        if not isinstance(error, MQError):
            self._loop.call_exception_handler({"message": "sends cannot be handed over", "exception": error})
        for send in sends:
            if self._outstanding.pop(send.call_id, None) is not None:
                here = error if isinstance(error, MQError) else MQError(f"not sent to {send.address}: {error}")
                self._not_stored(send, here)

    # -- outcomes ------------------------------------------------------------------------------------------------

    def stored(self, sends: list[StoredSend]) -> None:
        """Take the sends that were stored: one call for as many as came together."""
        outstanding = self._outstanding
        count = size = 0
        for call_id, number, queue_offset in sends:
            send = outstanding.pop(call_id, None)
            if send is None:
                continue  # the answer of a master that was given up in the meantime
            count += 1
            size += len(send.body)
            queue = send.queue
            assert queue is not None
            if queue.id != number:
                queue = queue._replace(id=number)
            future = send.future
            if send.batch is not None:
                if not future.done():
                    future.set_result(receipts(send.batch, queue, queue_offset))
            elif not future.done():
                future.set_result(SendReceipt(send.id or "", queue, queue_offset, "ok"))
            if not send.publish_info.confirmed:
                self._confirm(send.publish_info, queue.broker)
            if send.shard is not None:
                self._next_of_shard(send)
        if count:
            self._on_ended(count, size)

    def answered(self, call_id: int, answer: Answer) -> None:
        """Take an answer that does not plainly say stored."""
        send = self._outstanding.pop(call_id, None)
        if send is None:
            return
        if answer.code in STORED:
            self._unconfirmed(send, answer)
        else:
            self._not_stored(send, answer)

    def failed(self, call_id: int, reason: int, text: str) -> None:
        """Take a send that has no answer."""
        send = self._outstanding.pop(call_id, None)
        if send is not None:
            self._not_stored(send, failure(reason, send.address, send.code, text))

    def _not_stored(self, send: PendingSend, outcome: Outcome) -> None:
        send.last = outcome
        send.ambiguous |= is_ambiguous(outcome)
        decision = retry_decision(outcome)
        if decision == WAIT:
            send.attempt -= 1
            send.waits += 1
            self._note_role_change(send, outcome)
            # Two replicas that name each other as the leader must not be asked in a tight circle.
            self._retry(send, pause=send.waits > 1 or self._master_of(send) == send.address)
        elif decision == FAIL or send.attempt >= send.tries or send.future.cancelled():
            self._note_failure(send, outcome)
            self._fail(send, in_time=True)
        else:
            assert decision == RETRY
            self._note_failure(send, outcome)
            self._retry(send, pause=isinstance(outcome, Answer))

    def _retry(self, send: PendingSend, *, pause: bool) -> None:
        """Try again: at once, or after a moment so that a broker that refuses is not hammered."""
        if pause:
            self._park(send, _PAUSE_SECONDS)
        else:
            self._try(send)

    def _note_failure(self, send: PendingSend, outcome: Outcome) -> None:
        if isinstance(outcome, MQError):
            self._note_role_change(send, outcome)
        elif outcome.code == ResponseCode.TOPIC_NOT_EXIST:
            self._metadata.refresh_soon(send.publish_info.topic, 0.0)

    def _note_role_change(self, send: PendingSend, outcome: Outcome) -> None:
        assert send.queue is not None
        if isinstance(outcome, Answer) or outcome.refresh_route:
            self._metadata.reject(send.queue.broker, send.address, outcome)

    # -- waiting -------------------------------------------------------------------------------------------------

    def _park(self, send: PendingSend, seconds: float | None = None) -> None:
        """Keep a send until something changes, its pause ends, or its time is up."""
        self._parked[send] = None
        for broker in {queue.broker for queue in self._candidates(send)}:
            self._metadata.master(broker)  # starts the search where there is none
        until = send.deadline if seconds is None else min(send.deadline, self._loop.time() + seconds)
        send.timer = self._loop.call_at(until, self._unpark, send)

    def _candidates(self, send: PendingSend) -> tuple[MessageQueue, ...]:
        if send.shard is not None and send.queue is not None:
            return (send.queue,)
        return send.publish_info.route.writable

    def _unpark(self, send: PendingSend) -> None:
        if send in self._parked:
            del self._parked[send]
            assert send.timer is not None
            send.timer.cancel()
            if send.future.cancelled():
                self._end(send)
            else:
                self._try(send)

    def _metadata_changed(self) -> None:
        """Start what waited, and give a replaced master a last moment to answer what it owes."""
        for publish_info in self.publish_infos.values():
            route = self._metadata.known(publish_info.topic)
            if route is not None and route is not publish_info.route:
                publish_info.take_route(route)
        abandoned = [call_id for call_id, send in self._outstanding.items() if self._is_abandoned(send)]
        if abandoned:
            self._loop.call_later(_GRACE_SECONDS, self._resend_abandoned, abandoned)
        for send in tuple(self._parked):
            self._unpark(send)

    def _resend_abandoned(self, call_ids: list[int]) -> None:
        """Send again to the new master what the replaced one has not answered: it may never do.

        It may also have stored it. A caller that wants no message twice has set `retries=0` and is told that instead.
        """
        for call_id in call_ids:
            send = self._outstanding.get(call_id)
            if send is None or not self._is_abandoned(send):
                continue
            # Forgotten before the next try: a late answer of the replaced master must not end the new call.
            del self._outstanding[call_id]
            send.ambiguous = True
            if send.tries == 1:
                self._fail(send, in_time=True)
            else:
                send.tries += send.attempt >= send.tries  # the switch itself costs no try
                self._try(send)

    def _is_abandoned(self, send: PendingSend) -> bool:
        master = self._master_of(send)
        return master is not None and master != send.address

    def _master_of(self, send: PendingSend) -> str | None:
        assert send.queue is not None
        return self._leaders.master(send.queue.broker)

    def _look_for_silence(self) -> None:
        """Ask about masters that leave sends unanswered; a stopped process keeps its connections open."""
        self._silence_timer = None
        oldest = next(iter(self._outstanding.values()), None)
        if oldest is not None:
            if self._loop.time() - oldest.sent_at >= _SILENCE_SECONDS:
                self._metadata.refresh_all()
            self._silence_timer = self._loop.call_later(_SILENCE_SECONDS / 2, self._look_for_silence)

    # -- the end -------------------------------------------------------------------------------------------------

    def _unconfirmed(self, send: PendingSend, answer: Answer) -> None:
        """End a send whose answer says stored, but not as plainly as it should."""
        error = unconfirmed(send, answer)
        if isinstance(error, StoredUnconfirmedError) and send.queue is not None:
            self._confirm(send.publish_info, send.queue.broker)
        self._end(send, error)

    def _confirm(self, publish_info: TopicPublishInfo, broker: str) -> None:
        """A topic that did not exist on a group does now: its route will show in a moment."""
        if broker in publish_info.route.promised:
            self._metadata.created(publish_info.topic, broker)

    def _fail(self, send: PendingSend, *, in_time: bool) -> None:
        what = str(send.queue) if send.queue is not None else f"topic {send.publish_info.topic}"
        brokers = [send.queue.broker] if send.queue is not None else list(send.publish_info.route.groups)
        error = send_error(
            send.last,
            send.address,
            what,
            ambiguous=send.ambiguous,
            in_time=in_time,
            why_no_leader=self._metadata.why_no_leader(brokers),
        )
        if isinstance(send.last, MQError) and error is not send.last:
            error.__cause__ = send.last
        if send.queue is not None:
            error = self._metadata.explained(send.queue.broker, error)
        self._end(send, error)

    def _end(self, send: PendingSend, error: MQError | None = None) -> None:
        """End a send without a receipt; without an error it was cancelled."""
        if error is not None and not send.future.done():
            send.future.set_exception(error)
        self._on_ended(1, len(send.body))
        if send.shard is not None:
            self._next_of_shard(send)

    def _next_of_shard(self, send: PendingSend) -> None:
        assert send.shard is not None
        head = self._shards.pop(send.publish_info.topic, send.shard)
        while head is not None and head.future.cancelled():
            self._on_ended(1, len(head.body))
            head = self._shards.pop(send.publish_info.topic, send.shard)
        if head is not None:
            self._loop.call_soon(
                self._try, head
            )  # not at once: a queue of which every send has timed out would recurse
