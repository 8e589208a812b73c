"""How a command fails: one sentence, the next thing to try, and an exit code that scripts can rely on."""

from __future__ import annotations

import os
import sys
import traceback

OK = 0
NEGATIVE = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130


def signalled(number: int) -> int:
    """Give the exit code of a command that has drained at a signal: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number


class CommandError(Exception):
    """A command cannot go on.

    Args:
        sentence: what is wrong, as one sentence.
        hint: the next thing to try.
        code: the exit code, one of those above.
    """

    def __init__(self, sentence: str, hint: str | None = None, *, code: int = NEGATIVE) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.code = code


def describe(error: BaseException) -> tuple[str, str | None, int]:
    """Turn an exception into a sentence, a hint and an exit code.

    Raises:
        BaseException: the one given, when it is a programming error that no sentence can explain.
    """
    from ternmq import errors

    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return describe(error.exceptions[0])
    if isinstance(error, CommandError):
        return error.sentence, error.hint, error.code
    if isinstance(error, errors.ConfigError):
        return _sentence(error), getattr(error, "hint", None), USAGE
    if isinstance(error, errors.UnreachableError | errors.SendTimeoutError):
        return _sentence(error), _unreachable_hint(error.broker), UNREACHABLE
    if isinstance(error, errors.MQError):
        return _sentence(error), getattr(error, "hint", None), NEGATIVE
    if isinstance(error, TimeoutError):
        return _sentence(error) or "no answer in time", "see what runs with `ternmq ps`", UNREACHABLE
    if isinstance(error, OSError):
        return _of_system(error), None, NEGATIVE
    raise error


def report(error: BaseException, *, debug: bool) -> int:
    """Print an error on stderr and return the exit code; a programming error keeps its traceback."""
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if debug:
        traceback.print_exception(error)
    try:
        sentence, hint, code = describe(error)
    except BaseException:
        sentence = f"this is a mistake in ternmq: {type(error).__name__}: {error}"
        hint, code = "run it again with --debug and report what it prints", NEGATIVE
    print(f"error: {sentence}", file=sys.stderr)
    if hint:
        print(f"  try: {hint}", file=sys.stderr)
    return code


def forget_broken_pipe() -> int:
    """End quietly when the reader of our output has gone, as in ``ternmq consume … | head``."""
    # Python flushes stdout once more at exit and would complain there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NEGATIVE


def _of_system(error: OSError) -> str:
    """Write what the system refused without its number: ``/no/such/file: No such file or directory``."""
    if error.strerror is None:
        return _sentence(error)
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' to '.join(names)}: {error.strerror}" if names else error.strerror


def _unreachable_hint(addresses: str | None) -> str:
    """What to try when nobody answers at these addresses, separated by semicolons: `ps` sees this machine only."""
    from ternmq.config.addresses import is_loopback

    hosts = [address.rpartition(":")[0].strip("[]") for address in (addresses or "").split(";")]
    if all(is_loopback(host) for host in hosts):
        return "see what runs with `ternmq ps`, or give other addresses with --endpoints"
    return "see whether these addresses are right and open to this machine, or give others with --endpoints"


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())
