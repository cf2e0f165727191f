"""Where a value stands in a document: `deliveryAddress.street`, `lineItems[3].quantity`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


class _Absent:
    """The value of a member that isn't there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

Steps = tuple[Any, ...]
"""From the document inwards: names of members, and `(key, value)` for the object of a list that has it."""


def text_of(steps: Steps) -> str:
    """As people are shown it."""
    text = ""
    for step in steps:
        if isinstance(step, tuple):
            text += f"[{step[1]}]"
        else:
            text += f".{step}" if text else str(step)
    return text


def pattern_of(steps: Steps) -> str:
    """The same for any object of a list: `lineItems[].quantity`."""
    text = ""
    for step in steps:
        if isinstance(step, tuple):
            text += "[]"
        else:
            text += f".{step}" if text else str(step)
    return text


def value_at(body: Any, steps: Steps) -> Any:
    """`ABSENT` if there is none."""
    for step in steps:
        if isinstance(step, tuple):
            found = [one for one in body if _is(one, step)] if isinstance(body, list) else []
            body = found[0] if found else ABSENT
        else:
            body = body.get(step, ABSENT) if isinstance(body, Mapping) else ABSENT
        if body is ABSENT:
            return ABSENT
    return body


def changed_at(body: Any, steps: Steps, value: Any) -> Any:
    """A copy with another value there; `ABSENT` takes it away. Objects on the way are made."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, tuple):
        items = list(body) if isinstance(body, list) else []
        place = next((at for at, one in enumerate(items) if _is(one, step)), None)
        old = ABSENT if place is None else items[place]
        new = changed_at({step[0]: step[1]} if old is ABSENT and rest else old, rest, value)
        if place is None:
            return items if new is ABSENT else [*items, new]
        items[place : place + 1] = [] if new is ABSENT else [new]
        return items
    members = dict(body) if isinstance(body, Mapping) else {}
    new = changed_at(members.get(step, ABSENT), rest, value)
    if new is ABSENT:
        members.pop(step, None)
    else:
        members[step] = new
    return members


def _is(item: object, step: tuple[str, Any]) -> bool:
    return isinstance(item, Mapping) and step[0] in item and item[step[0]] == step[1]
