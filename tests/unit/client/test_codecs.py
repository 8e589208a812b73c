"""Payloads: JSON of what msgspec knows, of pydantic's models, and refused when neither can ever read it."""

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from support.memory.client import cluster_with_topic, connect
from support.memory.virtual_time import run
from ternmq.client.codecs import JSON
from ternmq.errors import CodecError, ConfigError


class Stranger:
    """Nothing knows how to write it."""


@dataclasses.dataclass
class Holder:
    name: str
    strangers: list[Stranger]


@dataclasses.dataclass
class Tree:
    name: str
    children: list["Tree"]


@pytest.mark.parametrize(
    "kind", [Stranger, list[Stranger], Stranger | None, dict[str, Holder], Stranger | int, complex]
)
def test_a_type_that_can_never_decode_is_refused_when_the_codec_is_made(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"Stranger|complex"):
        JSON(kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(Tree, Tree("a", [Tree("b", [])])), (dict[str, int], {"a": 1}), (int | None, None), (Any, [1]), (set[int], {2})],
)
def test_what_msgspec_knows_comes_back_as_it_was(kind: Any, value: Any) -> None:
    codec = JSON(kind)
    assert codec.decode(codec.encode(value)) == value


def test_neither_the_import_nor_a_codec_loads_pydantic() -> None:
    program = "import sys, ternmq; ternmq.connect; ternmq.JSON(dict[str, int]); assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_value_is_decoded_once_and_keeps_what_is_changed_in_it() -> None:
    decoded = []

    class Counting(JSON[dict[str, int]]):
        def decode(self, body: bytes, /) -> dict[str, int]:
            decoded.append(body)
            return super().decode(body)

    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with (
            connect(cluster) as mq,
            mq.producer("p", codec=JSON(dict[str, int])) as out,
            mq.consumer("g", "t", codec=Counting(dict[str, int]), start="earliest") as inbox,
        ):
            await out.send("t", {"a": 1})
            message = await anext(inbox)
            assert decoded == [], "only for who asks"
            message.value["a"] = 2
            assert message.value is message.value
            assert message.value == {"a": 2}
            assert len(decoded) == 1
            await message.nack()
            assert (await anext(inbox)).value == {"a": 1}, "who handles it anew gets it as it was sent"

    run(scenario())


def test_a_value_that_does_not_decode_says_so_at_each_access() -> None:
    async def scenario() -> None:
        cluster = cluster_with_topic()
        async with connect(cluster) as mq, mq.consumer("g", "t", codec=JSON(int), start="earliest") as inbox:
            async with mq.producer("p") as out:
                await out.send("t", b"no number")
            message = await anext(inbox)
            for _ in range(2):
                with pytest.raises(CodecError):
                    _ = message.value
            await message.ack()

    run(scenario())
