"""What the changes feed needs to know of a filter."""

from __future__ import annotations

from collections.abc import Sequence

from replication.http.turns import Turns
from replication.store.values import Change


class ChangeFilter:
    """Says which changes a reader wants. This one lets everything pass."""

    needs_docs: bool = False
    """Whether `select` looks into the documents."""
    marker: bytes | None = None
    """Bytes that the row of every passing change holds, so that pages without can be skipped unread."""
    docids: Sequence[str] | None = None
    """The only documents that can pass."""
    may_fail: bool = False
    """Whether selecting can raise an error, which a client should get before anything else."""
    key: bytes = b""
    """Two feeds of one database with equal keys get the same rows."""

    def select(self, change: Change) -> Sequence[str] | None:
        """The revisions that pass, none if the change doesn't; None: ask `select_leaves`."""
        return change.revs

    async def select_leaves(self, change: Change) -> Sequence[str]:
        """`select` of a change with several leaves, whose bodies have to be read."""
        return change.revs

    async def select_page(self, changes: Sequence[Change], room: int | None) -> list[Sequence[str]]:
        """`select` for each change, up to where `room` of them pass."""
        selected: list[Sequence[str]] = []
        passing = 0
        turns = Turns()
        for change in changes:
            if turns.over():
                await turns.next()
            revs = self.select(change)
            if revs is None:
                revs = await self.select_leaves(change)
            selected.append(revs)
            if revs:
                passing += 1
                if passing == room:
                    break
        return selected

    def document(self, text: bytes) -> bytes:
        """A document of a passing row, as it is to be shown."""
        return text


EVERYTHING = ChangeFilter()
