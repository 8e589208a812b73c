"""Two checkouts by turns: what the table says of a row."""

from benches.compare import HEAD, Compared
from benches.figures import OURS, Figures


def figures(rate: float, cpu: float) -> Figures:
    return Figures(
        "load-1", OURS, per_second=rate, p50_ms=0.5, p99_ms=1, server_cpu_per_million=cpu, waits=10, client_cpu_us=20
    )


def test_every_round_is_shown_and_b_is_a_multiple_of_a_by_their_means() -> None:
    compared = Compared("load-1")
    for letter, rate, cpu in (("A", 2_000, 500), ("B", 3_000, 200), ("A", 2_400, 300), ("B", 3_600, 200)):
        compared.add(letter, figures(rate, cpu))
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in compared.lines()]
    assert [row[:2] for row in rows] == [["A", "2,000 · 2,400"], ["B", "3,000 · 3,600"], ["B of A", "x 1.500"]]
    assert [row[4] for row in rows] == ["500 · 300", "200 · 200", "x 0.500"]
    assert len({line.count("|") for line in [*HEAD.splitlines(), *compared.lines()]}) == 1


def test_server_cpu_is_also_told_as_a_multiple_of_the_generators() -> None:
    compared = Compared("load-1")
    compared.add("A", figures(2_000, 500))
    compared.add("B", figures(2_000, 400))
    assert [line.split("|")[-2].strip() for line in compared.lines()] == ["25", "20", "x 0.800"]
