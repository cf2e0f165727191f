"""The indexes and views of a database."""

from __future__ import annotations

from collections.abc import Sequence

from replication.store.interface import DocumentMapper, RowMapper
from replication.store.sqlite import indexes, partials, row_indexes
from replication.store.sqlite.opened import OpenDatabase
from replication.store.values import (
    IndexEntry,
    IndexRow,
    IndexState,
    IndexVersion,
    PartialReduction,
    RowSpan,
)


class IndexedDatabase(OpenDatabase):
    """What queries and views are read from."""

    async def refresh_index(self, signature: str, mapper: DocumentMapper) -> None:
        await indexes.refresh(
            self._connections.reader, self._write_own, lambda: self.update_seq, signature, mapper
        )

    async def scan_index(
        self,
        signature: str,
        low: bytes,
        high: bytes | None,
        *,
        seq: int = 0,
        after: IndexEntry | None = None,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexEntry]:
        with self._connections.snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return indexes.scan(connection, num, low, high, after, descending, skip, limit)

    @property
    def design_version(self) -> int:
        return self._writer.design_version

    async def refresh_rows(self, signature: str, mapper: RowMapper) -> None:
        await row_indexes.refresh(
            self._connections.snapshot,
            self._write_own,
            lambda: self.update_seq,
            signature,
            mapper,
            self._page_to_index,
        )

    async def _page_to_index(self, signature: str) -> row_indexes.Page | None:
        """Where the texts of documents come from."""
        with self._connections.snapshot() as connection:
            return row_indexes.read_page(connection, signature)

    async def scan_rows(
        self,
        signature: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        skip: int = 0,
        limit: int = 1000,
    ) -> list[IndexRow]:
        with self._connections.snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return row_indexes.scan(connection, num, span, descending, skip, limit)

    async def count_rows(self, signature: str, span: RowSpan, *, seq: int = 0) -> int:
        with self._connections.snapshot() as connection:
            return row_indexes.count(connection, indexes.number(connection, signature, seq), span)

    async def index_version(self, signature: str) -> IndexVersion | None:
        with self._connections.reader() as connection:
            return partials.version(connection, signature)

    async def partial_reductions(
        self,
        signature: str,
        reducer: str,
        span: RowSpan,
        *,
        seq: int = 0,
        descending: bool = False,
        limit: int = 500,
    ) -> list[PartialReduction]:
        with self._connections.snapshot() as connection:
            num = indexes.number(connection, signature, seq)
            return partials.scan(connection, num, reducer, span, descending, limit)

    async def keep_reductions(
        self, signature: str, reducer: str, version: IndexVersion, made: Sequence[PartialReduction]
    ) -> bool:
        return await self._write_own(
            lambda transaction: partials.keep(transaction, signature, reducer, version, made)
        )

    async def index_state(self, signature: str, *, sized: bool = False) -> IndexState | None:
        with self._connections.reader() as connection:
            return row_indexes.state(connection, signature, sized)

    async def drop_indexes(self, keep: Sequence[str]) -> None:
        await self._write_own(lambda transaction: indexes.drop(transaction.connection, keep))
