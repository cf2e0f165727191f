"""Settings that were changed while the server ran.

They count until they are taken back, over restarts too, whatever the server is started with.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

from replication.http.config import ServerConfig
from replication.http.config_keys import configured
from replication.protocol import errors
from replication.store.interface import Store

log = logging.getLogger("replication.http")


class ChangedSettings:
    """The changes by name (`cors/origins`), some of which last only until the server ends."""

    def __init__(
        self, store: Store, start: ServerConfig, reconfigure: Callable[[ServerConfig], None]
    ) -> None:
        """`reconfigure` is called with what counts from now on."""
        self._store = store
        self._start = start
        self._reconfigure = reconfigure
        self._changing = asyncio.Lock()
        self._now: dict[str, str] = {}

    async def load(self) -> None:
        """Goes back to the changes that were kept. One that can't be any more is left out, with a warning."""
        self._now = self._read(await self._store.settings())
        self._reconfigure(configured(self._start, self._now))

    def _read(self, stored: bytes) -> dict[str, str]:
        kept = _read(stored)
        for name, text in list(kept.items()):
            try:
                configured(self._start, {name: text})
            except ValueError as error:
                log.warning("A setting that was kept does not count: %s", error)
                del kept[name]
        return kept

    async def change(self, name: str, text: str | None, *, keep: bool = True) -> None:
        """Sets one, or takes the change back with None. Raises ValueError for a text that can't be."""
        async with self._changing:
            now = _with(self._now, name, text)
            config = configured(self._start, now)
            if keep:
                # Onto what there is, which another process may have changed.
                await self._store.change_settings(
                    lambda kept: json.dumps(_with(self._read(kept), name, text)).encode("ascii")
                )
            self._now = now
            self._reconfigure(config)


def _read(stored: bytes) -> dict[str, str]:
    try:
        kept = json.loads(stored)
    except ValueError:
        kept = None
    if not isinstance(kept, dict) or not all(isinstance(text, str) for text in kept.values()):
        raise errors.internal(
            "The settings that were changed at run time can't be read (settings.json in the data directory):"
            " remove the file to go on without them."
        )
    return kept


def _with(changes: Mapping[str, str], name: str, text: str | None) -> dict[str, str]:
    others = {key: value for key, value in changes.items() if key != name}
    return others if text is None else {**others, name: text}
