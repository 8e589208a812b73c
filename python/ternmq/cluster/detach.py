"""A supervisor in the background: the command that starts one, and the process that is one.

The two share a pipe until the cluster is ready. The new process writes JSON lines to it: ``{"progress": "…"}``, then
``{"ready": [items of ps]}`` or ``{"failed": "…", "hint": "…", "class": "LaunchError"}``. If the pipe breaks, the
command that started it has gone, and it stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ternmq.cluster import requests
from ternmq.cluster.blueprint import check_fits
from ternmq.cluster.control import Items, ask
from ternmq.cluster.launch import LaunchOptions, run_until_stopped
from ternmq.cluster.layout import DataDir
from ternmq.cluster.locking import is_locked
from ternmq.cluster.supervisor import READY_WITHIN_S, Report, Supervisor
from ternmq.config import load_topology
from ternmq.errors import AlreadyRunningError, ConfigError, LaunchError, NotRunningError

SUPERVISOR = "supervisor"
_LOOK_EVERY_S = 0.1


def start_or_join(data: DataDir, options: LaunchOptions, report: Report) -> tuple[Items, str]:
    """Start a supervisor in the background, or take the one that lives in the folder already.

    Args:
        data: the cluster's folder.
        options: what a person chose; where they ask for another layout than runs there, that is refused.
        report: receives progress.

    Returns:
        The items of ``ps``, and ``runs`` or ``runs already``.

    Raises:
        LaunchError: it could not be started, or what lives there does not become ready.
        ConfigError: the folder's topology cannot be used.
    """
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            if not is_locked(data):
                return start_detached(data, options, report), "runs"
            # While it starts nobody listens at its socket yet; while it stops nobody does any more.
            items = ask(data.control, {"command": requests.PS}, report=report)
        except (AlreadyRunningError, NotRunningError):
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_EVERY_S)
            continue
        check_fits(data, load_topology(data.topology), options.layout)
        return items, "runs already"


def start_detached(data: DataDir, options: LaunchOptions, report: Report) -> Items:
    """Start a supervisor in the background and wait until its cluster is ready.

    Args:
        data: the cluster's folder.
        options: what a person chose.
        report: receives progress.

    Returns:
        The items of ``ps``.

    Raises:
        LaunchError: it could not be started; nothing runs then.
        ConfigError: the folder's topology cannot be used.
    """
    data.create()
    reading, writing = os.pipe()
    with data.log(SUPERVISOR).open("ab") as log, os.fdopen(reading, "rb") as lines:
        child = subprocess.Popen(
            _command(data, options, writing),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        try:
            for raw in lines:
                line = json.loads(raw)
                if "ready" in line:
                    ready: Items = line["ready"]
                    return ready
                if "failed" in line:
                    child.wait()
                    raise _failure(line)
                report(str(line["progress"]))
        except KeyboardInterrupt:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise
    child.wait()
    raise LaunchError("the supervisor ended while it started", f"read {data.log(SUPERVISOR)}")


def _failure(line: dict[str, Any]) -> ConfigError | LaunchError:
    """Raise here what was raised there."""
    match line["class"]:
        case ConfigError.__name__:
            return ConfigError(line["failed"])
        case AlreadyRunningError.__name__:
            return AlreadyRunningError(line["failed"], line["hint"])
        case _:
            return LaunchError(line["failed"], line["hint"])


def _command(data: DataDir, options: LaunchOptions, report_fd: int) -> list[str]:
    command = [sys.executable, "-m", "ternmq.cli.main", "supervise"]
    command += ["--data", str(data.root), "--report-fd", str(report_fd)]
    for name, value in asdict(options.layout).items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command if options.restart else [*command, "--no-restart"]


class _ReportPipe:
    """The background process's end of the pipe; every line also goes to its log."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def progress(self, text: str) -> None:
        self.log(text)
        self.write({"progress": text})

    def log(self, text: str) -> None:
        sys.stdout.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}\n")
        sys.stdout.flush()

    def write(self, line: dict[str, Any]) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        except BrokenPipeError:
            self.close()
            os.kill(os.getpid(), signal.SIGTERM)

    def close(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None


def run_detached(data: DataDir, options: LaunchOptions, report_fd: int) -> None:
    """Be the supervisor in the background; returns after its last node has stopped.

    Args:
        data: the cluster's folder.
        options: what a person chose.
        report_fd: descriptor of the pipe to the process that started this one.
    """
    pipe = _ReportPipe(report_fd)

    async def on_ready(supervisor: Supervisor) -> None:
        pipe.write({"ready": await supervisor.ps()})
        pipe.close()

    try:
        asyncio.run(run_until_stopped(data, options, pipe.progress, on_ready))
    except (LaunchError, ConfigError) as error:
        pipe.log(f"error: {error}")
        hint = getattr(error, "hint", None)
        pipe.write({"failed": str(error), "hint": hint, "class": type(error).__name__})
    finally:
        pipe.close()
