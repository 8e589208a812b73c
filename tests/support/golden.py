"""Frames recorded between Apache's own programs; `tests/golden/README.md` says how they were made."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "golden"


@dataclass(frozen=True)
class GoldenFrame:
    """One recorded frame; `where` names file and line for a failing test."""

    where: str
    to: str
    direction: str
    code: int
    request_code: int
    version: int
    fields: dict[str, str]
    body: bytes


def golden_frames(to: str, request_code: int, direction: str) -> Iterator[GoldenFrame]:
    """Give the frames with a whole body of one kind.

    Args:
        to: "namesrv" or "broker".
        request_code: code of the request, also for answers.
        direction: "c2s" or "s2c".
    """
    for path in sorted(FOLDER.glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            entry = json.loads(line)
            if (entry["to"], entry["req_code"], entry["dir"]) != (to, request_code, direction):
                continue
            if entry.get("truncated"):
                continue
            yield GoldenFrame(
                f"{path.name}:{number}",
                to,
                direction,
                entry["code"],
                request_code,
                entry["version"],
                entry["ext"] or {},
                bytes.fromhex(entry["body"]),
            )
