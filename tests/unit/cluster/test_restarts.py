"""When a dead node is started again."""

from ternmq.cluster.restarts import FIRST_DELAY_S, LONGEST_DELAY_S, STEADY_AFTER_S, RestartPolicy


def test_the_delay_starts_at_one_second_and_doubles_to_thirty() -> None:
    policy = RestartPolicy()
    delays = [policy.delay_after_death("n0", ran_for_s=0.1) for _ in range(7)]
    assert delays == [1, 2, 4, 8, 16, 30, 30]


def test_each_node_has_a_delay_of_its_own() -> None:
    policy = RestartPolicy()
    policy.delay_after_death("n0", ran_for_s=0.1)
    policy.delay_after_death("n0", ran_for_s=0.1)
    assert policy.delay_after_death("n1", ran_for_s=0.1) == FIRST_DELAY_S


def test_a_node_that_ran_steadily_starts_from_the_first_delay_again() -> None:
    policy = RestartPolicy()
    for _ in range(6):
        policy.delay_after_death("n0", ran_for_s=0.1)
    assert policy.delay_after_death("n0", ran_for_s=STEADY_AFTER_S - 0.1) == LONGEST_DELAY_S
    assert policy.delay_after_death("n0", ran_for_s=STEADY_AFTER_S) == FIRST_DELAY_S


def test_a_held_node_stays_dead_until_it_is_released() -> None:
    policy = RestartPolicy()
    policy.hold("n0")
    assert policy.is_held("n0")
    assert policy.delay_after_death("n0", ran_for_s=100) is None
    policy.release("n0")
    assert not policy.is_held("n0")
    assert policy.delay_after_death("n0", ran_for_s=100) == FIRST_DELAY_S


def test_a_released_node_starts_from_the_first_delay_again() -> None:
    policy = RestartPolicy()
    for _ in range(4):
        policy.delay_after_death("n0", ran_for_s=0.1)
    policy.release("n0")
    assert policy.delay_after_death("n0", ran_for_s=0.1) == FIRST_DELAY_S


def test_without_restarts_every_node_stays_dead() -> None:
    assert RestartPolicy(enabled=False).delay_after_death("n0", ran_for_s=100) is None
