import pytest
from benches.document import BEGIN, END, replaced
from benches.figures import APACHE, OURS, Figures
from benches.report import markdown


def rated(side: str, rate: float) -> Figures:
    return Figures(
        "java-sync", side, per_second=rate, p50_ms=1.0, p99_ms=2.0, server_cpu_per_million=100.0, client_cpu_us=50.0,
        busy=0.5, written_mb_per_second=1.0,
    )  # fmt: skip


def test_ours_stands_below_apaches_with_the_ratio_and_one_verdict() -> None:
    lines = markdown([rated(OURS, 9_000), rated(APACHE, 3_000)], None).splitlines()
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["Apache DLedger", "ours", "ratio"]
    assert "x 3 " in lines[4]
    assert "missed (of Apache's server CPU 1, not ≤ 0.25)" in lines[3]
    assert len({line.count("|") for line in lines}) == 1


def test_a_missing_message_outweighs_every_figure() -> None:
    figures = rated(OURS, 100_000)
    figures.missing = 1
    assert "WRONG: 1 acknowledged messages missing" in markdown([figures], None)


def test_several_tries_show_their_median_and_their_worst() -> None:
    gap = Figures("python-gap", OURS, value=0.04, worst=0.25, count=30)
    assert "median 0.04, worst 0.25 s of 30" in markdown([gap], None)
    assert "missed (worst 0.25, not ≤ 0.2)" in markdown([gap], None)


def test_the_document_keeps_all_that_stands_outside_its_marks() -> None:
    document = f"head\n{BEGIN}old\n{END}tail\n"
    assert replaced(document, "new\n") == f"head\n{BEGIN}new\n{END}tail\n"
    with pytest.raises(ValueError, match="no marks"):
        replaced("head\n", "new\n")
