"""The key-value table: on disk when put returns, whole after a crash, at one path only."""

import json
from pathlib import Path

import pytest

from ternmq.errors import ConfigError, MQError
from ternmq.namesrv.kv_store import MAX_TOTAL_BYTES, ORDER_TOPIC_CONFIG, KvStore


def test_what_was_put_is_there_for_the_next_process_in_apaches_form(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "kvConfig.json"
    KvStore(path).put("n", "k", "v")
    assert json.loads(path.read_bytes()) == {"configTable": {"n": {"k": "v"}}}
    assert KvStore(path).get("n", "k") == "v"


def test_a_deleted_value_is_gone_and_its_namespace_stays(tmp_path: Path) -> None:
    kv = KvStore(tmp_path / "kv.json")
    kv.put("n", "k", "v")
    kv.delete("n", "k")
    kv.delete("n", "never")
    assert kv.get("n", "k") is None
    assert kv.namespace("n") == {}
    assert kv.namespace("other") is None


def test_a_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    kv = KvStore(folder / "kv.json")
    kv.put("n", "k", "old")
    (folder / "kv.json.new").mkdir()
    with pytest.raises(MQError, match="cannot be written") as caught:
        kv.put("n", "k", "new")
    assert caught.value.code == 1
    assert kv.get("n", "k") == "old"


def test_the_table_is_bounded(tmp_path: Path) -> None:
    kv = KvStore(tmp_path / "kv.json")
    with pytest.raises(MQError, match="at most"):
        kv.put("n", "k", "x" * MAX_TOTAL_BYTES)
    assert kv.namespace("n") is None


@pytest.mark.parametrize("value", ["g", "g:", ":4", "g:x", "g:4;h"])
def test_an_order_configuration_that_would_break_java_clients_is_refused(tmp_path: Path, value: str) -> None:
    kv = KvStore(tmp_path / "kv.json")
    with pytest.raises(MQError, match="broker:queues"):
        kv.put(ORDER_TOPIC_CONFIG, "T", value)
    kv.put(ORDER_TOPIC_CONFIG, "T", "g:4;h:8")


def test_a_damaged_file_stops_the_start_and_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kv.json"
    path.write_text("{")
    with pytest.raises(ConfigError, match="repair or remove it"):
        KvStore(path)
    assert path.read_text() == "{"
