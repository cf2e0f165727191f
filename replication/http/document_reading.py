"""Documents as a reader wants them: the stored text, with what he asked for spliced in.

Only a document whose attachments are to come along is decoded; everything else is bytes behind bytes.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from typing import Any

from replication.http.document_options import ReadOptions
from replication.protocol import errors, jsontext
from replication.protocol.documents import with_members
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.interface import AttachmentInfo, Database, Document, MissingRevision

GZIP_WINDOW = 31
"""`wbits` for data with gzip's own header."""


async def open_document(
    database: Database, docid: str, rev: Rev | None, *, deleted: bool = False
) -> Document:
    """One revision, or the winner. Raises 404, for a winner that is deleted unless `deleted` wants it."""
    if rev is None:
        winner = await database.winner(docid)
        if winner is None:
            raise errors.missing()
        if winner.deleted and not deleted:
            raise errors.deleted()
        return winner
    found = await database.revision(docid, rev)
    if not found:
        raise errors.missing()
    return found[0]


async def open_revisions(
    database: Database, docid: str, options: ReadOptions
) -> list[Document | MissingRevision]:
    """The revisions of `open_revs`, each once. Raises 404 `missing` if all are wanted and there are none."""
    if options.open_revs == "all":
        leaves = await database.leaves(docid)
        if not leaves:
            raise errors.missing()
        return list(leaves)
    wanted = list(dict.fromkeys(options.open_revs))
    groups = await database.bulk_get([(docid, rev) for rev in wanted], latest=options.latest)
    found: dict[str, Document | MissingRevision] = {}
    for rev, group in zip(wanted, groups, strict=True):
        for item in group or [MissingRevision(docid, format_rev(rev))]:
            found.setdefault(item.rev, item)
    return list(found.values())


async def meta_members(database: Database, document: Document, options: ReadOptions) -> list[bytes]:
    """`_revs_info`, `_local_seq`, `_conflicts`, `_deleted_conflicts`, as far as asked for and not empty.

    They belong to the winner. An answer that has any of them has no ETag: they change without the revision.
    """
    members = []
    if options.revs_info:
        members.append(b'"_revs_info":' + await _revs_info(database, document))
    if options.local_seq:
        members.append(b'"_local_seq":%d' % document.seq)
    if (options.conflicts or options.deleted_conflicts) and document.conflicted:
        tree = await database.tree(document.id)
        others = [rev for rev in tree.leaves() if format_rev(rev) != document.rev] if tree else []
        for name, asked, deleted in (
            (b"_conflicts", options.conflicts, False),
            (b"_deleted_conflicts", options.deleted_conflicts, True),
        ):
            revs = [format_rev(rev) for rev in others if tree and tree.is_deleted(rev) == deleted]
            if asked and revs:
                members.append(b'"%s":%s' % (name, jsontext.encode(revs)))
    return members


async def _revs_info(database: Database, document: Document) -> bytes:
    """The winner's history, newest first, and whether each body is still there."""
    available = await database.available(document.id)
    tree = await database.tree(document.id)
    if tree is None:
        raise errors.missing()
    rows = []
    for rev in tree.path(parse_rev(document.rev)).revisions():
        if rev not in available:
            status = "missing"
        else:
            status = "deleted" if available[rev] else "available"
        rows.append({"rev": format_rev(rev), "status": status})
    return jsontext.encode(rows)


async def rendered(database: Database, document: Document, options: ReadOptions) -> bytes:
    """The document with `_revisions` and attachments as asked for. What belongs to winners is left out."""
    text = document.text
    if options.rewrites_attachments and document.has_attachments:
        text = await _with_attachments(database, document, options)
    if options.revs:
        text = with_members(text, (b'"_revisions":' + document.revisions,))
    return text


async def _with_attachments(database: Database, document: Document, options: ReadOptions) -> bytes:
    infos = await database.attachments(document.id, parse_rev(document.rev))
    newer_than = _nearest_ancestor(document, options.atts_since or ())
    value: dict[str, Any] = jsontext.decode(document.text)
    for name, entry in value["_attachments"].items():
        info = infos.get(name)
        if info is None:
            # Compacted or purged between reading the document and this.
            raise errors.missing()
        if options.attachments and info.revpos > newer_than:
            del entry["stub"], entry["length"]
            entry["data"] = b64encode(await _unpacked(database, info)).decode("ascii")
        if options.att_encoding_info and info.encoding is not None:
            entry["encoding"] = info.encoding
            entry["encoded_length"] = info.stored_length
    return jsontext.encode(value)


def _nearest_ancestor(document: Document, revs: tuple[Rev, ...]) -> int:
    """The greatest generation among those of `revs` that the document descends from (or is), or 0."""
    if not revs:
        return 0
    history = Path(**jsontext.decode(document.revisions))
    return next((rev[0] for rev in history.revisions() if rev in revs), 0)


async def _unpacked(database: Database, info: AttachmentInfo) -> bytes:
    """An attachment's bytes. Raises 500 if they were stored as gzip and are none."""
    data = b"".join([piece async for piece in database.read_attachment(info)])
    if info.encoding is None:
        return data
    try:
        return zlib.decompress(data, GZIP_WINDOW)
    except zlib.error:
        raise errors.internal(f"Attachment '{info.name}' is not gzip, as it says") from None
