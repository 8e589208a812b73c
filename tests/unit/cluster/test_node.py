"""How the end of a node is put into words, and where its files lie."""

import signal
from pathlib import Path

from ternmq.cluster.layout import DataDir
from ternmq.cluster.node import describe_end, last_words


def test_the_error_line_explains_an_end_even_if_more_follows() -> None:
    log = "starting\nerror: port 9876 is in use\n  try: another --base-port\nbye\n"
    assert last_words(log) == "port 9876 is in use"


def test_the_last_of_several_errors_counts() -> None:
    assert last_words("error: first\nerror: second\n") == "second"


def test_without_an_error_line_the_last_line_is_taken() -> None:
    assert last_words("Traceback (most recent call last):\n  …\nValueError: no\n\n") == "ValueError: no"
    assert last_words("\n \n") == "it wrote nothing to its log"


def test_an_end_is_named_by_code_or_signal() -> None:
    assert describe_end(2) == "ended with code 2"
    assert describe_end(-signal.SIGKILL) == "was ended by SIGKILL"
    assert describe_end(-123) == "was ended by signal 123"


def test_a_node_has_one_log_file_beside_the_others() -> None:
    data = DataDir(Path("/data"))
    assert data.log("group-a/n0") == Path("/data/logs/group-a-n0.log")
    assert data.log("ns1") == Path("/data/logs/ns1.log")
