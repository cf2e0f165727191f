"""The sink `jobs` for the tests of all sinks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw

from kompass.feed.sink import PersonAccess, Sink
from kompass.jobs.sink import JobsSink
from kompass.kept import JOBS
from tests.feed.harness import SinkHarness, Stored


def at(directory: str) -> Sink:
    return JobsSink(Path(directory), busy=0.05)


class JobsHarness(SinkHarness):
    keeps_people = True

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: apsw.Connection | None = None

    @property
    def again(self) -> tuple[str, str]:
        return "tests.jobs.sink:at", str(self._directory)

    def make(self) -> Sink:
        return at(str(self._directory))

    async def read(self, docid: str) -> Stored | None:
        for row in self._rows(
            "SELECT rev, channels, state FROM documents JOIN generations ON num = generation"
            " WHERE is_read AND id = ?",
            docid,
        ):
            return Stored(row[0], frozenset(json.loads(row[1])), row[2])
        return None

    async def readable(self, person: PersonAccess) -> set[str]:
        query = """
            SELECT d.id FROM generations JOIN documents d ON d.generation = num
            JOIN people p ON p.generation = num WHERE is_read AND p.name = ? AND p.active AND EXISTS (
                SELECT 1 FROM json_each(d.channels) c JOIN json_each(p.channels) h ON c.value = h.value)
        """
        return {row[0] for row in self._rows(query, person.name)}

    async def break_it(self) -> None:
        (self._directory / JOBS).parent.mkdir(exist_ok=True)
        self._lock = apsw.Connection(str(self._directory / JOBS))
        self._lock.execute("BEGIN EXCLUSIVE")

    async def mend_it(self) -> None:
        assert self._lock is not None
        self._lock.execute("ROLLBACK")
        self._lock.close()

    def _rows(self, query: str, value: str) -> list[Any]:
        if not (self._directory / JOBS).exists():
            return []
        with closing(apsw.Connection(str(self._directory / JOBS))) as connection:
            connection.set_busy_timeout(5000)
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'people'").fetchone():
                return []
            return connection.execute(query, (value,)).fetchall()


@asynccontextmanager
async def harness(directory: Path) -> AsyncIterator[SinkHarness]:
    yield JobsHarness(directory)
