"""The arithmetic of large clusters."""

import json
from dataclasses import asdict, replace

import pytest
from benches.nameserver_load import Asked, route_of
from benches.prediction import MEDIUM, SMALL, Assumed, QuestionCost, cost_of, predict
from benches.scaling_model import tables
from benches.scaling_report import Checked, MessageCost, markdown

COST = QuestionCost(
    ask_us=100,
    route_us=50,
    route_us_per_kb=2,
    encode_us_per_kb=20,
    ask_bytes=500,
    route_overhead_bytes=200,
    register_us_per_broker=4_000,
)
CHOSEN = Assumed(rate_of_group=20_000, clients_of_group=30, topics=200, routes_of_client=2)


def test_asks_follow_the_brokers_and_routes_follow_the_clients() -> None:
    found = predict(100, CHOSEN, COST)
    assert (found.brokers, found.clients, found.messages_per_second) == (300, 3_000, 2_000_000)
    # 300 brokers every two seconds, 3,000 clients with two routes every 30 s at one of three NameServers.
    assert found.asks_per_second == 150
    assert found.routes_per_second == pytest.approx(3_000 * 2 / 30 / 3)
    assert found.connections_of_nameserver == 300 + 1_000
    assert (found.connections_of_master, found.connections_of_follower, found.connections_of_client) == (
        3_000,
        1_500,
        100,
    )
    assert found.heartbeats_per_second == 100


def test_cpu_and_traffic_are_those_of_all_questions_and_grow_with_the_route() -> None:
    found = predict(100, CHOSEN, COST)
    route = len(route_of(100).encode(standard=True))
    assert found.route_bytes == route
    of_routes = found.routes_per_second * (50 + 2 * route / 1000)
    assert found.cpu_share == pytest.approx((150 * 100 + of_routes) / 1e6)
    assert found.megabytes_per_second == pytest.approx((150 * 500 + found.routes_per_second * (route + 200)) / 1e6)
    assert found.start_cpu_seconds == pytest.approx(300 * 4_000 / 1e6)
    assert found.change_cpu_seconds == pytest.approx(200 * (50 + 22 * route / 1000) / 1e6)
    # Three times the groups have three times the clients, and each asks for three times the bytes.
    larger = predict(300, CHOSEN, COST)
    assert larger.megabytes_per_second / found.megabytes_per_second == pytest.approx(9, rel=0.05)


def test_a_route_names_every_broker_and_the_queues_of_every_group() -> None:
    route = json.loads(route_of(3).encode(standard=True))
    assert len(route["queueDatas"]) == len(route["brokerDatas"]) == 3
    assert sum(len(data["brokerAddrs"]) for data in route["brokerDatas"]) == 9


def window(*, asks: int = 0, routes: int = 0, cpu: float, route_bytes: int = 0) -> Asked:
    return Asked(10.0, asks, routes, asks * 400, route_bytes, cpu)


def test_costs_are_without_what_an_idle_nameserver_takes_and_split_a_route_by_its_size() -> None:
    small, medium = (len(route_of(groups).encode(standard=True)) for groups in (SMALL, MEDIUM))
    per_kb, fixed, idle = 3.0, 40.0, 0.01
    of = [1_000 * (fixed + per_kb * size / 1000) / 1e6 + idle * 10 for size in (small, medium)]
    found = cost_of(
        window(asks=1_000, cpu=0.1 + idle * 10),
        window(routes=1_000, cpu=of[0], route_bytes=1_000 * (small + 150)),
        window(routes=1_000, cpu=of[1]),
        first_us=1e6 * (of[1] - idle * 10) / 1_000 + 9.0 * medium / 1000,
        register_us=7.0,
        idle=idle,
    )
    assert found.ask_us == pytest.approx(100)
    assert found.route_us == pytest.approx(fixed)
    assert found.route_us_per_kb == pytest.approx(per_kb)
    assert found.encode_us_per_kb == pytest.approx(9.0)
    assert (found.ask_bytes, found.route_overhead_bytes) == (400, 150)


def test_the_document_shows_each_size_the_cores_and_measured_beside_predicted() -> None:
    predicted = [predict(10, CHOSEN, COST)]
    asked = Asked(60.0, 15 * 60, 7 * 60, 0, int(60 * 2 * predicted[0].megabytes_per_second * 1e6), 0.0)
    text = markdown(CHOSEN, COST, predicted, [Checked(1.0, 0.5, asked)], [MessageCost("raft", 10.0, 25.0)])
    assert "| `raft` | 10.0 · 25.0 | 0.2 to 0.5 | 2 to 5 |" in text
    assert "| 10 groups: questions for the version/s | 15 | 15 | x 1 |" in text
    assert "x 2 |" in next(line for line in text.splitlines() if line.startswith("| 10 groups: MB/s"))
    other = markdown(replace(CHOSEN, topics=7), COST, predicted, [Checked(1.0, 0.5, asked)], [])
    assert "| topics, each on all groups | 7 | chosen |" in other


def test_a_run_that_was_kept_gives_the_tables_that_it_gave() -> None:
    seen = Checked(1.0, 0.5, Asked(60.0, 900, 400, 1_000, 2_000, 0.5))
    kept = json.loads(json.dumps({"stamp": "", "groups": [10], "cost": asdict(COST), "measured": [asdict(seen)]}))
    assert tables(kept, []) == markdown(Assumed(), COST, [predict(10, Assumed(), COST)], [seen], [])
