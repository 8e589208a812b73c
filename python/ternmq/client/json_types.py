"""What reads and writes a type as JSON: msgspec the types it knows, pydantic its models; other types are refused.

Both are imported only when a codec is made, and pydantic only if the program has imported it already: no model exists
before that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

from ternmq.errors import ConfigError


class JsonFunctions(NamedTuple):
    """The two ways.

    Args:
        encode: payload to body.
        decode: body to payload.
    """

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def json_functions(kind: Any) -> JsonFunctions:
    """Make the functions for a type.

    Raises:
        ConfigError: neither msgspec nor an installed pydantic can read it.
    """
    import msgspec

    problem = ""
    try:
        strangers = list(_strangers(msgspec.inspect.type_info(kind)))
    except Exception as error:
        strangers, problem = list(_classes(kind)), f": {error}"
    if any(_is_pydantic(stranger) for stranger in strangers):
        return _of_pydantic(kind)
    if strangers and not problem:
        problem = f", as msgspec does not know {', '.join(sorted({_name(stranger) for stranger in strangers}))}"
    if problem:
        raise ConfigError(f"JSON cannot read {_name(kind)}{problem}; write a codec with encode() and decode()")
    return JsonFunctions(msgspec.json.Encoder().encode, msgspec.json.Decoder(kind).decode)


def _of_pydantic(kind: Any) -> JsonFunctions:
    pydantic: Any = sys.modules["pydantic"]
    try:
        adapter = pydantic.TypeAdapter(kind)
        if not getattr(adapter, "pydantic_complete", True):  # a model whose fields name what is not defined
            adapter.rebuild(raise_errors=True)
    except AttributeError as error:
        raise ConfigError(f"JSON reads {_name(kind)} by pydantic 2, but {pydantic.VERSION} is installed") from error
    except Exception as error:
        raise ConfigError(f"pydantic cannot read {_name(kind)}: {error}") from error
    # By alias, as bodies are read by alias; and what is not of this type is no payload.
    return JsonFunctions(lambda value: adapter.dump_json(value, by_alias=True, warnings="error"), adapter.validate_json)


def _is_pydantic(cls: Any) -> bool:
    model = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return model is not None and isinstance(cls, type) and issubclass(cls, model)


def _strangers(info: Any) -> Iterator[Any]:
    """Classes within msgspec's description of a type that it leaves to hooks, and we have none."""
    import msgspec

    seen: set[int] = set()
    waiting = [info]
    while waiting:
        part = waiting.pop()
        if isinstance(part, msgspec.inspect.CustomType):
            yield part.cls
        elif isinstance(part, tuple):
            waiting.extend(part)
        elif isinstance(part, msgspec.Struct) and id(part) not in seen:
            seen.add(id(part))
            if isinstance(part, msgspec.inspect.Type | msgspec.inspect.Field):
                waiting.extend(getattr(part, name) for name in part.__struct_fields__ if name != "cls")


def _classes(kind: Any) -> Iterator[type]:
    """Classes within a type that msgspec cannot describe, by its arguments alone."""
    arguments = get_args(kind)
    if not arguments and isinstance(kind, type):
        yield kind
    for argument in arguments:
        yield from _classes(argument)


def _name(kind: Any) -> str:
    return kind.__qualname__ if isinstance(kind, type) and not get_args(kind) else str(kind)
