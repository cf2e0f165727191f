"""Order in a database file: its feed of changes and its listing of ids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from replication.protocol.sequences import Epochs
from replication.store.sqlite import reading
from replication.store.sqlite.indexed import IndexedDatabase
from replication.store.values import Change, ChangesPage, KeyRange, RowsPage


class ListedDatabase(IndexedDatabase):
    """What says which documents there are, and in which order they changed."""

    @property
    def epochs(self) -> Epochs:
        return self._epochs

    @property
    def update_seq(self) -> int:
        return self._told

    async def all_docs(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000, include_docs: bool = False
    ) -> RowsPage:
        with self._connections.reader() as connection:
            page = reading.all_docs(connection, span, skip, limit, include_docs)
        self.reads += page.count if include_docs else 0
        return page

    async def count_before(self, span: KeyRange) -> int:
        return await self._counts.ids_before(span)

    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        with self._connections.reader() as connection:
            page = reading.changes(
                connection,
                since,
                limit,
                all_leaves=all_leaves,
                include_docs=include_docs,
                descending=descending,
            )
        self.reads += page.count if include_docs else 0
        if page.count:
            await self._has_told(page.last_seq)
        return page

    async def change_rows(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
        docids: Sequence[str] | None = None,
    ) -> list[Change]:
        with self._connections.reader() as connection:
            rows = reading.change_rows(
                connection,
                since,
                limit,
                all_leaves=all_leaves,
                include_docs=include_docs,
                descending=descending,
                docids=docids,
            )
        if rows:
            await self._has_told(rows[-1].seq)
        return rows

    async def _has_told(self, seq: int) -> None:
        """A row is in the file a moment before its number is known: whoever goes on from there at once would
        go on before it, and read the row again.
        """
        if seq > self._told:
            await self._waiting.until(lambda: seq <= self._told or self._connections.is_closed())

    async def pending(self, since: int) -> int:
        if since >= self.update_seq:
            return 0
        return await self._counts.changes_after(since)

    async def wait_for_change(self, since: int) -> None:
        await self._waiting.until(partial(self._has_change, since))

    def _has_change(self, since: int) -> bool:
        """True also for a closed database: there is nothing to wait for."""
        if self._connections.is_closed():
            return True
        if self.update_seq <= since:
            return False
        # A purge uses up numbers without leaving a row, so the number alone does not tell.
        with self._connections.reader() as connection:
            found = connection.execute("SELECT 1 FROM changes WHERE seq > ? LIMIT 1", (since,)).get
        return found is not None
