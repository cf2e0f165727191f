"""Short ways to write documents in tests."""

from __future__ import annotations

from typing import Any

from replication.protocol.documents import DocumentWrite, parse_document
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
from replication.store.interface import Database


def doc(docid: str, rev: str | None = None, **members: Any) -> DocumentWrite:
    value: dict[str, Any] = {"_id": docid, **members}
    if rev is not None:
        value["_rev"] = rev
    return parse_document(value)


def branch(docid: str, start: int, *ids: str, deleted: bool = False, **members: Any) -> DocumentWrite:
    """A replicated document: its revision and history, newest first."""
    write = doc(docid, **members)
    write.deleted = deleted
    write.path = Path(start, list(ids))
    return write


async def edit(db: Database, docid: str, rev: str | None = None, **members: Any) -> str:
    """Writes a new edit that must succeed; its revision."""
    [result] = await db.write([doc(docid, rev, **members)])
    assert isinstance(result, str), result
    return result


async def replicate(db: Database, *docs: DocumentWrite) -> None:
    for result in await db.write(docs, replicated=True):
        assert isinstance(result, str), result


def status(result: str | ProtocolError) -> tuple[int, str]:
    assert isinstance(result, ProtocolError)
    return result.status, result.error
