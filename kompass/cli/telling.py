"""How commands tell what they found."""

from __future__ import annotations

import json
from datetime import datetime

import typer


def tell_json(value: object) -> None:
    """For machines, and for people who look at it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def moment(seconds: float) -> str:
    """A time in seconds since 1970, as it is here."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")
