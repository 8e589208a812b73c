"""Calls to NameServers: any one that answers is enough."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence

from ternmq.errors import CallTimeoutError, ConnectionLostError, MQError, NotANameServerError, UnreachableError
from ternmq.protocol.codes import ResponseCode
from ternmq.remoting import Answer, Endpoint

_log = logging.getLogger(__name__)

_TRY_SECONDS = 1.0
"""A NameServer that is alive answers in milliseconds; one that hangs must not use up the caller's time."""
_PAUSE_SECONDS = 0.2


class NameServers:
    """The NameServers of a cluster; stays with one while it answers.

    Args:
        endpoint: the network.
        addresses: each ``host:port``.
        seed: where to start, so that clients spread over the servers.
    """

    def __init__(self, endpoint: Endpoint, addresses: Sequence[str], seed: int | None = None) -> None:
        self.addresses = tuple(addresses)
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        self._current = random.randrange(len(self.addresses)) if seed is None else seed % len(self.addresses)
        self._next = self._current
        self._strangers: set[str] = set()

    @property
    def current(self) -> str:
        """Address of the one that is asked first."""
        return self.addresses[self._current]

    async def ask(self, code: int, fields: dict[str, str], deadline: float) -> Answer:
        """Ask one NameServer after the other until one answers, whatever its code; brokers are passed over.

        Every NameServer serves the codes that clients ask for; an address that does not is a broker's.

        Args:
            code: request code.
            fields: header fields.
            deadline: time of the loop after which to give up.

        Raises:
            NotANameServerError: all addresses are brokers'.
            UnreachableError: none answered; names all addresses.
        """
        failures: dict[str, MQError] = {}
        while True:
            for _ in self.addresses:
                address = self.addresses[self._current]
                left = deadline - self._loop.time()
                if left <= 0:
                    raise self._nobody(failures)
                try:
                    answer = await self._endpoint.call(address, code, fields, timeout=min(left, _TRY_SECONDS))
                    if answer.code != ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
                        return answer
                    failures[address] = self._stranger(address)
                except (UnreachableError, CallTimeoutError, ConnectionLostError) as error:
                    failures[address] = error
                self._current = (self._current + 1) % len(self.addresses)
            if all(isinstance(failures.get(address), NotANameServerError) for address in self.addresses):
                raise failures[self.addresses[0]]
            await asyncio.sleep(min(_PAUSE_SECONDS, max(0.0, deadline - self._loop.time())))

    async def ask_next(self, code: int, fields: dict[str, str], timeout: float) -> tuple[str, Answer]:
        """Ask the next one, and only it: each call another, whatever `ask` stays with.

        Returns:
            Its address and its answer.

        Raises:
            MQError: it did not answer in time, or is a broker.
        """
        self._next = (self._next + 1) % len(self.addresses)
        address = self.addresses[self._next]
        answer = await self._endpoint.call(address, code, fields, timeout=timeout)
        if answer.code == ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
            raise self._stranger(address)
        return address, answer

    async def ask_each(self, code: int, fields: dict[str, str], deadline: float) -> list[tuple[str, Answer]]:
        """Ask all NameServers at the same time; those that do not answer are left out."""
        left = max(0.01, min(deadline - self._loop.time(), _TRY_SECONDS))
        outcomes = await asyncio.gather(
            *(self._endpoint.call(address, code, fields, timeout=left) for address in self.addresses),
            return_exceptions=True,
        )
        return [
            (address, outcome)
            for address, outcome in zip(self.addresses, outcomes, strict=True)
            if isinstance(outcome, Answer) and outcome.code != ResponseCode.REQUEST_CODE_NOT_SUPPORTED
        ]

    def _stranger(self, address: str) -> NotANameServerError:
        """Note that an address is a broker's; with others beside it no call fails for it, so that is said once."""
        error = NotANameServerError(address, code=ResponseCode.REQUEST_CODE_NOT_SUPPORTED)
        if len(self.addresses) > 1 and address not in self._strangers:
            self._strangers.add(address)
            _log.warning("%s", error)
        return error

    def _nobody(self, failures: Mapping[str, MQError]) -> UnreachableError:
        said = [str(error) for error in failures.values()]  # each names its address
        unasked = [address for address in self.addresses if address not in failures]
        if unasked:
            said.append(f"no time was left to ask {', '.join(unasked)}")
        return UnreachableError(f"no NameServer answers: {'; '.join(said)}", broker=";".join(self.addresses))
