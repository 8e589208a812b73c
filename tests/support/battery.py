"""Runs the Java battery: the official client, unmodified, one scenario a process."""

import base64
import json
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any

from support import maven

PROJECT = Path(__file__).parents[1] / "conformance" / "java"
SCENARIO_SECONDS = 90

Line = dict[str, Any]


class Battery:
    """The built battery.

    Args:
        home: folder for the client's own log files, which it writes below `user.home`.
        headers: `JSON` or `ROCKETMQ`, the header form that the client sends.
    """

    def __init__(self, home: Path, headers: str = "JSON") -> None:
        self._command = [
            "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={home}",
            f"-Drocketmq.serialize.type={headers}", "-cp", maven.classpath(maven.build(PROJECT)),
            "ternmq.battery.Battery",
        ]  # fmt: skip

    def run(self, nameservers: str, scenario: str, topic: str, *arguments: object) -> list[Line]:
        """Run one scenario to its end and return its lines.

        Raises:
            AssertionError: the scenario did not reach its end; carries what the client said.
        """
        command = [*self._command, nameservers, scenario, topic, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SCENARIO_SECONDS)
        lines = [parse(line) for line in done.stdout.splitlines()]
        said = f"{scenario} ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == 0, said
        assert lines[-1]["event"] == "done", said
        return lines

    def start(self, nameservers: str, topic: str) -> "LongProducer":
        """Start the producer that sends until it is told to stop."""
        return LongProducer([*self._command, nameservers, "long-producer", topic])


class LongProducer:
    """A running producer; its lines are collected as they come."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._incoming: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._lines: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[Line]:
        """All lines so far."""
        while not self._incoming.empty():
            self._lines.append(self._incoming.get())
        return self._lines

    def acknowledged(self) -> int:
        """How many sends have been acknowledged so far."""
        return sum(line["event"] == "sent" for line in self.lines())

    def stop(self, within: float = 30.0) -> list[Line]:
        """Tell it to stop, wait for its end, return all lines."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(within)
        self._reader.join(within)
        return self.lines()

    def end(self) -> None:
        """Make sure that it does not outlive the test."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._incoming.put(parse(line))


def parse(text: str) -> Line:
    """One line of the battery, with bodies as bytes."""
    line: Line = json.loads(text)
    for side in ("in", "out"):
        if side in line:
            line[side]["body"] = base64.b64decode(line[side]["body"])
    return line


def events(lines: list[Line], name: str) -> list[Line]:
    """The lines of one kind, in order."""
    return [line for line in lines if line["event"] == name]
