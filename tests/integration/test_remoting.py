"""Two endpoints of the engine talk over loopback."""

import asyncio

import pytest

from ternmq.errors import CallTimeoutError, ConnectionLostError, UnreachableError
from ternmq.remoting import Reply, Request, open_endpoint


async def _echo(request: Request) -> Reply:
    return Reply(7, "echo", request.fields, request.body)


def test_fields_body_code_and_remark_go_there_and_back() -> None:
    async def scenario() -> None:
        server, client = open_endpoint(), open_endpoint()
        port = server.serve("127.0.0.1", 0, {28: _echo})
        fields, body = {"name": "Größe", "empty": "", "n": "1"}, bytes(range(256)) * 1000
        answers = await asyncio.gather(*(client.call(f"127.0.0.1:{port}", 28, fields, body) for _ in range(50)))
        assert all(answer[:4] == (7, 513, "echo", fields) and answer.body == body for answer in answers)
        await client.close()
        await server.close()

    asyncio.run(scenario())


def test_nobody_listens_or_answers_or_stays() -> None:
    async def scenario() -> None:
        server, client = open_endpoint(), open_endpoint()
        gate = asyncio.Event()

        async def hold(_: Request) -> Reply:
            await gate.wait()
            return Reply()

        port = server.serve("127.0.0.1", 0, {28: hold})
        address = f"127.0.0.1:{port}"
        with pytest.raises(CallTimeoutError):
            await client.call(address, 28, timeout=0.05)
        lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        client.on_disconnected(lost.set_result)
        call = asyncio.ensure_future(client.call(address, 28, timeout=10))
        await asyncio.sleep(0)
        await client.call(address, 99)  # answered, so the other one has arrived too
        await server.close()
        with pytest.raises(ConnectionLostError):
            await call
        assert await asyncio.wait_for(lost, 5) == address
        with pytest.raises(UnreachableError):
            await client.call(address, 28)
        await client.close()

    asyncio.run(scenario())
