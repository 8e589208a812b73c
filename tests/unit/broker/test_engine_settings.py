"""The engine takes the settings that Python has, no fewer and no others, and names the one that is wrong."""

from pathlib import Path

import pytest

from ternmq import _core
from ternmq.broker.engine import engine_settings
from ternmq.config import BrokerConfig, broker_config, generate_topology


@pytest.fixture
def config(tmp_path: Path) -> BrokerConfig:
    topology = generate_topology(tmp_path, is_free=lambda port: True)
    return broker_config(topology, "group-a/n0")


def refused(settings: dict[str, object]) -> str:
    with pytest.raises(ValueError, match=r"^the broker's configuration: ") as caught:
        _core.Broker(_core.Endpoint(), settings)
    return str(caught.value).removeprefix("the broker's configuration: ")


def test_the_engine_takes_every_setting_and_names_the_one_that_is_missing(config: BrokerConfig) -> None:
    settings = engine_settings(config, [])
    for name in settings:
        others = {other: value for other, value in settings.items() if other != name}
        assert refused(others) == f"{name} is missing or of a wrong type"


def test_a_setting_of_a_wrong_type_is_named(config: BrokerConfig) -> None:
    assert refused(engine_settings(config, []) | {"slave_read": "yes"}) == "slave_read is missing or of a wrong type"


def test_a_setting_that_the_engine_does_not_know_is_named(config: BrokerConfig) -> None:
    assert refused(engine_settings(config, []) | {"slave_reed": True}) == "slave_reed is not known"
