"""Apache's examples of AllocateMessageQueueAveragely."""

import pytest

from ternmq.client.allocation import allocate_average

MEMBERS = ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize(
    ("queues", "members", "shares"),
    [
        (8, 3, [[0, 1, 2], [3, 4, 5], [6, 7]]),
        (2, 3, [[0], [1], []]),
        (4, 2, [[0, 1], [2, 3]]),
        (7, 2, [[0, 1, 2, 3], [4, 5, 6]]),
        (5, 4, [[0, 1], [2], [3], [4]]),
        (3, 3, [[0], [1], [2]]),
        (0, 2, [[], []]),
    ],
)
def test_neighbouring_queues_go_to_one_member(queues: int, members: int, shares: list[list[int]]) -> None:
    names = MEMBERS[:members]
    assert [allocate_average(range(queues), names, name) for name in names] == shares


def test_who_is_not_in_the_list_gets_nothing() -> None:
    assert allocate_average(range(8), ["c0", "c1"], "c9") == []
