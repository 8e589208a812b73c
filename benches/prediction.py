"""The arithmetic of large clusters: what is chosen, what a question costs, and what follows for a number of groups."""

from dataclasses import dataclass

from benches.nameserver_load import MEMBERS, Asked, route_of
from ternmq.broker.registration import ASK_SECONDS
from ternmq.client.membership import BEAT_SECONDS
from ternmq.client.metadata import POLL_SECONDS

NAMESERVERS = 3
# The cost of a question for a route is measured at these two sizes.
SMALL, MEDIUM = 10, 60


@dataclass(frozen=True)
class Assumed:
    """What is not measured, but chosen.

    Args:
        rate_of_group: messages a second.
        clients_of_group: in all groups together, each client on all groups; half of them consume.
        topics: in all, each on every group.
        routes_of_client: topics whose routes a client polls; a consumer has its topic and the one of its retries.
    """

    rate_of_group: int = 20_000
    clients_of_group: int = 30
    topics: int = 200
    routes_of_client: int = 2


@dataclass(frozen=True)
class QuestionCost:
    """What a question costs one NameServer, measured.

    Args:
        ask_us: CPU of a question for the version (322), microseconds.
        route_us: CPU of a question for a route (105) that is encoded already, without what its size costs.
        route_us_per_kb: ... for each 1,000 bytes.
        encode_us_per_kb: CPU of encoding a route, for each 1,000 bytes: once after a change of what routes say.
        ask_bytes: of a question for the version and its answer.
        route_overhead_bytes: of a question for a route, and of what surrounds the route in the answer.
        register_us_per_broker: CPU of a connection and a whole table of all topics.
    """

    ask_us: float
    route_us: float
    route_us_per_kb: float
    encode_us_per_kb: float
    ask_bytes: float
    route_overhead_bytes: float
    register_us_per_broker: float


@dataclass(frozen=True)
class Predicted:
    """One size.

    Args:
        groups: of three.
        brokers: processes.
        clients: in all.
        messages_per_second: of all groups.
        route_bytes: body of one route.
        asks_per_second: at each NameServer.
        routes_per_second: at each NameServer.
        megabytes_per_second: of both with their answers, at each NameServer; 10^6.
        cpu_share: of a core, at each NameServer.
        start_cpu_seconds: of a NameServer that begins empty, until all brokers have registered.
        change_cpu_seconds: of a NameServer, until every route has been asked for after a change, such as a fail-over.
        connections_of_nameserver: at each: every broker, and its share of the clients.
        connections_of_master: one of each client.
        connections_of_follower: one of each consumer.
        connections_of_client: a producer's, to every master; a consumer has one to every broker.
        heartbeats_per_second: at a master.
    """

    groups: int
    brokers: int
    clients: int
    messages_per_second: int
    route_bytes: int
    asks_per_second: float
    routes_per_second: float
    megabytes_per_second: float
    cpu_share: float
    start_cpu_seconds: float
    change_cpu_seconds: float
    connections_of_nameserver: int
    connections_of_master: int
    connections_of_follower: int
    connections_of_client: int
    heartbeats_per_second: float


def predict(groups: int, assumed: Assumed, cost: QuestionCost) -> Predicted:
    """The arithmetic of one size."""
    brokers, clients = groups * MEMBERS, groups * assumed.clients_of_group
    route_bytes = len(route_of(groups).encode(standard=True))
    asks = brokers / ASK_SECONDS
    # Every broker registers with each NameServer; a client asks one of them.
    routes = clients * assumed.routes_of_client / POLL_SECONDS / NAMESERVERS
    of_a_route = cost.route_us + cost.route_us_per_kb * route_bytes / 1000
    return Predicted(
        groups=groups,
        brokers=brokers,
        clients=clients,
        messages_per_second=groups * assumed.rate_of_group,
        route_bytes=route_bytes,
        asks_per_second=asks,
        routes_per_second=routes,
        megabytes_per_second=(asks * cost.ask_bytes + routes * (route_bytes + cost.route_overhead_bytes)) / 1e6,
        cpu_share=(asks * cost.ask_us + routes * of_a_route) / 1e6,
        start_cpu_seconds=brokers * cost.register_us_per_broker / 1e6,
        change_cpu_seconds=assumed.topics * (of_a_route + cost.encode_us_per_kb * route_bytes / 1000) / 1e6,
        connections_of_nameserver=brokers + clients // NAMESERVERS,
        connections_of_master=clients,
        connections_of_follower=clients // 2,
        connections_of_client=groups,
        heartbeats_per_second=clients / BEAT_SECONDS,
    )


def cost_of(
    small: Asked, routes: Asked, larger: Asked, first_us: float, register_us: float, idle: float
) -> QuestionCost:
    """Costs from three windows, in each of which one thing was asked.

    Args:
        small: questions for the version.
        routes: questions for routes of `SMALL` groups.
        larger: questions for routes of `MEDIUM` groups.
        first_us: CPU of a question for a route of `MEDIUM` groups that is not encoded yet.
        register_us: CPU of one broker's connection and table.
        idle: share of a core that a NameServer takes when nobody asks.
    """
    of_small, of_larger = (len(route_of(groups).encode(standard=True)) for groups in (SMALL, MEDIUM))
    first, second = (1e6 * (one.cpu - idle * one.seconds) / one.routes for one in (routes, larger))
    # What a larger route costs less than a small one is noise.
    per_kb = max(0.0, (second - first) / (of_larger - of_small) * 1000)
    return QuestionCost(
        ask_us=1e6 * (small.cpu - idle * small.seconds) / small.asks,
        route_us=first - per_kb * of_small / 1000,
        route_us_per_kb=per_kb,
        encode_us_per_kb=max(0.0, first_us - second) / of_larger * 1000,
        ask_bytes=small.ask_bytes / small.asks,
        route_overhead_bytes=routes.route_bytes / routes.routes - of_small,
        register_us_per_broker=register_us,
    )
