"""Subjects of the conformance tests, and the unmodified Java client that is run against them."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from conformance.results import RESULTS, write_result
from support import maven
from support.apache import ApacheCluster
from support.battery import Battery, JavaClient
from support.subject import Subject
from support.tern import TernCluster

_topics = itertools.count(1)
# On Apache's own servers the battery shows that it is right before it judges ours.
SUBJECTS = ["ternmq", pytest.param("apache", marks=pytest.mark.long)]

CLIENTS = [JavaClient("5.5.0", "JSON"), JavaClient("5.5.0", "ROCKETMQ"), JavaClient("4.9.8", "JSON")]

BRIEF = {
    "test_synchronous_sends_come_back_field_by_field_and_in_order",
    "test_a_concurrent_push_consumer_gets_every_message_once_and_commits_what_it_got",
    "test_an_orderly_push_consumer_gets_each_queue_in_order_and_waits_where_it_is_held_up",
    "test_a_subscribed_lite_pull_consumer_gets_every_message_once_and_commits_what_it_got",
}


@pytest.fixture(scope="session", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A running cluster that no test damages."""
    maven.require_java()
    directory = tmp_path_factory.mktemp(request.param)
    yield from _running(request.param, directory / "cluster", replicas=1 if request.param == "apache" else 3)


@pytest.fixture(params=SUBJECTS)
def replicated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A group of three replicas and three NameServers for one test alone, which may kill what it likes."""
    maven.require_java()
    yield from _running(request.param, tmp_path / "cluster", replicas=3)


@pytest.fixture(scope="session", params=CLIENTS, ids=str)
def battery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    """The Java client in each release, with JSON headers and with binary ones."""
    maven.require_java()
    battery = Battery(tmp_path_factory.mktemp("java-home"), request.param)
    try:
        yield battery
    finally:
        battery.close()


@pytest.fixture
def topic() -> str:
    """A topic name that no other test uses."""
    return f"conformance-{next(_topics)}"


@pytest.fixture
def group(topic: str) -> str:
    """A consumer group that no other test uses."""
    return f"group-of-{topic}"


def _running(kind: str, directory: Path, replicas: int) -> Iterator[Subject]:
    cluster: ApacheCluster | TernCluster
    if kind == "apache":
        cluster = ApacheCluster(directory, replicas=replicas, nameservers=replicas)
    else:
        cluster = TernCluster(directory)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the short form the first client runs everything, and the others what shows most in the least time."""
    for item in items:
        client = item.callspec.params.get("battery") if hasattr(item, "callspec") else None
        if isinstance(item, pytest.Function) and client not in {None, CLIENTS[0]} and item.originalname not in BRIEF:
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down each result of a foreign client, from which `scripts/conformance_table.py` makes the table."""
    report = yield
    if isinstance(item, pytest.Function) and (report.when == "call" or (report.failed and report.when == "setup")):
        write_result(RESULTS, item.originalname, getattr(item, "callspec", None), report.outcome)
    return report
