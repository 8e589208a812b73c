"""What an overload comes to."""

from benches.overload import AFTER_SECONDS, Phase, figures, until_normal

CALM = {"p99_ms": 10.0, "refusals": {}}


def test_goodput_is_what_was_acknowledged_while_sends_were_answered_and_the_consumers_share_what_it_had_then() -> None:
    sending = {
        "consumed": 90_000, "count": 100_000, "failed": 50_000, "seconds": 2.0, "p50_ms": 5.0, "p99_ms": 300.0,
        "refusals": {"2": 50_000}, "refused_p99_ms": 210.0,
    }  # fmt: skip
    found = figures(Phase("over", 150_000.4, 2.0, 8), {"seconds": 2.5, "sending": sending})
    assert (found["asked"], found["goodput"], found["consumed_share"]) == (150_000, 50_000, 0.9)
    assert (found["refusals"], found["refused_p99_ms"], found["drained_s"]) == ({"2": 50_000}, 210.0, 0.5)


def test_it_is_normal_again_with_the_first_window_that_is_as_quick_as_before_and_refuses_nothing() -> None:
    slow, refusing = {"p99_ms": 21.0, "refusals": {}}, {"p99_ms": 9.0, "refusals": {"2": 1}}
    assert until_normal(CALM, [slow, refusing, {"p99_ms": 20.0, "refusals": {}}]) == 2 * AFTER_SECONDS
    assert until_normal(CALM, [slow, refusing]) is None
