"""Comparing what went in with what came back, field by field."""

import struct
from collections import Counter

from support.battery import Line

# What clients and brokers add to a message's properties on its way; everything else must come back as it went in.
# CONSUME_START_TIME is the push consumer's own note.
ADDED_ON_THE_WAY = {
    "UNIQ_KEY", "CLUSTER", "MSG_REGION", "TRACE_ON", "MIN_OFFSET", "MAX_OFFSET", "CONSUME_START_TIME",
}  # fmt: skip


def assert_came_back(sent: list[Line], pulled: list[Line]) -> None:
    """Each sent message was pulled exactly once, and every field of it is as it was sent."""
    counts = Counter(line["id"] for line in pulled)
    by_id = {line["id"]: line for line in pulled}
    for line in sent:
        assert counts[line["id"]] == 1, f"message {line['number']} was pulled {counts[line['id']]} times"
        assert_same_message(line, by_id[line["id"]])


def assert_same_message(sent: Line, pulled: Line) -> None:
    """One message as it was sent, and as it was pulled."""
    went_in, came_out = sent["in"], pulled["out"]
    for name in ("topic", "body", "tag", "keys", "flag"):
        assert came_out[name] == went_in[name], f"{name} of message {sent['number']}"
    added = {name: value for name, value in came_out["properties"].items() if name not in went_in["properties"]}
    kept = {name: value for name, value in came_out["properties"].items() if name in went_in["properties"]}
    assert kept == went_in["properties"]
    assert set(added) <= ADDED_ON_THE_WAY
    # A client that gives a message no id of its own knows it by its offset id, and says so.
    assert added.get("UNIQ_KEY") == sent.get("unique_id", sent["id"])
    if "status" not in sent:
        return  # One-way: the broker said nothing that could be compared.
    assert sent["status"] == "SEND_OK"
    assert (pulled["broker"], pulled["queue"], pulled["queue_offset"]) == (
        sent["broker"],
        sent["queue"],
        sent["queue_offset"],
    )
    assert offset_id_place(sent["offset_id"]) == (pulled["store_host"], pulled["physical_offset"])


def offset_id_place(offset_id: str) -> tuple[str, int]:
    """Address and physical offset that an offset message id names, the address as Java prints it."""
    raw = bytes.fromhex(offset_id)
    assert len(raw) == 16, "an IPv4 broker"
    port, physical_offset = struct.unpack(">iq", raw[4:])
    return f"/{'.'.join(map(str, raw[:4]))}:{port}", physical_offset


def by_queue(lines: list[Line]) -> dict[tuple[str, int], list[Line]]:
    """Lines by the queue they name, in their order."""
    queues: dict[tuple[str, int], list[Line]] = {}
    for line in lines:
        queues.setdefault((line["broker"], line["queue"]), []).append(line)
    return queues


def by_message(lines: list[Line]) -> dict[str, list[Line]]:
    """Lines by the unique id of their message, in their order."""
    messages: dict[str, list[Line]] = {}
    for line in lines:
        messages.setdefault(line["id"], []).append(line)
    return messages


def is_committed_to_the_end(sent: list[Line], lines: list[Line]) -> bool:
    """Whether the offset committed for each queue is the one after the last message that was sent to it."""
    committed = {(line["broker"], line["queue"]): line["offset"] for line in lines if line["event"] == "committed"}
    return all(committed[place] == queue[-1]["queue_offset"] + 1 for place, queue in by_queue(sent).items())
