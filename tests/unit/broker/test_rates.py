"""Rates over the last 10, 60 and 600 seconds, and totals at midnight."""

from datetime import date

from ternmq.broker.rates import DailyTotals, Rate


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


def test_a_morning_keeps_the_first_total_of_its_day() -> None:
    totals = DailyTotals()
    totals.sample(date(2026, 2, 27), 10)
    assert (totals.yesterday, totals.today) == (0, 0)
    totals.sample(date(2026, 2, 28), 20)
    totals.sample(date(2026, 2, 28), 25)
    totals.sample(date(2026, 3, 1), 40)
    assert (totals.yesterday, totals.today) == (20, 40)


def test_who_slept_over_a_day_put_nothing_on_it() -> None:
    totals = DailyTotals()
    totals.sample(date(2026, 2, 27), 10)
    totals.sample(date(2026, 3, 2), 40)
    assert (totals.yesterday, totals.today) == (40, 40)


def test_a_clock_that_is_set_back_over_midnight_changes_nothing() -> None:
    totals = DailyTotals()
    for day, total in ((1, 10), (2, 20), (1, 30), (2, 40)):
        totals.sample(date(2026, 3, day), total)
    assert (totals.yesterday, totals.today) == (0, 20)
