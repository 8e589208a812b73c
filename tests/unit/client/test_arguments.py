from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ternmq import connect
from ternmq.client import arguments
from ternmq.client.codecs import JSON, Raw, Text
from ternmq.errors import CodecError, ConfigError, UnsupportedError


def test_nameservers_are_separated_by_semicolons_or_commas() -> None:
    assert arguments.endpoints("n1:9876;n2:9876, n3:9876;n1:9876") == ("n1:9876", "n2:9876", "n3:9876")
    assert arguments.endpoints("[::1]:9876") == ("[::1]:9876",)


@pytest.mark.parametrize("text", ["", ";", "n1", "n1:", "n1:0", "n1:70000", ":9876", "n1:9876:1", "http://n1:9876"])
def test_what_is_not_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        connect(text)


def test_a_list_of_nameservers_is_told_how_to_be_written() -> None:
    with pytest.raises(ConfigError, match='endpoints is a list, but must be one string: "n1:9876;n2:9876"'):
        connect(["n1:9876", "n2:9876"])  # type: ignore[arg-type]


def test_the_address_of_a_grpc_proxy_is_not_supported_and_no_other_has_a_scheme() -> None:
    with pytest.raises(UnsupportedError, match="grpc://proxy:8081 is a gRPC proxy"):
        connect("grpc://proxy:8081")
    with pytest.raises(ConfigError, match="write 'n1:9876'"):
        connect("http://n1:9876/")


def test_nameservers_come_from_the_environment_when_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERNMQ_ENDPOINTS", raising=False)
    monkeypatch.delenv("NAMESRV_ADDR", raising=False)
    with pytest.raises(ConfigError, match="TERNMQ_ENDPOINTS"):
        connect()
    monkeypatch.setenv("NAMESRV_ADDR", "java:9876")
    assert connect().nameservers == ("java:9876",)
    monkeypatch.setenv("TERNMQ_ENDPOINTS", "ours:9876")
    assert connect().nameservers == ("ours:9876",)


def test_durations_are_seconds_or_timedeltas() -> None:
    assert arguments.seconds(1.5, "timeout") == 1.5
    assert arguments.seconds(timedelta(minutes=1), "timeout") == 60.0


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "3", None, timedelta(0)])
def test_a_duration_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        connect("n1:1", timeout=value)


@pytest.mark.parametrize("name", ["", " ", "a b", "a.b", "ä", "a/b", "t" * 128, "a\n", None, 5])
def test_a_bad_topic_name_is_refused(name: Any) -> None:
    with pytest.raises(ConfigError, match="topic"):
        arguments.topic_name(name)


def test_names_may_be_as_long_as_the_protocol_allows() -> None:
    assert arguments.topic_name("%|-_" + "t" * 123)
    assert arguments.group_name("g" * 120)
    with pytest.raises(ConfigError, match="121 characters"):
        arguments.group_name("g" * 121)


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        arguments.start_position(datetime(2026, 11, 1))  # noqa: DTZ001 - this is what is refused
    assert arguments.start_position(datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(ConfigError, match="earliest"):
        arguments.start_position("first")  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", ["A1", b"A1", 5, [""], ["a b"], [5], ["a\x01"], ["\ud800"]])
def test_keys_that_could_not_be_found_again_are_refused(keys: Any) -> None:
    with pytest.raises(ConfigError, match="key"):
        arguments.joined_keys(keys)


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"": "v"}, "property '' has the value 'v': brokers drop what is empty"),
        ({"n": ""}, "property 'n' has the value '': brokers drop what is empty"),
        ({"UNIQ_KEY": "x"}, "property 'UNIQ_KEY' is reserved"),
        ({"__RMQ.x": "v"}, "reserved"),
        ({"TERNMQ_ORIGIN_QUEUE": "v"}, "reserved"),
        ({"n": "a\x01"}, "01 and 02"),
        ({"n\x02": "v"}, "01 and 02"),
        ({"n": 1}, "property 'n' has the value 1: both must be strings"),
        ({1: "v"}, "both must be strings"),
        ([("n", "v")], "pass a mapping"),
        ("n=v", "pass a mapping"),
        ({"file": "\udcff.txt"}, r"property 'file' has '\\udcff', half a character, which UTF-8 cannot write"),
        ({"\ud800": "v"}, "half a character"),
    ],
)
def test_properties_that_would_break_the_wire_are_refused_by_name(properties: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        arguments.user_properties(properties)


def test_properties_are_written_as_the_wire_has_them() -> None:
    assert arguments.user_properties({"a": "1", "ü": "2 3"}) == "a\x011\x02ü\x012 3\x02"


def test_a_shard_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(ConfigError, match="shard has"):
        arguments.shard_key("\ud800")


def test_codecs_return_what_went_in() -> None:
    assert Raw().decode(Raw().encode(b"\x00\xff")) == b"\x00\xff"
    assert Text().decode(Text().encode("grün")) == "grün"
    assert JSON(dict[str, int]).decode(JSON(dict[str, int]).encode({"a": 1})) == {"a": 1}


def test_without_a_codec_only_bytes_are_payloads() -> None:
    with pytest.raises(CodecError, match="must be bytes"):
        Raw().encode("text")  # type: ignore[arg-type]
