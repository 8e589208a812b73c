"""Clients poll three NameServers while two of them die: whoever asks the next one is answered."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from benches.nameserver import NameServers
from benches.registering import Shape, SimulatedBrokers, Table
from benches.route_polls import Plan, Polled, RoutePolls

from support.processes import wait_for
from support.speaker import ROUTE, ask, lenient_json

ROOT = Path(__file__).parents[2]
SHAPE = Shape(brokers=6, topics=200, each=200)
ENOUGH_ANSWERS = 200


class PollsBeside(threading.Thread):
    """Clients that poll in a thread until they are told to stop."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__()
        self._polls = RoutePolls(Plan(addresses, SHAPE.names(), clients=60, seconds=120.0, rate=600.0))
        self.polled: Polled = self._polls.polled

    def run(self) -> None:
        self._polls.run()

    def wait_for_more(self) -> None:
        """Wait until some more polls were answered."""
        wanted = self.polled.answered + ENOUGH_ANSWERS
        wait_for(lambda: self.polled.answered >= wanted, 60.0, "more polls to be answered")

    def stop(self) -> Polled:
        self._polls.stop()
        self.join()
        return self.polled


@pytest.fixture
def nameservers(tmp_path: Path) -> Iterator[NameServers]:
    with NameServers(tmp_path, ROOT) as servers:
        yield servers


def test_no_poll_is_lost_while_two_of_three_nameservers_are_killed(nameservers: NameServers) -> None:
    brokers = SimulatedBrokers(SHAPE, nameservers.addresses)
    brokers.register_all()
    polls = PollsBeside(nameservers.addresses)
    polls.start()
    *dying, last = nameservers.addresses
    for address in dying:
        polls.wait_for_more()
        nameservers.kill(address)
    polls.wait_for_more()
    polled = polls.stop()
    assert (polled.unanswered, polled.refused) == (0, {})
    assert polled.moved >= 40, "the clients of the first went to the second, and all of them to the last"
    assert polled.by_address[last] >= ENOUGH_ANSWERS

    # The last one takes what changes, as before.
    names = SHAPE.names()
    brokers.of[last][0].register(Table.of([*names, "new"], 2))
    assert not brokers.of[last][0].is_changed(Table.of([], 2).version)
    shown = lenient_json(ask(last, ROUTE, {"topic": "new"}).body)
    assert [data["brokerName"] for data in shown["queueDatas"]] == ["broker-000"]
    brokers.close()


def test_a_broker_whose_connection_closes_is_no_longer_in_any_route(nameservers: NameServers) -> None:
    brokers = SimulatedBrokers(SHAPE, nameservers.addresses[:1])
    brokers.register_all()
    address = nameservers.addresses[0]
    brokers.of[address][0].close()

    def holders() -> list[str]:
        shown = lenient_json(ask(address, ROUTE, {"topic": SHAPE.names()[0]}).body)
        return [data["brokerName"] for data in shown["queueDatas"]]

    wait_for(lambda: "broker-000" not in holders(), 10.0, "the broker to be gone")
    assert holders() == [f"broker-{number:03d}" for number in range(1, SHAPE.brokers)]
    brokers.close()
