"""Writes docs/conformance.md from the results that `make conformance` left, and says which of them differ.

`python scripts/conformance_table.py` reads target/conformance/results.jsonl; of several results for the same item,
client and subject the last one counts.
"""

import json
import sys
from pathlib import Path
from typing import TypeAlias

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from support.revision import measured_by  # noqa: E402

RESULTS = ROOT / "target" / "conformance" / "results.jsonl"
DOCUMENT = ROOT / "docs" / "conformance.md"
CLIENTS = {
    "5.5.0-json": "Java 5.5.0, JSON",
    "5.5.0-binary": "Java 5.5.0, binary",
    "4.9.8-json": "Java 4.9.8, JSON",
    "go": "Go",
}
SUBJECTS = {"ternmq": "ours", "apache": "Apache"}
WORDS = {"passed": "yes", "failed": "**no**", "skipped": "skipped", None: "not run"}
NOT_FOR_THIS_CLIENT = "-"
INTRODUCTION = """# Conformance

Written by `scripts/conformance_table.py` from the results of `make conformance`; not by hand. Each row is a test that
drives an official, unmodified client through a scenario and compares field by field what went in with what came out.
The same battery runs against Apache's own 5.5.0 servers, so that a difference is known to be ours or theirs. The Go
client is `github.com/apache/rocketmq-client-go/v2` in the version of `tests/conformance/go/go.mod`. A dash: the item is
not run with this client, in most rows because it has no such call.
"""
DIFFERENCES = """## Differences, and what they come from

A row that says yes on both sides may still allow these, each written into the test where it shows:

- The first retry of a group that has just come to life may be up to 20 s late, here and there: the client looks for the
  queues of the retry topic only that often. With 5.5.0 on ours it came in time, with 4.9.8 on ours it did not.
- When two orderly consumers of 4.9.8 share queues anew, the second may find one still locked and looks again after
  20 s, here and there; 5.5.0 looks after a second.
- A consumer of 5.5.0 that has just been given queues may get nothing for up to 30 s, here and there: it passes over a
  heartbeat while another is on its way, and the broker refuses its newer subscription (25) until the next one. It was
  seen at Apache.
- The Go client counts the hash of a tag over its bytes, Java over its characters. Apache's broker passes messages over
  by the hashes that a client sent, so that a Go consumer by a tag outside ASCII gets nothing there; ours counts them
  itself.
- The Go client gives the messages of a batch no unique ids; their offset ids are the only ones. In order it gives a
  message up after one delivery more than Java. It asks for routes every 30 s, and shares out the queues of a topic that
  is new to it, such as its own retry topic, every 20 s: the first retry of a new group may be 50 s late.
- A topic or group made just before the master dies is in our log, and nothing has to be waited for; at Apache it
  travels beside the log, and the test of a leader kill waits until every replica shows it.
- A group that mqadmin has deleted is made again at Apache by the next question for it, as groups are made there by
  themselves; ours says that there is none.
- A new group on a young topic begins at 0 whatever start it asks for, here and there: the broker answers 0 while
  nothing is old. Starts at the last offset and at a time are therefore shown with broadcast consumers, whose
  offsets lie with the client.
"""

Result: TypeAlias = dict[tuple[str, str | None, str | None], str]


def read(path: Path) -> Result:
    """The last outcome of each item, client and subject, in the order of their first appearance."""
    outcomes: Result = {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        outcomes[line["item"], line["client"], line["subject"]] = line["outcome"]
    return outcomes


def document(outcomes: Result, origin: str) -> str:
    """The whole document; `origin` says which command and commit the results are from."""
    parts = [INTRODUCTION, "## The official Java and Go clients\n", f"{origin}.\n", _client_table(outcomes)]
    parts += [
        "",
        "## With mqadmin, and between the two projects\n",
        f"{origin}.\n",
        _other_table(outcomes),
        "",
        DIFFERENCES,
    ]
    return "\n".join(parts)


def _client_table(outcomes: Result) -> str:
    heads = [f"{client}: {subject}" for client in CLIENTS.values() for subject in SUBJECTS.values()]
    lines = [_row("item", *heads), _row(*["---"] * (1 + len(heads)))]
    for item in sorted({item for item, client, _ in outcomes if client is not None}):
        lines.append(_row(item, *(cell for client in CLIENTS for cell in _client_cells(outcomes, item, client))))
    return "\n".join(lines)


def _client_cells(outcomes: Result, item: str, client: str) -> list[str]:
    found = [outcomes.get((item, client, subject)) for subject in SUBJECTS]
    return [WORDS[outcome] for outcome in found] if any(found) else [NOT_FOR_THIS_CLIENT] * len(found)


def _other_table(outcomes: Result) -> str:
    lines = [_row("item", "ours", "Apache"), _row("---", "---", "---")]
    items = {item: subject for item, client, subject in outcomes if client is None and _is_shown(item, subject)}
    for item, subject in sorted(items.items()):
        if subject is None:
            lines.append(_row(item, WORDS[outcomes[item, None, None]], "both take part"))
        else:
            lines.append(_row(item, *(WORDS[outcomes.get((item, None, one))] for one in SUBJECTS)))
    return "\n".join(lines)


def _is_shown(item: str, subject: str | None) -> bool:
    """Tests of the comparison itself say nothing about a server."""
    return subject is not None or "apache" in item or "java" in item


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Write the document; 1 when there are no results."""
    if not RESULTS.exists():
        print(f"{RESULTS.relative_to(ROOT)} is missing: run `make conformance` first", file=sys.stderr)
        return 1
    DOCUMENT.write_text(document(read(RESULTS), measured_by("make conformance")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
