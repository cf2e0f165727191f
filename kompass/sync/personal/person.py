"""Who asks, whether he is let in, and which texts he is shown: what everything else here is built on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from kompass.access.principals import Principal
from kompass.sync.admitting import admitted
from kompass.sync.personal.shared import Shared
from replication.protocol import errors, jsontext
from replication.protocol.documents import revisions_member
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev
from replication.queries.designs import design_documents
from replication.store.interface import Database
from replication.store.sqlite import Reading
from replication.store.values import Document

FOR_ADMINISTRATORS = "You are not a db or server admin."


class Person(Database):
    """A database as one person sees it, without its methods.

    Its principal has logged in; whether he is let in is asked anew by every method.

    Each method raises 403 if there is no active record of him, and 401 if that has a role which his login
    doesn't have: what he sees goes by the record, and must never be more than his login is good for.
    """

    def __init__(self, shared: Shared, principal: Principal) -> None:
        self.name = shared.database.name
        self.principal = principal
        self._shared = shared
        self._database = shared.database
        self._index = shared.index
        self._user = principal.name

    @property
    def guarded(self) -> bool:
        return True

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        """One snapshot, if he is let in as of it. The block must not wait."""
        with self._database.reading() as reading:
            admitted(self._index, reading, self.principal)
            yield reading

    def _admitted(self) -> Principal:
        """Who asks, with the roles that count now."""
        with self._database.reading() as reading:
            return admitted(self._index, reading, self.principal)

    async def _public(self) -> dict[str, Document]:
        """Design documents for everybody, by id, in the order of their ids."""
        ids = [ddoc.id for ddoc in await design_documents(self._database) if is_public(ddoc.value)]
        if not ids:
            return {}
        found = await self._database.winners(ids)
        # They were read again: one that has changed meanwhile has to be public still.
        return {
            docid: found[docid]._replace(conflicted=False)
            for docid in sorted(found)
            if not found[docid].deleted and is_public(jsontext.decode(found[docid].text))
        }

    async def _public_among(self, docids: Iterable[str]) -> dict[str, Document]:
        if not any(docid.startswith(DESIGN_PREFIX) for docid in docids):
            return {}
        return await self._public()

    def _winners(self, reading: Reading, docids: Iterable[str]) -> dict[str, Document]:
        """Those of these documents that he sees, design documents left out."""
        asked = [docid for docid in docids if not docid.startswith(DESIGN_PREFIX)]
        found = self._index.readable(reading, self._user, asked) if asked else {}
        return {docid: shown(winner) for docid, winner in found.items()}

    def _sees(self, reading: Reading, docid: str) -> bool:
        return bool(self._winners(reading, [docid]))

    def _tombstone(self, reading: Reading, docid: str, rev: Rev) -> Document | None:
        """A tombstone with its whole history; None if nobody knows what it closes."""
        path = self._index.tombstone_path(reading, self._user, docid, rev)
        if path is None:
            return None
        text = self._index.tombstone_text(docid, rev)
        return Document(docid, format_rev(rev), True, text, revisions_member(path), False, 0, False)

    def _refuse(self) -> NoReturn:
        """What only administrators of the server may do."""
        raise errors.forbidden(FOR_ADMINISTRATORS)


def is_public(value: Mapping[str, Any]) -> bool:
    """Whether a design document says that everybody may use it."""
    own = value.get("kompass")
    return isinstance(own, dict) and own.get("public") is True


def shown(document: Document) -> Document:
    """A revision as people read it: deletions without what they say besides."""
    if not document.deleted:
        return document
    text = b'{"_id":%b,"_rev":"%b","_deleted":true}' % (
        jsontext.encode(document.id),
        document.rev.encode("ascii"),
    )
    return document._replace(text=text, has_attachments=False)
