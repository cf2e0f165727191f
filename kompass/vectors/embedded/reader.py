"""Reading the embedded index, in another process than the one that writes it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from kompass.access.audiences import Channel
from kompass.search.entries import key, sound
from kompass.search.generations import Generations
from kompass.search.index import IndexAbsentError, IndexUnavailableError, Match, Standing
from kompass.vectors.embedded import schema
from kompass.vectors.index import PIECES_EACH

AT_ONCE = 2
"""Questions that are worked on at the same time; others wait."""

ABSENT = "There are no vectors yet: `kompass feed` makes them, and `kompass serve` starts that."

T = TypeVar("T")


class EmbeddedVectors:
    """See `kompass.vectors.index.VectorIndex`."""

    def __init__(self, directory: Path, embedder: str) -> None:
        self._generations = Generations(directory, schema.version(embedder))
        self._threads = ThreadPoolExecutor(AT_ONCE, "vectors")
        self._idle: queue.SimpleQueue[tuple[Path, apsw.Connection]] = queue.SimpleQueue()

    async def standing(self) -> Standing:
        def looking(connection: apsw.Connection) -> Standing:
            return Standing(schema.checkpoint_of(connection), self._generations.building)

        return await self._reading(looking)

    async def nearest(
        self,
        vector: bytes,
        readable: Collection[Channel],
        *,
        filters: Mapping[str, tuple[str, ...]],
        without: Collection[str] = (),
        limit: int = 50,
    ) -> list[Match]:
        narrowed = [
            f"AND document IN (SELECT num FROM documents WHERE {schema.FACET_COLUMNS[facet]} IN"
            " (SELECT value FROM json_each(?)))"
            for facet in filters
        ]
        # Pieces alone are sorted; what they are of is looked up for the nearest.
        query = f"""
            SELECT id, base, rev, facet_type FROM (
                SELECT document, vec_distance_cosine(vec_int8(vector), vec_int8(?)) AS distance FROM chunks
                WHERE document IN (
                    SELECT document FROM channels WHERE channel IN (SELECT value FROM json_each(?)))
                AND document NOT IN (
                    SELECT num FROM documents WHERE key IN (SELECT value FROM json_each(?)))
                {" ".join(narrowed)} AND length(vector) = ?
                ORDER BY distance LIMIT ?)
            JOIN documents ON num = document ORDER BY distance, base
        """
        values = (
            vector,
            schema.listed([sound(one) for one in readable]),
            schema.listed([key(docid) for docid in without]),
            *(schema.listed([sound(one) for one in values]) for values in filters.values()),
            len(vector),
        )

        def looking(connection: apsw.Connection) -> list[Match]:
            pieces = PIECES_EACH * limit
            while True:
                rows = connection.execute(query, (*values, pieces)).fetchall()
                found: dict[str, Match] = {}
                for row in rows:
                    found.setdefault(str(row[1]), Match(*map(str, row)))
                if len(found) >= limit or len(rows) < pieces:
                    return list(found.values())[:limit]
                pieces *= PIECES_EACH  # a few documents have all of the nearest

        return await self._reading(looking)

    async def inspect(self, docid: str) -> Mapping[str, Any] | None:
        def looking(connection: apsw.Connection) -> Mapping[str, Any] | None:
            query = """
                SELECT num, rev, base, shown, allowed FROM documents WHERE key = ? AND id IS NOT NULL
            """
            for num, rev, base, shown, allowed in connection.execute(query, (key(docid),)):
                channels = connection.execute("SELECT channel FROM channels WHERE document = ?", (num,))
                chunks = connection.execute(
                    "SELECT place, hash, vector FROM chunks WHERE document = ? ORDER BY num", (num,)
                )
                attached = connection.execute(
                    "SELECT name, problem FROM attachments WHERE document = ? ORDER BY name", (num,)
                )
                return {
                    "rev": rev,
                    "base": base,
                    "title": shown,
                    "allowed": bool(allowed),
                    "attachments": dict(attached),
                    "channels": sorted(channel for (channel,) in channels),
                    "chunks": list(chunks),
                }
            return None

        return await self._reading(looking)

    async def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get()[1].close()

    async def _reading(self, work: Callable[[apsw.Connection], T]) -> T:
        """Works on the generation that is read, as it is at one moment."""

        def doing() -> T:
            generation = self._generations.current()
            if generation is None:
                raise IndexAbsentError(ABSENT)
            connection = self._connected(generation)
            try:
                with connection:
                    found = work(connection)
            except BaseException:
                connection.close()
                raise
            self._idle.put((generation, connection))
            return found

        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, doing)
        except (OSError, apsw.Error) as error:
            raise IndexUnavailableError(f"The vectors can't be read: {error}") from error

    def _connected(self, generation: Path) -> apsw.Connection:
        while True:
            try:
                known, connection = self._idle.get_nowait()
            except queue.Empty:
                return schema.opened(generation)
            if known == generation:
                return connection
            connection.close()
