"""What the demonstration says last, and how it exits."""

from __future__ import annotations

import json

import pytest

from ternmq.cli import main
from ternmq.cluster.demo import plan
from ternmq.cluster.demo.report import Figures
from ternmq.cluster.demo.verify import Verdict


def _stage(monkeypatch: pytest.MonkeyPatch, verdict: Verdict) -> None:
    async def run_demo(*_arguments: object, **_options: object) -> Figures:
        return Figures(verdict=verdict)

    monkeypatch.setattr(plan, "run_demo", run_demo)


def test_a_clean_run_exits_with_0_and_ends_with_its_sums(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _stage(monkeypatch, Verdict(acknowledged=7, delivered=7, duplicates=2))
    assert main.run(["demo"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "acknowledged 7 · delivered 7 · lost 0 · duplicates 2"


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(acknowledged=7, delivered=6, lost=["k#1 was acknowledged and never delivered"]),
        Verdict(acknowledged=7, delivered=7, reordered=["k#1 came after k#2"]),
        Verdict(acknowledged=7, delivered=7, altered=["k#1 was delivered with another body"]),
        Verdict(acknowledged=7, delivered=7, phantoms=["k#9 was delivered, and nobody sent it"]),
        Verdict(acknowledged=7, delivered=7, misplaced=["k#1 was delivered from elsewhere"]),
    ],
)
def test_any_broken_promise_exits_with_1_and_is_named(
    verdict: Verdict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _stage(monkeypatch, verdict)
    assert main.run(["demo"]) == 1
    captured = capsys.readouterr()
    assert verdict.problems[0] in captured.err
    assert captured.out.splitlines()[-1] == str(verdict)


def test_json_is_one_line_of_figures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _stage(monkeypatch, Verdict(acknowledged=7, delivered=7))
    assert main.run(["demo", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["items"][0]["acknowledged"] == 7
