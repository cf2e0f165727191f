"""Errors that a person at the command line can do something about."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from kompass.settings import Settings


class UsableError(Exception):
    """The text says what was wrong and what to do; no traceback is shown."""


def read_settings(**given: Any) -> Settings:
    """Settings with the command line's values on top; None means not given. Raises `UsableError`."""
    values = {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings(**values)
    except ValidationError as error:
        lines = [_line(dict(each)) for each in error.errors(include_url=False, include_input=False)]
        raise UsableError("\n       ".join(lines)) from error
    except (OSError, ValueError) as error:
        raise UsableError(str(error)) from error
    if settings.journal_dsn is not None and find_spec("psycopg") is None:
        raise UsableError("a cluster needs psycopg, which isn't installed: pip install 'kompass[cluster]'")
    return settings


def _line(error: dict[str, Any]) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return f"kompass.toml has {name!r}, which is no setting; docs/settings.md lists them"
    return f"{name} (KOMPASS_{name.upper()}): {message}"
