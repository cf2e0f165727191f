"""One person's changes feed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kompass.sync.index import FeedRow
from kompass.sync.personal.person import Person
from replication.protocol import jsontext
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading
from replication.store.values import Change, ChangesPage, Document


class Feed(Person):
    """Rows of the feed index as the document server writes them."""

    async def changes(
        self,
        since: int,
        limit: int,
        *,
        all_leaves: bool = False,
        include_docs: bool = False,
        descending: bool = False,
    ) -> ChangesPage:
        changes = await self.change_rows(
            since, limit, all_leaves=all_leaves, include_docs=include_docs, descending=descending
        )
        rows = [
            b'%b,"doc":%b}' % (change.text, change.doc) if change.doc is not None else change.text + b"}"
            for change in changes
        ]
        return ChangesPage(b",\n".join(rows), len(rows), changes[-1].seq if changes else since)

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
        """His feed. A row lists the winner, or if he has lost the document the first tombstone; with
        `all_leaves` deleted leaves and all tombstones too."""
        changes: list[Change] = []
        with self._reading() as reading:
            while len(changes) < limit:
                asked = limit - len(changes)
                rows = self._index.rows(
                    reading, self._user, since, asked, descending=descending, docids=docids
                )
                changes += self._changes(reading, rows, all_leaves, include_docs)
                # A row that names no revision can't be shown: then a page isn't full yet.
                if len(rows) < asked:
                    break
                since = rows[-1].position
        return changes

    def _changes(
        self, reading: Reading, rows: Sequence[FeedRow], all_leaves: bool, include_docs: bool
    ) -> Iterator[Change]:
        winners: Mapping[str, Document] = {}
        if include_docs:
            winners = self._winners(reading, [row.id for row in rows if row.visible])
        for row in rows:
            revs = [*(() if row.winner is None else (row.winner, *row.closed)), *row.tombstones]
            if not revs:
                continue
            listed = [b'{"rev":"%b"}' % rev.encode("ascii") for rev in revs[: None if all_leaves else 1]]
            text = b'{"seq":"%b","id":%b,"changes":[%b]%b' % (
                self.epochs.format(row.position).encode("ascii"),
                jsontext.encode(row.id),
                b",".join(listed),
                b',"deleted":true' if row.deleted else b"",
            )
            doc = None
            if include_docs:
                winner = winners.get(row.id)
                if winner is not None:
                    doc = winner.text
                elif row.visible:
                    continue
                else:
                    doc = self._index.tombstone_text(row.id, parse_rev(revs[0]))
            yield Change(row.position, row.id, row.deleted, text, doc, unfiltered=row.deleted)

    async def pending(self, since: int) -> int:
        with self._reading() as reading:
            return self._index.pending(reading, self._user, since)

    async def wait_for_change(self, since: int) -> None:
        self._admitted()
        await self._index.wait(self._database, self._user, since)
