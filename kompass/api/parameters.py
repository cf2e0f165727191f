"""Parameters of a query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.requests import Request
from starlette.responses import Response

from kompass.api.problems import Problem

MOST_POSITION = 10**15
"""Of what is numbered in its order: entries, tickets, pages."""


Handler = Callable[[Request], Awaitable[Response]]


def taking(known: Collection[str], handler: Handler) -> Handler:
    """The handler, of which nobody asks with other parameters than these: that is answered 400. Whoever
    misspells the name of a trial must not have it done.
    """

    async def asked(request: Request) -> Response:
        for name in request.query_params:
            if name in known:
                continue
            if not known:
                raise Problem(400, f"There is no parameter {name[:50]}; this address takes none.")
            raise Problem(400, f"There is no parameter {name[:50]}; there are: {', '.join(known)}.")
        return await handler(request)

    return asked


def number(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from `least` to `most`. Raises 400 for anything else."""
    given = number_or_none(request, name, least, most)
    return default if given is None else given


def number_or_none(request: Request, name: str, least: int, most: int) -> int | None:
    """The same; None if there is no such parameter."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise Problem(400, f"{name} must be a number from {least} to {most}.")
    return int(text)


def flag(request: Request, name: str) -> bool | None:
    """True or false; None if there is no such parameter. Raises 400 for anything else."""
    if len(request.query_params.getlist(name)) > 1:
        raise Problem(400, f"Give {name} once.")
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        raise Problem(400, f"{name} must be true or false.")
    return None if text is None else text == "true"
