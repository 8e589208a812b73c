"""Context switches of the servers' threads."""

import os
import threading
import time

from benches.probes.threads import ContextSwitches, context_switches, switched


def test_threads_that_end_or_begin_between_two_readings_count_only_what_is_known_of_them() -> None:
    before = {1: ContextSwitches(10, 5), 2: ContextSwitches(1_000, 500)}
    after = {1: ContextSwitches(17, 6), 3: ContextSwitches(3, 2)}
    assert switched(before, after) == ContextSwitches(10, 3)


def test_each_sleep_of_a_thread_is_a_wait_of_its_process() -> None:
    me = threading.get_native_id()
    before = context_switches([os.getpid()])
    for _ in range(5):
        time.sleep(0.001)
    after = context_switches([os.getpid()])
    assert switched({me: before[me]}, {me: after[me]}).waits >= 5
