"""File descriptors of a node's process: a connection takes one, and so does each file of the log and its views."""

from __future__ import annotations

import resource


def allow_all_descriptors() -> None:
    """Raise the soft limit of this process to the hard one.

    Systems start processes with a soft limit of 1,024, for the sake of programs that use `select`. A thousand idle
    clients would leave a broker none for its next segment.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
