"""How Linux schedules a broker's threads."""

import logging
import os

from ternmq.config.settings import Scheduling

_log = logging.getLogger(__name__)


def schedule_as(scheduling: Scheduling) -> None:
    """Set the calling thread's scheduling policy; threads that it starts later inherit it.

    With "batch" a thread that wakes waits until the one that runs has slept or used up its slice (sched(7)). A message
    passes through several threads, and each that woke took the core from the one that was about to feed it: in place of
    one wake-up for a batch of messages there was one a message.

    Args:
        scheduling: the policy; "other" changes nothing.
    """
    if scheduling == "other":
        return
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        # Some sandboxes forbid it. Everything works without it, at a higher price.
        _log.warning("the scheduling policy stays as it is: %s", error)
