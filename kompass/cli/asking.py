"""Asking a running server, as a person with name and password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from kompass.cli.errors import UsableError

if TYPE_CHECKING:
    import httpx


@contextmanager
def asking(server: str, name: str | None, password: str | None) -> Iterator[httpx.Client]:
    """A client of the server's API; paths begin behind `/api/v1`. It is patient: some answers take minutes.

    Raises `UsableError` if nobody is named, and if the server can't be reached. Asks for the password at the
    terminal unless it is given.
    """
    # Imported here: `kompass --help` needn't wait for it.
    import httpx

    if name is None:
        raise UsableError("say who asks: --user NAME, or KOMPASS_USER")
    if password is None:
        password = typer.prompt(f"Password of {name}", hide_input=True)
    try:
        with httpx.Client(base_url=f"{server}/api/v1", auth=(name, str(password)), timeout=600) as client:
            yield client
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsableError(f"{server} can't be reached: {error}") from None


def answer(response: httpx.Response) -> Any:
    """What was answered, as JSON; None for an answer without a body. Raises `UsableError` with the reason of
    a refusal.
    """
    try:
        told = response.json() if response.content else None
    except ValueError:
        raise UsableError(f"{response.url} answers {response.status_code}, and not as KOMPASS does") from None
    if response.is_success:
        return told
    if not isinstance(told, dict):
        told = {}
    detail = told.get("detail") or told.get("reason") or f"the server answered {response.status_code}"
    errors = "".join(f"\n  {one['pointer']}: {one['detail']}" for one in told.get("errors", ()))
    raise UsableError(f"{detail}{errors}")
