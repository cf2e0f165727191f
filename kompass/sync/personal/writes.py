"""Writing: what people send goes to the gate, and local documents are their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kompass.sync.personal.person import FOR_ADMINISTRATORS, Person
from replication.protocol import errors
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.protocol.revisions import Rev, format_rev
from replication.store.interface import WriteCheck
from replication.store.values import KeyRange, LocalDocument, PurgeRequest


class Writes(Person):
    """The writes, and local documents."""

    async def write(
        self,
        docs: Sequence[DocumentWrite],
        *,
        replicated: bool = False,
        check: WriteCheck | None = None,
    ) -> list[str | ProtocolError]:
        """What the gate makes of it. Design documents are refused; those of a replication are dropped.

        PouchDB makes design documents of its own for its indexes, and pushes them with everything else.
        """
        assert check is None, "a guarded database judges by itself"
        principal = self._admitted()
        places = [place for place, doc in enumerate(docs) if not doc.id.startswith(DESIGN_PREFIX)]
        outcomes: list[str | ProtocolError] = [_of_design(doc, replicated) for doc in docs]
        if places:
            judged = await self._shared.gate.write(
                principal, [docs[place] for place in places], replicated=replicated
            )
            for place, outcome in zip(places, judged, strict=True):
                outcomes[place] = outcome
        return outcomes

    async def rehearse(self, docs: Sequence[DocumentWrite]) -> list[str | ProtocolError]:
        """What the gate would answer to these edits. Nothing is stored."""
        return await self._shared.gate.rehearse(self._admitted(), docs)

    async def refused(self, refusals: Sequence[tuple[DocumentWrite, ProtocolError]]) -> None:
        """Nothing: the gate judges what people write, and enters what it refuses in the chain itself."""
        self._admitted()

    async def purge(self, asked: Mapping[str, Sequence[Rev]]) -> dict[str, list[str]]:
        self._refuse()

    async def purge_requests(self) -> list[PurgeRequest]:
        """None: they name documents."""
        self._admitted()
        return []

    async def purge_requests_limit(self) -> int:
        self._refuse()

    async def set_purge_requests_limit(self, limit: int) -> None:
        self._refuse()

    async def local(self, docid: str) -> LocalDocument | None:
        """One of his own, here and below: everybody has others."""
        self._admitted()
        return await self._shared.notes.get(self._user, docid)

    async def put_local(self, docid: str, parent: int, body: bytes) -> str:
        self._admitted()
        return await self._shared.notes.put(self._user, docid, parent, body, device=self.principal.device)

    async def delete_local(self, docid: str) -> bool:
        self._admitted()
        return await self._shared.notes.delete(self._user, docid)

    async def local_documents(
        self, span: KeyRange, *, skip: int = 0, limit: int = 1000
    ) -> list[LocalDocument]:
        with self._reading() as reading:
            return self._shared.notes.listed(reading, self._user, span, skip, limit)


def _of_design(doc: DocumentWrite, replicated: bool) -> str | ProtocolError:
    """What becomes of a design document that somebody writes."""
    if replicated and doc.path is not None:
        return format_rev(doc.path.leaf)
    return errors.forbidden(FOR_ADMINISTRATORS)
