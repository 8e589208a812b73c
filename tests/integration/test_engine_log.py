"""What the engine has to say goes through Python's logging, and nothing past it: standard error is a pipe here."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.ports import free_block
from support.processes import wait_for
from support.tern import PROGRAM
from ternmq.config import Topology, dump_topology, generate_topology

SECONDS = 30
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) (ternmq\S*) .+")
"""A line of a server's log, as its command line sets it up."""

# What the engine prints by itself would stand on standard error, whatever these do with records.
JSON_LOG = """
import json, logging, sys
class ToFile(logging.Handler):
    def emit(self, record):
        row = {"name": record.name, "level": record.levelname, "text": record.getMessage()}
        with open(sys.argv[2], "a") as file:
            file.write(json.dumps(row) + "\\n")
logging.basicConfig(level=logging.DEBUG, handlers=[ToFile()])
logging.getLogger("asyncio").setLevel(logging.WARNING)
"""
NO_LAST_RESORT = """
import logging
logging.lastResort, logging.raiseExceptions = None, False  # else it says that there is no handler
"""
ASK = """
import asyncio, sys, ternmq
async def main():
    async with ternmq.connect(sys.argv[1], timeout=0.5) as mq:
        try:
            await mq.admin.topics()
        except ternmq.UnreachableError:
            pass
asyncio.run(main())
"""
CALL = """
import asyncio, sys, ternmq
from ternmq.remoting import open_endpoint
async def main():
    endpoint = open_endpoint()
    try:
        await endpoint.call(sys.argv[1], 105)
    except ternmq.MQError as error:
        print(type(error).__name__, error)
    await endpoint.close()
asyncio.run(main())
"""
ASK_AND_LEAVE_OPEN = """
import asyncio, sys, ternmq
async def main():
    mq = await ternmq.connect(sys.argv[1], timeout=0.1).open()
    for _ in range(3):
        try:
            await mq.admin.topics()
        except ternmq.UnreachableError:
            pass
    for _ in range(20):
        mq.parts().endpoint.oneway(sys.argv[1], 105)
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""
ASK_AND_FORK = (
    ASK
    + """
import os
sys.stdout.flush()
child = os.fork()
if child == 0:
    sys.argv[2] += ".child"
    for _ in range(4):  # for longer than the second in which the parent said the same
        asyncio.run(main())
    sys.exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)
PANIC = """
import asyncio
from ternmq import _core
from ternmq.remoting import open_endpoint
async def main():
    endpoint = open_endpoint()
    try:
        _core.Endpoint(workers=1 << 60)
    except BaseException as error:
        print(type(error).__name__)
    await endpoint.close()
asyncio.run(main())
"""


@pytest.fixture
def web_server() -> Iterator[str]:
    """What answers everybody as a web server does, and closes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def _python(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False, timeout=SECONDS
    )


def _records(log: Path, name: str) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [row for row in rows if row["name"] == name]


def test_what_a_client_says_of_a_peer_is_a_record_and_nothing_on_standard_error(
    web_server: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    done = _python(JSON_LOG + ASK, web_server, log)
    assert (done.returncode, done.stderr) == (0, "")
    first = _records(log, "ternmq.net")[0]
    assert first["level"] == "WARNING"
    assert first["text"] == (
        f"bad frame from a server, connection closed: {web_server}: "
        'no frame of this protocol: it begins with "HTTP", so the peer speaks HTTP'
    )


@pytest.mark.xfail(strict=True, reason="known defect: only the log names the protocol of a peer that is none of ours")
def test_an_error_names_the_protocol_of_a_peer_that_is_none_of_ours(web_server: str) -> None:
    done = _python(CALL, web_server)
    assert done.stdout.startswith("ConnectionLostError")
    assert "HTTP" in done.stdout


def test_without_a_handler_only_the_last_resort_of_logging_writes(web_server: str) -> None:
    silent = _python(NO_LAST_RESORT + ASK, web_server)
    assert (silent.returncode, silent.stderr) == (0, "")
    spoken = _python(ASK, web_server)
    assert spoken.returncode == 0
    assert spoken.stderr.startswith("bad frame from a server, connection closed")  # as any warning of any library


def test_a_program_that_leaves_its_client_open_ends_cleanly_while_the_engine_speaks(
    web_server: str, tmp_path: Path
) -> None:
    for number in range(5):
        log = tmp_path / f"{number}.jsonl"
        done = _python(JSON_LOG + ASK_AND_LEAVE_OPEN, web_server, log)
        assert (done.returncode, done.stderr) == (0, "")
        assert _records(log, "ternmq.net")


def test_a_child_process_logs_what_its_own_client_says(web_server: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = _python(JSON_LOG + ASK_AND_FORK, web_server, log)
    assert (done.returncode, done.stderr) == (0, "")
    for file in (log, tmp_path / "log.jsonl.child"):
        assert "bad frame from a server" in _records(file, "ternmq.net")[0]["text"]


def test_a_panic_of_the_engine_is_a_critical_record(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    done = _python(JSON_LOG + PANIC, "-", log)
    assert (done.returncode, done.stdout, done.stderr) == (0, "PanicException\n", "")
    (record,) = [row for name in ("ternmq.net", "ternmq.broker") for row in _records(log, name)]
    assert record["level"] == "CRITICAL"
    assert " panicked at " in record["text"]
    assert "a mistake in ternmq: capacity overflow" in record["text"]


def test_every_line_of_a_nameserver_is_a_line_of_its_log(tmp_path: Path) -> None:
    topology = _topology(tmp_path)
    lines = _speak_to("namesrv", "ns1", topology.nameserver[0].listen, tmp_path)
    said = [line for line in lines if " ternmq.net " in line]
    assert " WARNING ternmq.net bad frame, connection closed: 127.0.0.1:" in said[0]
    assert said[0].endswith('it begins with "GET ", so the peer speaks HTTP')
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def test_every_line_of_a_broker_is_a_line_of_its_log_from_its_start_on(tmp_path: Path) -> None:
    topology = _topology(tmp_path)
    member = topology.group[0].members[0]
    views = tmp_path / "data" / "group-a" / "n0" / "views"
    views.parent.mkdir(parents=True)
    views.write_text("a file where the replica wants a folder: it says so before it serves")
    lines = _speak_to("broker", "group-a/n0", f"127.0.0.1:{member.port}", tmp_path)
    assert [line for line in lines if " WARNING ternmq.broker " in line and str(views) in line], lines
    assert [line for line in lines if " WARNING ternmq.net bad frame" in line], lines
    assert [line for line in lines if not LINE.fullmatch(line)] == []


def _topology(directory: Path) -> Topology:
    topology = generate_topology(directory, groups=1, replicas=1, nameservers=1, base_port=free_block(60))
    (directory / "topology.toml").write_text(dump_topology(topology))
    return topology


def _speak_to(kind: str, node: str, address: str, directory: Path) -> list[str]:
    """Speak HTTP to a server, stop it, and give what it wrote to standard error."""
    errors = directory / "errors"
    command = [str(PROGRAM), "run", kind, "--topology", str(directory / "topology.toml"), "--node", node]
    with errors.open("wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    host, _, port = address.rpartition(":")

    def is_closed() -> bool:
        assert server.poll() is None, errors.read_text()
        try:
            with socket.create_connection((host, int(port)), timeout=1) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return connection.recv(1) == b""
        except OSError:
            return False

    try:
        wait_for(is_closed, SECONDS, "the server to close a connection of HTTP")
        server.send_signal(signal.SIGTERM)
        assert server.wait(SECONDS) == 0
    finally:
        server.kill()
        server.wait()
    return errors.read_text().splitlines()
