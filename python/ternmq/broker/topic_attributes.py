"""Topic attributes: `+key=value` sets, `-key` removes. Pure.

Source: RocketMQ 5.x, TopicAttributes and AttributeUtil. Values that would need features that are not there are refused.
"""

from ternmq.errors import AttributeRefusedError

_VALUES = {
    "message.type": frozenset({"UNSPECIFIED", "NORMAL", "FIFO", "DELAY", "TRANSACTION"}),
    "queue.type": frozenset({"SimpleCQ"}),
    "cleanup.policy": frozenset({"DELETE"}),
}
_CHANGEABLE = frozenset({"message.type"})


def apply_attributes(current: dict[str, str] | None, text: str) -> dict[str, str]:
    """Give the attributes of a topic after a request.

    Args:
        current: those that it has; None for a topic that is to be created.
        text: header field `attributes`.

    Raises:
        AttributeRefusedError: the text or one of its keys or values breaks a rule.
    """
    result = dict(current or {})
    seen: set[str] = set()
    for part in filter(None, (item.strip() for item in text.split(","))):
        sign, (key, _, value) = part[0], part[1:].partition("=")
        if sign not in "+-":
            raise AttributeRefusedError(f"attribute {part!r} begins with neither + nor -")
        _check_key(key, seen)
        seen.add(key)
        if current is None and sign == "-":
            raise AttributeRefusedError(f"only add attribute is supported while creating topic. key: {key}")
        if current is not None and key not in _CHANGEABLE and result.get(key) != value:
            raise AttributeRefusedError(f"attempt to update an unchangeable attribute. key: {key}")
        if sign == "-":
            if result.pop(key, None) is None:
                raise AttributeRefusedError(f"attempt to delete a nonexistent key: {key}")
        elif value not in _VALUES[key]:
            raise AttributeRefusedError(f"value {value!r} of {key} is not one of {', '.join(sorted(_VALUES[key]))}")
        else:
            result[key] = value
    return result


def _check_key(key: str, seen: set[str]) -> None:
    if not key or "+" in key or "-" in key:
        raise AttributeRefusedError(f"kv string format wrong: {key!r} is no key")
    if key in seen:
        raise AttributeRefusedError(f"key duplication. key: {key}")
    if key not in _VALUES:
        raise AttributeRefusedError(f"unsupported key: {key}")
