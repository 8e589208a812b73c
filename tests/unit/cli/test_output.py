"""What commands print."""

import json

import pytest

from ternmq.cli.output import Output, cell, columns_of

ITEMS = [
    {"name": "orders", "queues": 8, "order": False, "groups": ["group-a", "group-b"], "perm": None},
    {"name": "tab\there", "queues": 4, "order": True, "groups": [], "perm": "rw"},
]


def test_a_pipe_gets_tsv_with_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    Output().items("ternmq.topic.list/1", ITEMS)
    assert capsys.readouterr().out.splitlines() == [
        "name\tqueues\torder\tgroups\tperm",
        "orders\t8\tno\tgroup-a,group-b\t-",
        "tab\\there\t4\tyes\t-\trw",
    ]


def test_json_is_one_document_with_its_schema(capsys: pytest.CaptureFixture[str]) -> None:
    Output("json").items("ternmq.topic.list/1", ITEMS, columns=["name"])
    assert json.loads(capsys.readouterr().out) == {"schema": "ternmq.topic.list/1", "items": ITEMS}


def test_an_empty_answer_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    Output("json").items("ternmq.topic.list/1", [])
    assert json.loads(capsys.readouterr().out) == {"schema": "ternmq.topic.list/1", "items": []}


def test_jsonl_is_one_item_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output("jsonl").items("ternmq.topic.list/1", ITEMS)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ITEMS


def test_a_table_shows_the_chosen_columns_only(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table").items("ternmq.topic.list/1", ITEMS, columns=["name", "queues"])
    printed = capsys.readouterr().out
    assert "orders" in printed
    assert "queues" in printed
    assert "group-a" not in printed


def test_markup_in_a_value_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output("table").items("ternmq.topic.list/1", [{"name": "[red]x[/red]"}])
    assert "[red]x[/red]" in capsys.readouterr().out


def test_notes_go_to_stderr_and_quiet_silences_them(capsys: pytest.CaptureFixture[str]) -> None:
    Output().note("working")
    Output(quiet=True).note("silent")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "working\n"


def test_cells_write_nothing_truth_and_lists_in_words() -> None:
    assert [cell(value) for value in (None, True, False, 0, "", [1, 2], {"a": 1}, [])] == [
        "-", "yes", "no", "0", "", "1,2", "a=1", "-",
    ]  # fmt: skip


def test_columns_are_those_of_all_items_in_order() -> None:
    assert columns_of([{"a": 1}, {"b": 2, "a": 3}]) == ["a", "b"]
