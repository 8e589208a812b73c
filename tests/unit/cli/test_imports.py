"""Help must be fast: what a command needs is imported when it runs, not when it is described."""

import subprocess
import sys

import pytest

from ternmq.cli.main import COMMANDS

HEAVY = {
    "asyncio", "msgspec", "psutil", "multiprocessing", "ssl", "http", "tomllib", "subprocess",
    "starlette", "uvicorn", "jinja2", "sse_starlette", "textual", "plotext",
    "ternmq._core", "ternmq.client", "ternmq.remoting", "ternmq.protocol", "ternmq.config", "ternmq.admin",
    "ternmq.broker", "ternmq.namesrv", "ternmq.cluster",
}  # fmt: skip


def _imported(*arguments: str) -> tuple[int, set[str]]:
    program = (
        "import sys\n"
        "from ternmq.cli.main import run\n"
        f"code = run({list(arguments)!r})\n"
        "print('\\n' + ' '.join([str(code), *sorted(sys.modules)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    return int(code), set(modules)


@pytest.mark.parametrize(
    "arguments", [["topic", "list", "--help"], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
)
def test_help_loads_neither_engine_nor_client_nor_servers(arguments: list[str]) -> None:
    code, modules = _imported(*arguments)
    assert code == 0
    assert HEAVY & modules == set()


def test_the_check_sees_a_heavy_import() -> None:
    code, modules = _imported("ps", "--data", "/nonexistent")
    assert code == 1
    assert {"asyncio", "ternmq.cluster"} <= modules
