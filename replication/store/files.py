"""Small files of a data directory: there whole or not at all, also after a loss of power."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

PRIVATE = 0o600
"""For the owner's eyes only."""
_SETTINGS = "settings.json"


def replace_file(path: Path, content: bytes, *, mode: int = PRIVATE) -> None:
    """Writes a file anew; durable when it returns. Who reads it meanwhile has the old one or the new one.

    One process at a time. Raises `OSError`, and then the old one is there still.
    """
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)  # one that was left behind may have another owner, or other rights
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes it durable which files there are."""
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def identity(path: Path) -> dict[str, str]:
    """The name and the secret of the server, made when there are none."""
    if path.exists():
        known: dict[str, str] = json.loads(path.read_text("ascii"))
        return known
    made = {"uuid": secrets.token_hex(16), "secret": secrets.token_hex(32)}
    replace_file(path, json.dumps(made).encode("ascii"))
    return made


def kept_settings(directory: Path) -> bytes:
    """See `Store.settings`."""
    path = directory / _SETTINGS
    return path.read_bytes() if path.exists() else b"{}"


def change_settings(directory: Path, change: Callable[[bytes], bytes]) -> bytes:
    """See `Store.change_settings`; called by one at a time."""
    changed = change(kept_settings(directory))
    replace_file(directory / _SETTINGS, changed)
    return changed
