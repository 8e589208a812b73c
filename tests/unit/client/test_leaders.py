"""Whom a client believes to lead."""

import pytest

from ternmq.client.leaders import Leaders

A, B, C = "a0:1", "a1:1", "a2:1"
LED_BY_A = {0: A, 2: B, 3: C}


@pytest.fixture
def leaders() -> Leaders:
    known = Leaders()
    known.learn("a", LED_BY_A)
    return known


def test_id_zero_leads(leaders: Leaders) -> None:
    assert leaders.master("a") == A
    assert leaders.led_by(A) == ["a"]
    assert leaders.readable("a") == [A]
    assert leaders.master("b") is None


def test_a_rejected_master_is_not_believed_when_a_nameserver_lags(leaders: Leaders) -> None:
    assert leaders.reject("a", A)
    assert leaders.master("a") is None
    assert not leaders.learn("a", LED_BY_A)
    assert leaders.master("a") is None
    assert leaders.without_master() == ["a"]


def test_without_a_master_the_others_are_read(leaders: Leaders) -> None:
    leaders.reject("a", A)
    assert leaders.readable("a") == [B, C]


def test_a_route_with_another_master_ends_the_search(leaders: Leaders) -> None:
    leaders.reject("a", A)
    assert leaders.learn("a", {0: B, 1: A, 3: C})
    assert leaders.master("a") == B
    assert leaders.learn("a", LED_BY_A), "the first one may be elected again later"


def test_a_master_that_says_it_leads_is_believed_again(leaders: Leaders) -> None:
    leaders.reject("a", A)
    assert leaders.confirm("a", A)
    assert leaders.master("a") == A
    assert not leaders.confirm("a", B), "a known master stays"


def test_a_hint_is_taken_if_the_route_knows_the_address(leaders: Leaders) -> None:
    assert leaders.reject("a", A, hint="stranger:1", hint_term=9)
    assert leaders.master("a") is None
    assert leaders.reject("a", A, hint=B, hint_term=2)
    assert leaders.master("a") == B


def test_a_nameserver_that_lags_does_not_undo_a_hint(leaders: Leaders) -> None:
    leaders.reject("a", A, hint=B, hint_term=2)
    leaders.learn("a", LED_BY_A)
    assert leaders.master("a") == B


def test_in_doubt_a_nameserver_is_believed_about_a_leader_that_was_rejected_before(leaders: Leaders) -> None:
    leaders.reject("a", A, hint=B, hint_term=2)
    leaders.reset_rejected()
    assert leaders.master("a") == B, "doubt alone changes nothing"
    assert leaders.learn("a", LED_BY_A)
    assert leaders.master("a") == A


def test_doubt_about_others_does_not_bring_back_a_leader_that_nobody_has_replaced(leaders: Leaders) -> None:
    leaders.reject("a", A)
    leaders.reset_rejected()
    assert not leaders.learn("a", LED_BY_A)
    assert leaders.master("a") is None


def test_a_hint_of_an_older_term_is_stale(leaders: Leaders) -> None:
    leaders.reject("a", A, hint=B, hint_term=5)
    assert not leaders.reject("a", A, hint=C, hint_term=4)
    assert leaders.master("a") == B
    assert leaders.reject("a", A, hint=C, hint_term=6)
    assert leaders.master("a") == C


def test_whoever_names_itself_gives_no_hint(leaders: Leaders) -> None:
    leaders.reject("a", A, hint=A, hint_term=7)
    assert leaders.master("a") is None


def test_a_late_failure_of_a_replaced_master_changes_nothing(leaders: Leaders) -> None:
    leaders.learn("a", {0: B, 1: A})
    assert not leaders.reject("a", A)
    assert leaders.master("a") == B


def test_a_route_without_a_master_does_not_take_a_working_one_away(leaders: Leaders) -> None:
    assert not leaders.learn("a", {2: B, 3: C})
    assert leaders.master("a") == A
    assert leaders.addresses(["a"]) == {A, B, C}
