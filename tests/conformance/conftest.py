"""Subjects of the conformance tests, and the unmodified Java client that is run against them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import maven
from support.apache import ApacheCluster
from support.battery import Battery
from support.subject import Subject
from support.tern import TernCluster

_topics = itertools.count(1)
# On Apache's own servers the battery shows that it is right before it judges ours.
SUBJECTS = ["ternmq", pytest.param("apache", marks=pytest.mark.long)]


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


@pytest.fixture(scope="session", params=["JSON", "ROCKETMQ"])
def battery(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Battery:
    """The Java client, once with JSON headers and once with binary ones."""
    maven.require_java()
    return Battery(tmp_path_factory.mktemp("java-home"), request.param)


@pytest.fixture
def topic() -> str:
    """A topic name that no other test uses."""
    return f"conformance-{next(_topics)}"


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
