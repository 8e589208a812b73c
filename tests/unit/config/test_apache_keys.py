"""Every key of Apache's own configuration classes is known; the stored names are held by the conformance tests."""

import pytest

from support.apache_key_names import stored_keys
from ternmq.config.apache_ignored import IGNORED
from ternmq.config.apache_keys import BROKER_KEYS
from ternmq.config.namesrv_conf import NAMESERVER_KEYS

KEYS = stored_keys()
NAMESERVERS = ("NamesrvConfig", "NettyServerConfig", "NettyClientConfig", "ControllerConfig")


def test_the_stored_names_are_of_both_releases() -> None:
    assert {version for version, _ in KEYS} == {"4.9.8", "5.5.0"}
    assert sum(map(len, KEYS.values())) > 800


@pytest.mark.parametrize(("version", "name"), KEYS)
def test_every_key_of_apaches_classes_is_known_to_a_broker(version: str, name: str) -> None:
    assert KEYS[version, name] - BROKER_KEYS.keys() == set()


@pytest.mark.parametrize(("version", "name"), KEYS)
def test_every_key_of_a_nameservers_classes_has_a_reason_of_its_own_there(version: str, name: str) -> None:
    if name.endswith(NAMESERVERS):
        others = {key for key in KEYS[version, name] if NAMESERVER_KEYS[key].text.startswith("a key of a broker")}
        assert name.endswith("ControllerConfig") or others == set()


def test_every_key_has_a_kind_and_words() -> None:
    assert {key.kind for key in BROKER_KEYS.values()} == {"mapped", "ignored", "refused"}
    assert all(key.text for key in BROKER_KEYS.values())


def test_no_key_is_listed_under_two_kinds() -> None:
    assert [name for name in IGNORED if BROKER_KEYS[name].kind != "ignored"] == []


def test_no_reason_says_of_a_feature_that_is_there_that_it_is_missing() -> None:
    reasons = {key.text for key in BROKER_KEYS.values()}
    present = ("queries by key are not", "delayed messages are not")
    assert [reason for reason in reasons if reason.startswith(present)] == []
