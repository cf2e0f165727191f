"""Small files of a data directory: replaced whole, and durable when that returns."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path


def sync_directory(directory: Path) -> None:
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
    replace_text(path, json.dumps(made).encode("ascii"))
    return made


def replace_text(path: Path, text: bytes) -> None:
    """Writes a small file whole, durable when it returns, for its owner's eyes only."""
    draft = path.with_suffix(".new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)
