"""What an extension is asked and told when documents are written or purged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev
from replication.store.interface import WriteCheck
from replication.store.sqlite.extension import Extension, Writing
from replication.store.values import Document


def write(
    extension: Extension | None,
    writing: Writing,
    docs: Sequence[DocumentWrite],
    *,
    replicated: bool,
    check: WriteCheck | None,
) -> list[str | ProtocolError]:
    """As `Database.write`: the caller's judge is asked, then the extension, which hears of every refusal."""
    if extension is None:
        return writing.write(docs, replicated=replicated, check=check)
    if check is not None or extension.checks:
        check = _both(extension, writing, check)
    results = writing.write(docs, replicated=replicated, check=check)
    for doc, result in zip(docs, results, strict=True):
        if isinstance(result, ProtocolError) and result.status == 409:
            extension.check_refused(writing, doc.id, doc, result)
    return results


def _both(extension: Extension, writing: Writing, check: WriteCheck | None) -> WriteCheck:
    def judged(write: DocumentWrite, winner: Document | None) -> None:
        try:
            if check is not None:
                check(write, winner)
            refusal = extension.check(writing, write, winner)
            if refusal is not None:
                raise refusal
        except ProtocolError as error:
            if error.status in (401, 403):
                extension.check_refused(writing, write.id, write, error)
            raise

    return judged


def refused(
    extension: Extension, writing: Writing, refusals: Sequence[tuple[DocumentWrite, ProtocolError]]
) -> None:
    """A function of a design document has refused these."""
    for doc, error in refusals:
        extension.check_refused(writing, doc.id, doc, error, "validation")


def purge(extension: Extension, writing: Writing, asked: Mapping[str, Sequence[Rev]]) -> ProtocolError | None:
    """Why nothing of what is asked can be purged, which the extension has heard."""
    for docid, revs in asked.items():
        refusal = extension.check_purge(writing, docid, revs)
        if refusal is not None:
            extension.check_refused(writing, docid, None, refusal)
            return refusal
    return None
