"""Every row of the bench: its name on the command line, its title, and what it must reach."""

from dataclasses import dataclass

from benches.claims import Claim
from benches.figures import Figures


@dataclass(frozen=True)
class Quoted:
    """Apache's figures as measured when the bounds were set; for a run without it."""

    per_second: float = 0
    cpu: float = 0
    p50_ms: float = 0
    p99_ms: float = 0


@dataclass(frozen=True)
class Rated:
    """A row with a rate. Bounds that are None are not asked for.

    Args:
        name: on the command line.
        title: in the table.
        per_second: least rate, messages a second.
        p50_ms: most p50.
        p99_ms: most p99.
        cpu: most server CPU-seconds per million messages.
        client_cpu: most CPU of the client for a message, microseconds.
        times_apache: least rate as a multiple of Apache's.
        cpu_of_apache: most server CPU as a share of Apache's.
        latency_of_apache: most p50 and p99 as a share of Apache's.
        quoted: Apache's figures for a run without it.
    """

    name: str
    title: str
    per_second: float | None = None
    cpu: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    client_cpu: float | None = None
    times_apache: float | None = None
    cpu_of_apache: float | None = None
    latency_of_apache: float | None = None
    quoted: Quoted | None = None

    def claims(self, ours: Figures, apache: Figures | None) -> list[Claim]:
        """What the row must reach, with the figures that it came to."""
        rate, cpu, quoted = ours.per_second or 0, ours.server_cpu_per_million or 0, self.quoted or Quoted()
        their_rate = (apache.per_second if apache else None) or quoted.per_second
        their_cpu = (apache.server_cpu_per_million if apache else None) or quoted.cpu
        claims = []
        if self.per_second is not None:
            claims.append(Claim("msg/s", rate, self.per_second, at_least=True))
        if self.cpu is not None:
            claims.append(Claim("server CPU", cpu, self.cpu))
        if self.p50_ms is not None:
            claims.append(Claim("p50", ours.p50_ms or 0, self.p50_ms))
        if self.p99_ms is not None:
            claims.append(Claim("p99", ours.p99_ms or 0, self.p99_ms))
        if self.client_cpu is not None:
            claims.append(Claim("client CPU", ours.client_cpu_us or 0, self.client_cpu))
        if self.times_apache is not None and their_rate:
            claims.append(Claim("times Apache's rate", rate / their_rate, self.times_apache, at_least=True))
        if self.cpu_of_apache is not None and their_cpu:
            claims.append(Claim("of Apache's server CPU", cpu / their_cpu, self.cpu_of_apache))
        if self.latency_of_apache is not None:
            p50 = (apache.p50_ms if apache else None) or quoted.p50_ms
            p99 = (apache.p99_ms if apache else None) or quoted.p99_ms
            claims.append(Claim("of Apache's p50", (ours.p50_ms or 0) / p50, self.latency_of_apache))
            claims.append(Claim("of Apache's p99", (ours.p99_ms or 0) / p99, self.latency_of_apache))
        return claims


JAVA = (
    Rated(
        "java-sync", "sync send, 32 threads",
        times_apache=3, cpu_of_apache=1 / 4, quoted=Quoted(3_600, 380),
    ),
    Rated(
        "java-async", "async send, 1,024 in flight",
        cpu=20, times_apache=3, cpu_of_apache=1 / 8, quoted=Quoted(4_000, 350),
    ),
    Rated(
        "java-batch", "batches of 32, 8 threads",
        times_apache=5, cpu_of_apache=1 / 8, quoted=Quoted(8_000, 195),
    ),
    Rated(
        "java-push", "push consume of a backlog",
        times_apache=1, cpu_of_apache=1 / 3, quoted=Quoted(46_500, 23),
    ),
    Rated(
        "java-steady", "a steady 500 msg/s, send to ack",
        p50_ms=0.6, latency_of_apache=1 / 2, quoted=Quoted(p50_ms=2.7, p99_ms=24),
    ),
    Rated("java-receipt", "a steady 500 msg/s, send to receipt by a push consumer"),
)  # fmt: skip

LOAD = (
    Rated("load-1", "1 sender, one at a time, 128 B", cpu=320),
    Rated("load-32", "32 senders, one at a time, 128 B", 30_000, 34),
    Rated("load-32-1k", "32 senders, one at a time, 1 KiB"),
    Rated("load-256", "pipelined, 256 in flight (4 x 64), 128 B", 100_000, 7.9),
    Rated("load-1024", "pipelined, 1,024 in flight (4 x 256), 1 KiB", 60_000, 8),
    Rated("load-end-to-end", "sent, consumed and committed, 256 B, 1,024 in flight (4 x 256)", cpu=5),
    Rated("load-end-to-end-100", "the same in batches of 100 (4 x 3 in flight)", cpu=2.5),
    Rated("load-5x7", "5 groups x 7 senders, one at a time, 128 B", 20_000, 75),
    Rated("load-5x20k", "5 groups x 20,000/s, open loop, 128 B", 98_000, 12.5, p99_ms=50),
    Rated("load-5x512", "5 groups, pipelined, 512 in flight each (4 x 128), 128 B", 230_000, 6.5),
    Rated("pull-32", "pull of a 128 B backlog, 32 asked for", cpu=1.15),
    Rated("pull-1024", "pull of a 128 B backlog, 1,024 asked for", 300_000, 1.15),
)

PYTHON = (
    Rated("python-send", "our Python client, 32 tasks that await, 128 B", 15_000, client_cpu=20),
    Rated("python-post", "our Python client, pipelined `post`, 128 B", 180_000, client_cpu=8),
    Rated("python-batches", "our Python client, consuming in batches, 128 B", 500_000),
)

RATED = {row.name: row for row in (*JAVA, *LOAD, *PYTHON)}


@dataclass(frozen=True)
class Single:
    """A row with one figure, of several tries the median and the worst.

    Args:
        name: on the command line.
        title: in the table.
        unit: of the figure.
        most: bound of the figure, or of the median.
        worst: bound of the worst of all tries.
    """

    name: str
    title: str
    unit: str
    most: float | None = None
    worst: float | None = None

    def claims(self, ours: Figures) -> list[Claim]:
        """What the row must reach, with the figures that it came to."""
        claims = []
        if self.most is not None:
            claims.append(Claim("median" if self.worst else self.unit, ours.value or 0, self.most))
        if self.worst is not None:
            claims.append(Claim("worst", ours.worst or 0, self.worst))
        return claims


SINGLE = {
    row.name: row
    for row in (
        Single("java-gap", "longest gap between acks, master killed, Java client polling each second", "s", worst=2),
        Single("kill-shared", "gap, master killed, our generator, `shared` timing", "s", most=0.06, worst=0.15),
        Single("kill-lan", "gap, master killed, our generator, `lan` timing", "s", most=0.06, worst=0.15),
        Single("stop-shared", "gap, master stopped (SIGSTOP), our generator, `shared` timing", "s", most=0.7),
        Single("term-shared", "gap, master ended by SIGTERM, our generator, `shared` timing", "s", most=0.02),
        Single("python-gap", "gap, master killed, our Python client", "s", most=0.08, worst=0.2),
        Single("read-gap", "longest gap of a consumer, master killed, until it reads on from the slave", "s"),
        Single("up", "`up` until every group has a master in every NameServer", "s", most=5),
        Single("memory", "resident memory of all processes after load", "MB", most=700),
        Single("idle", "idle CPU of a broker", "% of a core", most=0.5),
    )
}

ROWS = (*RATED, *SINGLE)
