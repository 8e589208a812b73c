"""Apache's own mqadmin, unmodified, one command a process."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import maven

_PROJECT = Path(__file__).parent / "apache-tools"
_MAIN = "org.apache.rocketmq.tools.command.MQAdminStartup"
COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Shown:
    """What a command left behind. Its exit code is 0 also when it failed: then there is a stack trace."""

    exit: int
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
        self._command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}",
            f"-Drocketmq.home.dir={home}", "-cp", maven.classpath(maven.build(_PROJECT)), _MAIN,
        ]  # fmt: skip

    def run(self, command: str, nameservers: str, *options: str) -> Shown:
        """Run one command to its end.

        Args:
            command: name of the sub-command.
            nameservers: where it looks for brokers.
            options: its further options.
        """
        done = subprocess.run(
            [*self._command, command, "-n", nameservers, *options],
            capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return Shown(done.returncode, done.stdout, done.stderr)
