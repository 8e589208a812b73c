"""Requests that only a group's leader answers, and that may be repeated without harm.

A group of a master and slaves elects nobody when its master is gone: its slaves then answer questions by what they
have.
"""

from __future__ import annotations

import asyncio

from ternmq.client.metadata import Metadata
from ternmq.errors import CallTimeoutError, ConnectionLostError, MQError, NotWritableError, UnreachableError
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.responses import response_error
from ternmq.remoting import Answer, Endpoint

_TRY_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
# An election is over by then; a master with slaves has none, and its slaves answer by what they have.
_ASK_SLAVE_SECONDS = 1.0
_ASK_SLAVE_AGAIN_SECONDS = 0.5
_ASK_ELSEWHERE = (ResponseCode.SERVICE_NOT_AVAILABLE, ResponseCode.SYSTEM_BUSY)


class LeaderCalls:
    """Calls to the leader of a group, wherever it moves to within the caller's time.

    Args:
        endpoint: the network.
        metadata: knows the leaders.
    """

    def __init__(self, endpoint: Endpoint, metadata: Metadata) -> None:
        self._endpoint = endpoint
        self._metadata = metadata
        self._loop = asyncio.get_running_loop()

    async def ask(
        self,
        broker: str,
        code: int,
        fields: dict[str, str],
        body: bytes = b"",
        *,
        within: float,
        or_slave: bool = False,
    ) -> Answer:
        """Ask the leader of a group; goes on with the next leader when it moves.

        Args:
            broker: name of the group.
            code: code of a request that does no harm when it is repeated.
            fields: header fields.
            body: body.
            within: seconds.
            or_slave: the request changes nothing, and a slave whose master is gone may answer by what it has.

        Raises:
            NotWritableError: no leader in time.
            MQError: the last failure, when the time is up.
        """
        deadline = self._loop.time() + within
        ask_slave = self._loop.time() + _ASK_SLAVE_SECONDS if or_slave else deadline
        failure: MQError | None = None
        while True:
            try:
                address = await self._metadata.wait_for_master(broker, min(deadline, ask_slave))
            except NotWritableError:
                if self._loop.time() < deadline:
                    ask_slave = self._loop.time() + _ASK_SLAVE_AGAIN_SECONDS
                    answer = await self._ask_slaves(broker, code, fields, body, deadline - self._loop.time())
                    if answer is not None:
                        return answer
                    continue
                if failure is not None:
                    raise failure from None
                raise
            left = deadline - self._loop.time()
            if left <= 0:
                raise failure or NotWritableError(f"no time was left to ask the leader of {broker}", broker=broker)
            try:
                answer = await self._endpoint.call(address, code, fields, body, min(left, _TRY_SECONDS))
            except (UnreachableError, CallTimeoutError, ConnectionLostError) as error:
                failure = self._metadata.explained(broker, error)
                self._metadata.reject(broker, address, error)
                continue
            if answer.code not in _ASK_ELSEWHERE:
                return answer
            failure = response_error(answer.code, answer.remark, broker=address)
            if answer.code == ResponseCode.SERVICE_NOT_AVAILABLE:
                self._metadata.reject(broker, address, answer)
            await asyncio.sleep(_PAUSE_SECONDS)  # two replicas that name each other must not be asked in a circle

    async def _ask_slaves(
        self, broker: str, code: int, fields: dict[str, str], body: bytes, within: float
    ) -> Answer | None:
        """Ask those that do not lead: a slave whose master is gone answers questions; None if nobody does."""
        for address in self._metadata.leaders.readable(broker):
            try:
                answer = await self._endpoint.call(address, code, fields, body, min(within, _TRY_SECONDS))
            except MQError:
                continue
            if answer.code not in _ASK_ELSEWHERE:
                return answer
        return None

    async def demand(
        self,
        broker: str,
        code: int,
        fields: dict[str, str],
        body: bytes = b"",
        *,
        within: float,
        or_slave: bool = False,
    ) -> Answer:
        """As `ask`, but any answer other than success is raised.

        Raises:
            MQError: what the leader answered.
        """
        answer = await self.ask(broker, code, fields, body, within=within, or_slave=or_slave)
        if answer.code != ResponseCode.SUCCESS:
            raise response_error(answer.code, answer.remark, broker=broker)
        return answer
