"""Tables of `docs/scaling.md`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benches.claims import short
from benches.nameserver_load import MEMBERS, Asked
from benches.prediction import MEDIUM, SMALL, Assumed, Predicted, QuestionCost
from ternmq.broker.registration import ASK_SECONDS
from ternmq.client.membership import BEAT_SECONDS
from ternmq.client.metadata import POLL_SECONDS


class MessageCost(NamedTuple):
    """CPU of all brokers of a group for one message, microseconds: by our generator, and by the Java client."""

    mode: str
    generator: float
    java: float


@dataclass(frozen=True)
class Checked:
    """What a real NameServer showed at one size.

    Args:
        start_cpu_seconds: until all brokers had registered.
        change_cpu_seconds: until every route had been asked for once.
        asked: the window in which brokers and clients lived.
    """

    start_cpu_seconds: float
    change_cpu_seconds: float
    asked: Asked


def markdown(
    assumed: Assumed,
    cost: QuestionCost,
    predicted: Sequence[Predicted],
    checked: Sequence[Checked],
    modes: Sequence[MessageCost],
) -> str:
    """The tables of the document.

    Args:
        assumed: what was chosen.
        cost: what was measured of a question.
        predicted: each size.
        checked: what was measured at each size.
        modes: what a message costs in each.
    """
    parts = [_inputs(assumed, cost), _sizes(predicted)]
    if modes:
        parts.append(_cores(modes, predicted))
    return "\n\n".join([*parts, _checks(predicted, checked)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # The last column of the inputs is prose.
    line = "| --- |" + " ---: |" * (len(head) - 2) + (" --- |" if head[-1] == "source" else " ---: |")
    return "\n".join([f"| {' | '.join(head)} |", line, *(f"| {' | '.join(row)} |" for row in rows)])


def _inputs(assumed: Assumed, cost: QuestionCost) -> str:
    too, membership = "; the Java client, too", "python/ternmq/client/membership.py"
    rows = (
        ("a question for the version (322), CPU", f"{cost.ask_us:.0f} us", "measured, 30 brokers"),
        ("... bytes with its answer", f"{cost.ask_bytes:,.0f}", "counted"),
        ("a question for a route (105), CPU", f"{cost.route_us:.0f} us", f"measured, {SMALL} and {MEDIUM} groups"),
        ("... for each 1,000 bytes of the route", f"{cost.route_us_per_kb:.2f} us", "the same"),
        ("... encoding, for each 1,000 bytes, once after a change", f"{cost.encode_us_per_kb:.2f} us", "the same"),
        ("... bytes besides the route", f"{cost.route_overhead_bytes:,.0f}", "counted"),
        ("a broker's connection and table, CPU", f"{cost.register_us_per_broker:,.0f} us", "measured"),
        ("a broker asks each NameServer every", f"{ASK_SECONDS:g} s", "`python/ternmq/broker/registration.py`"),
        ("a client polls each of its routes every", f"{POLL_SECONDS:g} s", f"`python/ternmq/client/metadata.py`{too}"),
        ("a client's heartbeat to each broker every", f"{BEAT_SECONDS:g} s", f"`{membership}`{too}"),
        ("bytes of a route", "by size", "`python/ternmq/protocol/routes.py` encodes it"),
        ("messages of a group", f"{assumed.rate_of_group:,}/s", "chosen"),
        ("clients for each group, half of them consumers", f"{assumed.clients_of_group}", "chosen"),
        ("topics, each on all groups", f"{assumed.topics}", "chosen"),
        ("routes that a client polls", f"{assumed.routes_of_client}", "its topic, and that of its retries"),
    )  # fmt: skip
    return "**Inputs**\n\n" + _table(("input", "value", "source"), rows)


def _sizes(predicted: Sequence[Predicted]) -> str:
    rows = (
        ("brokers", [f"{one.brokers:,}" for one in predicted]),
        ("clients", [f"{one.clients:,}" for one in predicted]),
        ("messages/s", [f"{one.messages_per_second:,}" for one in predicted]),
        ("a route, KB", [f"{one.route_bytes / 1000:.1f}" for one in predicted]),
        ("questions for the version/s, each NameServer", [f"{one.asks_per_second:,.0f}" for one in predicted]),
        ("questions for a route/s, each NameServer", [f"{one.routes_per_second:,.0f}" for one in predicted]),
        ("MB/s, each NameServer", [f"{one.megabytes_per_second:.2f}" for one in predicted]),
        ("CPU of each NameServer, of a core", [f"{one.cpu_share:.1%}" for one in predicted]),
        ("CPU until all have registered, s", [f"{one.start_cpu_seconds:.1f}" for one in predicted]),
        ("CPU of asking for every route after a change, s", [f"{one.change_cpu_seconds:.2f}" for one in predicted]),
        ("connections of a NameServer", [f"{one.connections_of_nameserver:,}" for one in predicted]),
        ("client connections of a master", [f"{one.connections_of_master:,}" for one in predicted]),
        ("client connections of a follower", [f"{one.connections_of_follower:,}" for one in predicted]),
        ("connections of a producer", [f"{one.connections_of_client:,}" for one in predicted]),
        ("connections of a consumer", [f"{one.connections_of_client * MEMBERS:,}" for one in predicted]),
        ("heartbeats/s at a master", [f"{one.heartbeats_per_second:,.0f}" for one in predicted]),
    )
    head = ("predicted", *(f"{one.groups} groups" for one in predicted))
    return "**Sizes**\n\n" + _table(head, [(name, *cells) for name, cells in rows])


def _cores(modes: Sequence[MessageCost], predicted: Sequence[Predicted]) -> str:
    of_one = predicted[0].messages_per_second // predicted[0].groups
    rates = [of_one, *(one.messages_per_second for one in predicted)]
    rows = [
        (
            f"`{mode}`",
            f"{ours:.1f} · {java:.1f}",
            *(f"{short(rate * ours / 1e6)} to {short(rate * java / 1e6)}" for rate in rates),
        )
        for mode, ours, java in modes
    ]
    head = ("cores that are busy", "CPU us a message", "1 group", *(f"{one.groups} groups" for one in predicted))
    return "**Cores of all brokers**\n\n" + _table(head, rows)


def _checks(predicted: Sequence[Predicted], checked: Sequence[Checked]) -> str:
    rows = []
    for one, seen in zip(predicted, checked, strict=True):
        asked = seen.asked
        pairs = (
            ("questions for the version/s", one.asks_per_second, asked.asks / asked.seconds),
            ("questions for a route/s", one.routes_per_second, asked.routes / asked.seconds),
            ("MB/s", one.megabytes_per_second, (asked.ask_bytes + asked.route_bytes) / asked.seconds / 1e6),
            ("CPU, % of a core", 100 * one.cpu_share, 100 * asked.cpu / asked.seconds),
            ("CPU until all have registered, s", one.start_cpu_seconds, seen.start_cpu_seconds),
            ("CPU of asking for every route after a change, s", one.change_cpu_seconds, seen.change_cpu_seconds),
        )
        rows += [
            (f"{one.groups} groups: {what}", f"{ours:.3g}", f"{found:.3g}", f"x {found / ours:.3g}")
            for what, ours, found in pairs
        ]
    head = ("one NameServer", "predicted", "measured", "measured of predicted")
    return "**Predicted against measured**\n\n" + _table(head, rows)
