"""The one way documents are written over HTTP.

Every handler that stores documents, be it one or a batch, an edit or a replicated revision, calls
`write_documents`. Here stand the rules that belong to a kind of document rather than to an endpoint:
design documents are for administrators of the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from replication.http import access
from replication.http.call import Call
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX

Outcome = str | ProtocolError
"""The new revision, or why the document was refused."""


async def write_documents(
    call: Call, docs: Sequence[DocumentWrite], *, replicated: bool = False
) -> list[Outcome]:
    """Writes documents for the caller; one outcome per document, in order.

    Raises what concerns the request as a whole (`database_missing`, `insufficient_storage`); what
    concerns one document is its outcome.
    """
    refused: dict[int, ProtocolError] = {}
    if any(doc.id.startswith(DESIGN_PREFIX) for doc in docs):
        refusal = await access.database_admin_refusal(call)
        if refusal is not None:
            refused = {
                place: refusal for place, doc in enumerate(docs) if doc.id.startswith(DESIGN_PREFIX)
            }
    if not refused:
        return await call.database.write(docs, replicated=replicated)
    allowed = [doc for place, doc in enumerate(docs) if place not in refused]
    written = iter(await call.database.write(allowed, replicated=replicated) if allowed else [])
    return [refused[place] if place in refused else next(written) for place in range(len(docs))]
