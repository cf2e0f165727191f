"""Documents as a reader wants them: the stored text, with what he asked for spliced in.

Only a document whose attachments are to come along is decoded; everything else is bytes behind bytes.
Attachments come in pieces, as base64 inside the document or behind it in a multipart, so that a long one
is never in memory as a whole.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from replication.http.attachment_streams import unpacked
from replication.http.document_options import ReadOptions
from replication.protocol import errors, jsontext
from replication.protocol.documents import with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, Rev, format_rev, parse_rev
from replication.store.interface import Database
from replication.store.values import AttachmentInfo, Document, MissingRevision

Result = TypeVar("Result")


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


async def open_latest(database: Database, docid: str, rev: Rev, *, deleted: bool) -> Document:
    """The leaf that a revision has become, the best one after a conflict; a deletion as well.

    CouchDB 3.5 answers the winner whatever the revision, its documentation and PouchDB say the leaf. A
    revision that isn't known leads to the winner.
    """
    found = await database.revision(docid, rev, latest=True)
    return found[0] if found else await open_document(database, docid, None, deleted=deleted)


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
    if options.rewrites_attachments and document.has_attachments:
        return b"".join([piece async for piece in rendered_in_pieces(database, document, options)])
    if options.revs:
        return with_members(document.text, (b'"_revisions":' + document.revisions,))
    return document.text


async def rendered_winner(
    database: Database, winner: Document, options: ReadOptions
) -> tuple[Document, bytes] | None:
    """A winner with all that is asked for, `meta_members` too, as `as_it_is_now` has it."""

    async def asked(document: Document) -> tuple[Document, bytes]:
        text = await rendered(database, document, options)
        members = await meta_members(database, document, options)
        return document, with_members(text, members) if members else text

    return await as_it_is_now(winner, asked, lambda: database.winner(winner.id))


async def as_it_is_now(
    winner: Document,
    asked: Callable[[Document], Awaitable[Result]],
    again: Callable[[], Awaitable[Document | None]],
) -> Result | None:
    """What `asked` makes of a winner and what is attached to it.

    Between reading it and that others write, and whoever asks may read no earlier revision: so it is the
    document as it is now, which `again` reads. None if he doesn't see it any more. Raises what both do.
    """
    while True:
        try:
            return await asked(winner)
        except ProtocolError as error:
            if error.status != 404:
                raise
            now = await again()
            if now is None:
                return None
            if now.rev == winner.rev:
                raise
            winner = now


async def rendered_in_pieces(
    database: Database, document: Document, options: ReadOptions, members: Sequence[bytes] = ()
) -> AsyncIterator[bytes]:
    """`rendered`, with `members` added at the end.

    Raises 404 before the first piece if the document has been compacted away; later, if an attachment
    can't be read, the text breaks off.
    """
    if options.revs:
        members = (b'"_revisions":' + document.revisions, *members)
    if not (options.rewrites_attachments and document.has_attachments):
        yield with_members(document.text, members) if members else document.text
        return
    value: dict[str, Any] = jsontext.decode(document.text)
    entries: dict[str, Any] = value.pop("_attachments")
    infos = await _infos(database, document, entries)
    newer_than = _nearest_ancestor(document, options.atts_since)
    opening = jsontext.encode(value)[:-1] + b',"_attachments":{'
    for name, entry in entries.items():
        info = infos[name]
        more = _encoding(info) if options.att_encoding_info else {}
        opening += jsontext.encode(name) + b":"
        if options.attachments and info.revpos > newer_than:
            del entry["stub"], entry["length"]
            yield opening + jsontext.encode(entry)[:-1] + b',"data":"'
            async for piece in _base64(_identity(database, info)):
                yield piece
            yield b'"' + (b"," + jsontext.encode(more)[1:] if more else b"}")
            opening = b","
        else:
            opening += jsontext.encode(entry | more) + b","
    yield b",".join((opening.removesuffix(b",") + b"}", *members)) + b"}"


async def with_following(
    database: Database, document: Document, options: ReadOptions, members: Sequence[bytes] = ()
) -> tuple[bytes, list[AttachmentInfo]]:
    """The document as a multipart has it, and the attachments that come behind it there, in order.

    Those that `atts_since` leaves out stay stubs. Raises 404 if the document has been compacted away.
    """
    following: list[AttachmentInfo] = []
    text = document.text
    if document.has_attachments:
        value: dict[str, Any] = jsontext.decode(text)
        entries: dict[str, Any] = value["_attachments"]
        infos = await _infos(database, document, entries)
        newer_than = _nearest_ancestor(document, options.atts_since)
        for name, entry in entries.items():
            info = infos[name]
            if info.revpos > newer_than:
                del entry["stub"]
                entry["follows"] = True
                following.append(info)
            entry.update(_encoding(info))
        text = jsontext.encode(value)
    if options.revs:
        members = (b'"_revisions":' + document.revisions, *members)
    return with_members(text, members) if members else text, following


async def _infos(
    database: Database, document: Document, entries: Mapping[str, Any]
) -> dict[str, AttachmentInfo]:
    infos = await database.attachments(document.id, parse_rev(document.rev))
    if not entries.keys() <= infos.keys():
        # Compacted or purged between reading the document and this.
        raise errors.missing()
    return infos


def _encoding(info: AttachmentInfo) -> dict[str, Any]:
    if info.encoding is None:
        return {}
    return {"encoding": info.encoding, "encoded_length": info.stored_length}


def _nearest_ancestor(document: Document, revs: Sequence[Rev] | None) -> int:
    """The greatest generation among those of `revs` that the document descends from (or is), or -1."""
    if not revs:
        return -1
    history = Path(**jsontext.decode(document.revisions))
    return next((rev[0] for rev in history.revisions() if rev in revs), -1)


async def _identity(database: Database, info: AttachmentInfo) -> AsyncIterator[bytes]:
    """An attachment's bytes, unpacked. Raises 500 if they were stored as gzip and are none."""
    pieces = database.read_attachment(info)
    if info.encoding is None:
        async for piece in pieces:
            yield piece
        return
    try:
        async for piece in unpacked(pieces):
            yield piece
    except zlib.error:
        raise errors.internal(f"Attachment '{info.name}' is not gzip, as it says") from None


async def _base64(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        data = rest + piece
        whole = len(data) // 3 * 3
        rest = data[whole:]
        yield b64encode(data[:whole])
    if rest:
        yield b64encode(rest)
