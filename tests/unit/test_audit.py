"""`make audit`: what is found fails, what cannot be reached is said and counted."""

import json
from pathlib import Path

import pytest
from scripts import audit
from scripts.audit import Answer

CLEAN = json.dumps({"dependencies": [{"name": "click", "version": "8.5.1", "vulns": []}], "fixes": []})
KNOWN = json.dumps({"dependencies": [{"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1"}]}], "fixes": []})
SILENT = json.dumps({"dependencies": [{"name": "click", "skip_reason": "Dependency not found on PyPI"}], "fixes": []})


class _Tools:
    """Answers in the place of the tools, by the last words of a command."""

    def __init__(self, packages: str = CLEAN, **answers: Answer) -> None:
        self._answers = {"deny": Answer(0, "", ""), **answers}
        self._packages = Answer(0, packages, "")

    def __call__(self, *command: str | Path) -> Answer:
        name = Path(command[0]).name
        if name == "pip-audit":
            return self._packages
        return self._answers.get(str(command[-1]), self._answers["deny"])


@pytest.mark.parametrize(
    ("tools", "code", "counted"),
    [
        (_Tools(), 0, "3 held, 0 found something, 0 not reached"),
        (_Tools(sources=Answer(4, "", "licences FAILED")), 1, "2 held, 1 found something, 0 not reached"),
        (_Tools(advisories=Answer(1, "", "RUSTSEC-2024-0437")), 1, "2 held, 1 found something, 0 not reached"),
        (_Tools(db=Answer(1, "", "could not resolve host")), 0, "2 held, 0 found something, 1 not reached"),
        (_Tools(packages=KNOWN), 1, "2 held, 1 found something, 0 not reached"),
        (_Tools(packages=SILENT), 0, "2 held, 0 found something, 1 not reached"),
        (_Tools(packages="no route to host"), 0, "2 held, 0 found something, 1 not reached"),
        (_Tools(deny=Answer(127, "", "no such file")), 0, "1 held, 0 found something, 1 not reached"),
    ],
)
def test_only_what_is_found_is_a_failure(
    tools: _Tools, code: int, counted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main(tools) == code
    assert capsys.readouterr().out.splitlines()[-1] == f"audit: {counted}"


def test_a_tool_that_is_not_there_is_an_answer() -> None:
    assert audit.ask("/no/such/tool").code == 127
