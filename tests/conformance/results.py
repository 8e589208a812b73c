"""Results of the conformance tests as JSON lines, one for each test, client and subject; the last one counts."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[2] / "target" / "conformance" / "results.jsonl"
# Fixtures that stand for the columns of the table; what else a test is given belongs to the item.
_SUBJECT, _CLIENT = ("subject", "replicated"), "battery"


def write_result(path: Path, name: str, given: Any, outcome: str) -> None:
    """Append one result.

    Args:
        path: the file, made when it is missing.
        name: name of the test function.
        given: pytest's call specification; None for a test without parameters.
        outcome: as pytest says it.
    """
    parameters = dict(given.params) if given is not None else {}
    subject = next((parameters.pop(key) for key in _SUBJECT if key in parameters), None)
    client = parameters.pop(_CLIENT, None)
    rest = ", ".join(f"{key} {value}" for key, value in parameters.items())
    line = {
        "item": name.removeprefix("test_").replace("_", " ") + (f" ({rest})" if rest else ""),
        "client": None if client is None else str(client),
        "subject": subject,
        "outcome": outcome,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
