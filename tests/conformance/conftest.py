"""Subjects of the conformance tests, and the unmodified clients that are run against them."""

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from conformance.clients import BRIEF, CLIENTS, GO, GO_BRIEF, GO_LONG
from conformance.results import RESULTS, write_result
from support import maven
from support.apache import ApacheCluster
from support.battery import Battery, Client
from support.subject import Subject
from support.tern import TernCluster

_topics = itertools.count(1)
# On Apache's own servers the battery shows that it is right before it judges ours.
SUBJECTS = ["ternmq", pytest.param("apache", marks=pytest.mark.long)]


@pytest.fixture(scope="session", params=SUBJECTS)
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """A running cluster that no test damages."""
    _require_java_for(request.param)
    directory = tmp_path_factory.mktemp(request.param)
    replicas = 1 if request.param == "apache" else 3
    yield from _running(request.param, directory / "cluster", replicas=replicas, is_patient=True)


@pytest.fixture(params=SUBJECTS)
def replicated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A group of three replicas and three NameServers for one test alone, which may kill what it likes."""
    _require_java_for(request.param)
    yield from _running(request.param, tmp_path / "cluster", replicas=3)


@pytest.fixture(scope="session", params=CLIENTS, ids=str)
def battery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battery]:
    """Each client: Java's in each release, with JSON headers and with binary ones, and Go's."""
    battery = Battery(tmp_path_factory.mktemp("home"), request.param)
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


def _running(kind: str, directory: Path, replicas: int, *, is_patient: bool = False) -> Iterator[Subject]:
    cluster: ApacheCluster | TernCluster
    if kind == "apache":
        cluster = ApacheCluster(directory, replicas=replicas, nameservers=replicas)
    else:
        cluster = TernCluster(directory, is_patient=is_patient)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def _require_java_for(kind: str) -> None:
    if kind == "apache":
        maven.require_java()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a client cannot do.

    In the short form the first client runs everything, and the others what shows most in the least time.
    """
    cannot = [item for item in items if _client(item) == GO and _name(item) not in GO_BRIEF | GO_LONG]
    if cannot:
        config.hook.pytest_deselected(items=cannot)
        items[:] = [item for item in items if item not in cannot]
    for item in items:
        client = _client(item)
        if client == GO:
            item.add_marker(pytest.mark.go)
        if client not in {None, CLIENTS[0]} and _name(item) not in (GO_BRIEF if client == GO else BRIEF):
            item.add_marker(pytest.mark.long)


def _client(item: pytest.Item) -> Client | None:
    return item.callspec.params.get("battery") if hasattr(item, "callspec") else None


def _name(item: pytest.Item) -> str:
    return item.originalname if isinstance(item, pytest.Function) else item.name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down each result of a foreign client, from which `scripts/conformance_table.py` makes the table."""
    report = yield
    if isinstance(item, pytest.Function) and (report.when == "call" or (report.failed and report.when == "setup")):
        write_result(RESULTS, item.originalname, getattr(item, "callspec", None), report.outcome)
    return report
