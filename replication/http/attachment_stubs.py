"""Attachments that a batch only names: are they there?

The store judges each document by itself. A batch with a stub that nothing stands behind fails as a
whole, so that a replicator sends the document again with its bytes; this looks before anything is
written.
"""

from __future__ import annotations

from collections.abc import Sequence

from replication.protocol import errors
from replication.protocol.attachments import StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import Database
from replication.store.values import AttachmentInfo


async def check_stubs(database: Database, docs: Sequence[DocumentWrite], *, replicated: bool) -> None:
    """Raises 412 `missing_stub` for the first stub that no ancestor of its document has.

    Ids that come twice are left to the write: the first may bring what the second refers to. A guarded
    database knows by itself what its principal may refer to.
    """
    if database.guarded:
        return
    seen: set[str] = set()
    for doc in docs:
        if doc.attachments:
            stubs = {n: a for n, a in doc.attachments.items() if isinstance(a, StubAttachment)}
            if stubs and doc.id not in seen:
                await _check(database, doc, stubs, replicated)
        seen.add(doc.id)


async def _check(
    database: Database, doc: DocumentWrite, stubs: dict[str, StubAttachment], replicated: bool
) -> None:
    ancestors = await _known_ancestors(database, doc, replicated)
    if ancestors is None:
        return
    attached = [await database.attachments(doc.id, rev) for rev in ancestors]
    for name, stub in stubs.items():
        if not any(name in infos and _fits(stub, infos[name]) for infos in attached):
            raise errors.missing_stub(f"Invalid attachment stub in {doc.id} for {name}")


async def _known_ancestors(database: Database, doc: DocumentWrite, replicated: bool) -> list[Rev] | None:
    """Revisions whose attachments a stub may mean; None if the document will not be stored anyway."""
    known = await database.available(doc.id)
    if replicated:
        assert doc.path is not None
        if doc.path.leaf in known:
            return None
        return [rev for rev in doc.path.revisions()[1:] if rev in known]
    if doc.parent is not None:
        return [doc.parent] if doc.parent in known else None
    winner = await database.winner(doc.id)
    if winner is None:
        return []
    return [parse_rev(winner.rev)] if winner.deleted else None


def _fits(stub: StubAttachment, info: AttachmentInfo) -> bool:
    return (stub.digest is None or stub.digest == info.digest) and (
        stub.revpos is None or stub.revpos == info.revpos
    )
