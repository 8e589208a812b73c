"""Exit codes and the sentences that go with them."""

import pytest
import rich_click as click

from ternmq.cli import failures, main
from ternmq.cli.failures import CommandError, describe
from ternmq.errors import ConfigError, LaunchError, MQError, RouteNotFoundError, UnreachableError


def _run(monkeypatch: pytest.MonkeyPatch, error: BaseException | None, *options: str) -> int:
    @click.command("fail")
    @click.option("--debug", is_flag=True)
    def fail(debug: bool) -> None:
        if error is not None:
            raise error

    monkeypatch.setitem(main.cli.commands, "fail", fail)
    return main.run(["fail", *options])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (MQError("the broker refused"), 1),
        (RouteNotFoundError("no such topic"), 1),
        (LaunchError("no cluster runs here"), 1),
        (CommandError("not found"), 1),
        (ConfigError("contradiction"), 2),
        (CommandError("no endpoints", code=failures.USAGE), 2),
        (UnreachableError("127.0.0.1:1 cannot be reached"), 3),
        (TimeoutError(), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException | None, code: int
) -> None:
    assert _run(monkeypatch, error) == code


def test_a_usage_error_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["up", "--no-such-option"]) == 2
    assert "No such option" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (["consume", "-n"], "ternmq consume"),
        (["topic", "create", "t", "--queues"], "ternmq topic create"),
        (["consume"], "ternmq consume"),
        (["topic", "nothing"], "ternmq topic"),
    ],
)
def test_a_usage_error_names_the_help_of_its_own_command(
    line: list[str], path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(line) == 2
    assert capsys.readouterr().err.endswith(f"  try: `{path} --help`\n")


@pytest.mark.parametrize(
    ("address", "tried"),
    [
        ("127.0.0.1:9876", "see what runs with `ternmq ps`"),
        ("[::1]:9876;localhost:9877", "see what runs with `ternmq ps`"),
        ("10.0.0.1:9876", "see whether these addresses are right"),
        ("127.0.0.1:9876;n2:9876", "see whether these addresses are right"),
        (None, "see whether these addresses are right"),
    ],
)
def test_ps_is_the_next_thing_to_try_only_where_all_addresses_are_of_this_machine(
    address: str | None, tried: str
) -> None:
    hint = describe(UnreachableError("nobody answers", broker=address))[1]
    assert hint is not None
    assert hint.startswith(tried)


def test_what_the_system_refuses_is_said_with_its_file_and_without_its_number() -> None:
    error = FileNotFoundError(2, "No such file or directory", "/proc/nope")
    assert describe(error)[0] == "/proc/nope: No such file or directory"


def test_an_unknown_command_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["no-such-command"]) == 2
    assert "no-such-command" in capsys.readouterr().err


def test_a_failure_is_one_sentence_and_the_next_thing_to_try(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(monkeypatch, LaunchError("no cluster runs in here", "start one with `ternmq up`"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: no cluster runs in here\n  try: start one with `ternmq up`\n"


def test_a_traceback_is_shown_with_debug_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(monkeypatch, MQError("refused"))
    assert "Traceback" not in capsys.readouterr().err
    _run(monkeypatch, MQError("refused"), "--debug")
    captured = capsys.readouterr().err
    assert "Traceback" in captured
    assert "error: refused" in captured


def test_a_mistake_of_ours_is_said_to_be_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(monkeypatch, KeyError("x")) == 1
    assert "mistake in ternmq: KeyError: 'x'" in capsys.readouterr().err


def test_a_group_of_one_error_is_that_error() -> None:
    group = BaseExceptionGroup("tasks", [ConfigError("contradiction")])
    assert describe(group)[2] == failures.USAGE


def test_an_error_of_the_system_names_the_file_and_no_number() -> None:
    assert describe(FileNotFoundError(2, "No such file or directory", "/nope"))[0] == "/nope: No such file or directory"
    assert describe(OSError(28, "No space left on device"))[0] == "No space left on device"
    assert describe(OSError("the tape is full"))[0] == "the tape is full"


def test_sentences_are_on_one_line() -> None:
    assert describe(MQError("first\n   second"))[0] == "first second"
