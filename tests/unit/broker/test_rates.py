"""Rates over the last 10, 60 and 600 seconds."""

from ternmq.broker.rates import Rate


def test_without_two_samples_there_is_no_rate() -> None:
    rate = Rate()
    assert rate.text() == "0.0 0.0 0.0"
    rate.sample(0.0, 5)
    assert rate.text() == "0.0 0.0 0.0"


def test_a_young_process_divides_by_its_age() -> None:
    rate = Rate()
    for second in range(6):
        rate.sample(100.0 + second, 20 * second)
    assert rate.text() == "20.0 20.0 20.0"


def test_each_window_sees_only_its_seconds() -> None:
    rate = Rate()
    for second in range(1000):
        rate.sample(float(second), 0 if second < 990 else 100 * (second - 989))
    assert rate.text() == f"100.0 {1000 / 60} {1000 / 600}"


def test_a_clock_that_stands_still_divides_by_nothing() -> None:
    rate = Rate()
    rate.sample(1.0, 1)
    rate.sample(1.0, 2)
    assert rate.text() == "0.0 0.0 0.0"
