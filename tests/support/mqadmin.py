"""Apache's own mqadmin from Maven Central, unmodified: one command after another in one process."""

import base64
from dataclasses import dataclass
from pathlib import Path

from support import maven
from support.battery import Endless

_PROJECT = Path(__file__).parent / "apache-tools"
_MAIN = "ternmq.tools.Commands"
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """What a command wrote. One that failed has written a stack trace."""

    output: str
    errors: str

    @property
    def lines(self) -> list[str]:
        """Lines of the output, those that are not blank."""
        return [line.rstrip() for line in self.output.splitlines() if line.strip()]


class Mqadmin:
    """The tool.

    Args:
        home: folder for its own log files, which it writes below `user.home`, and for its configuration.
    """

    def __init__(self, home: Path) -> None:
        self._process = Endless([
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}",
            f"-Drocketmq.home.dir={home}", "-cp", maven.classpath(maven.build(_PROJECT)), _MAIN,
        ])  # fmt: skip

    def run(self, command: str, nameservers: str, *options: str) -> Shown:
        """Run one command to its end.

        Args:
            command: name of the sub-command.
            nameservers: where it looks for brokers.
            options: its further options.

        Raises:
            AssertionError: it has not ended in time, or has ended the process; carries what it said.
        """
        before = len(self._process.lines())
        self._process.tell("\t".join([command, "-n", nameservers, *options]))
        self._process.wait_until(lambda lines: len(lines) > before, COMMAND_SECONDS)
        answers = self._process.lines()[before:]
        assert answers, f"{command} has not ended: {self._process.said()}"
        return Shown(*(base64.b64decode(answers[0][name]).decode() for name in ("output", "errors")))

    def close(self) -> None:
        """End the process."""
        self._process.end()
