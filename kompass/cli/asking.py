"""Asking a running server, as a person with name and password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from kompass.cli.errors import UsableError

if TYPE_CHECKING:
    from kompass.client import Client


@contextmanager
def asking(server: str, name: str | None, password: str | None) -> Iterator[Client]:
    """A client of the server. It is patient: some answers take minutes.

    Raises `UsableError` if nobody is named, if the server can't be reached, and with the reason of a refusal.
    Asks for the password at the terminal unless it is given.
    """
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.client import Client, ClientError

    if name is None:
        raise UsableError("say who asks: --user NAME, or KOMPASS_USER")
    if password is None:
        password = typer.prompt(f"Password of {name}", hide_input=True)
    try:
        with Client(server, user=name, password=str(password), timeout=600) as client:
            yield client
    except ClientError as error:
        raise UsableError(str(error)) from None
