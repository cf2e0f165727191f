"""Who asked for what a transaction writes. A job of the store runs in the context of whoever handed it in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kompass.access.principals import Principal

_acting: ContextVar[Principal | None] = ContextVar("acting", default=None)


@contextmanager
def acting(principal: Principal) -> Iterator[None]:
    """What is handed in meanwhile is something that a person does, and no import."""
    token = _acting.set(principal)
    try:
        yield
    finally:
        _acting.reset(token)


def who_acts() -> Principal | None:
    """None for what comes past the gate: an import, a replication of an administrator, the server's own
    work.
    """
    return _acting.get()
