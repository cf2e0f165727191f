"""Rows of views as they are sent, with documents if they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from replication.http.document_reading import meta_members, rendered, rendered_winner
from replication.http.listing_options import ListingOptions
from replication.protocol import jsontext
from replication.protocol.documents import with_members
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, parse_rev
from replication.store.interface import Database
from replication.store.values import IndexRow


class _Link(NamedTuple):
    """The document that belongs to a row."""

    id: str
    rev: Rev | None = None


async def rows_of(database: Database, rows: Sequence[IndexRow], options: ListingOptions) -> list[bytes]:
    """The rows as JSON."""
    if not options.include_docs:
        return [_row(row) + b"}" for row in rows]
    links = [_link(row) for row in rows]
    plain = list({link.id for link in links if link is not None and link.rev is None})
    winners = await database.winners(plain)
    texts = []
    for row, link in zip(rows, links, strict=True):
        text = b"null"
        if link is not None and link.rev is not None:
            text = await _revision(database, link, options)
        elif link is not None and (winner := winners.get(link.id)) is not None and not winner.deleted:
            found = await rendered_winner(database, winner, options.documents)
            if found is not None and not found[0].deleted:
                text = found[1]
        texts.append(_row(row) + b',"doc":' + text + b"}")
    return texts


def _row(row: IndexRow) -> bytes:
    return b'{"id":%b,"key":%b,"value":%b' % (jsontext.encode(row.id), row.shown, row.value)


def _link(row: IndexRow) -> _Link | None:
    """The row's own document, unless its value names another one or a revision. None for no document."""
    if b'"_id"' not in row.value and b'"_rev"' not in row.value:
        return _Link(row.id)
    value: Any = jsontext.decode(row.value)
    if not isinstance(value, dict):
        return _Link(row.id)
    docid, rev = value.get("_id", row.id), value.get("_rev")
    if not isinstance(docid, str):
        return None
    if rev is None:
        return _Link(docid)
    try:
        return _Link(docid, parse_rev(rev))
    except ProtocolError:
        return None


async def _revision(database: Database, link: _Link, options: ListingOptions) -> bytes:
    assert link.rev is not None
    found = await database.revision(link.id, link.rev)
    if not found:
        return b"null"
    text = await rendered(database, found[0], options.documents)
    members = await meta_members(database, found[0], options.documents)
    return with_members(text, members) if members else text
