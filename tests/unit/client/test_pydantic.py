"""Pydantic's models as payloads."""

import dataclasses
from typing import Any

import pytest

pydantic = pytest.importorskip("pydantic")

from support.memory.client import cluster_with_topic, connect  # noqa: E402
from support.memory.virtual_time import run  # noqa: E402
from ternmq.client.codecs import JSON  # noqa: E402
from ternmq.errors import CodecError, ConfigError  # noqa: E402


class Order(pydantic.BaseModel):  # type: ignore[name-defined, misc]
    number: int
    customer: str = pydantic.Field(default="", alias="customerName")


@dataclasses.dataclass
class Basket:
    orders: list[Order]


ONE = Order(number=1, customerName="Ada")


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Order, ONE), (list[Order], [ONE]), (dict[str, Order], {"a": ONE}), (Order | None, None), (Order | None, ONE),
        (Order | int, 5), (Basket, Basket([ONE])),
    ],
)  # fmt: skip
def test_a_model_comes_back_as_it_was_sent(kind: Any, value: Any) -> None:
    async def scenario() -> None:
        codec = JSON(kind)
        async with (
            connect(cluster_with_topic()) as mq,
            mq.producer("p", codec=codec) as out,
            mq.consumer("g", "t", codec=codec, start="earliest") as inbox,
        ):
            await out.send("t", value)
            async with await anext(inbox) as message:
                assert message.value == value

    run(scenario())


def test_a_model_is_written_by_its_aliases_as_other_programs_read_it() -> None:
    assert JSON(Order).encode(ONE) == b'{"number":1,"customerName":"Ada"}'


def test_what_is_no_such_model_is_neither_sent_nor_read() -> None:
    async def scenario() -> None:
        async with (
            connect(cluster_with_topic()) as mq,
            mq.producer("p", codec=JSON(Order)) as out,
            mq.producer("q") as plain,
            mq.consumer("g", "t", codec=JSON(Order), start="earliest") as inbox,
        ):
            with pytest.raises(CodecError, match="does not encode"):
                await out.send("t", {"number": 1})  # type: ignore[arg-type]
            await plain.send("t", b'{"number": "many"}')
            message = await anext(inbox)
            with pytest.raises(CodecError, match="number"):
                _ = message.value
            await message.ack()

    run(scenario())


def test_a_model_that_pydantic_cannot_read_is_refused_when_the_codec_is_made() -> None:
    class Unready(pydantic.BaseModel):  # type: ignore[name-defined, misc]
        other: "Nowhere"  # type: ignore[name-defined] # noqa: F821

    with pytest.raises(ConfigError, match="Unready"):
        JSON(Unready)
