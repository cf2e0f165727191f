"""The one way documents are written over HTTP.

Every handler that stores documents, be it one or a batch, an edit or a replicated revision, calls
`write_documents`. Here stand the rules that belong to a kind of document rather than to an endpoint:
design documents are for administrators of the database, and have a say in what else is written; what
is written to `_users` gets its password hashed and is checked as CouchDB's `_design/_auth` would; a
replication belongs to whoever writes it. Text that is attached gets compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from replication.accounts.directory import user_write_check
from replication.accounts.users import USERS_DATABASE
from replication.http import access
from replication.http.call import Call
from replication.http.compression import IN_LOOP
from replication.http.replicator_documents import prepare_replications
from replication.http.validation import judge
from replication.protocol.attachments import InlineAttachment, as_stored, is_compressible
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.replicator.documents import REPLICATOR_DATABASE
from replication.store.interface import WriteCheck

_PACKING_COSTS = 1024
"""What it takes to compress nothing, in bytes that could have been compressed instead."""

Outcome = str | ProtocolError
"""The new revision, or why the document was refused."""


async def write_documents(
    call: Call, docs: Sequence[DocumentWrite], *, replicated: bool = False
) -> list[Outcome]:
    """Writes documents for the caller; one outcome per document, in order.

    Raises what concerns the request as a whole (`database_missing`, `insufficient_storage`); what
    concerns one document is its outcome.
    """
    await _pack(docs)
    if call.database.guarded:
        return await call.database.write(docs, replicated=replicated)
    refused: dict[int, ProtocolError] = {}
    check: WriteCheck | None = None
    if any(doc.id.startswith(DESIGN_PREFIX) for doc in docs):
        refusal = await access.database_admin_refusal(call)
        if refusal is not None:
            refused = {place: refusal for place, doc in enumerate(docs) if doc.id.startswith(DESIGN_PREFIX)}
    if call.database.name == USERS_DATABASE:
        is_admin = await access.database_admin_refusal(call) is None
        reserved = call.server.config.reserved_user_members
        check = user_write_check(call.principal.name, is_admin=is_admin, reserved=reserved)
        docs, refused = await _prepare_users(call, docs, refused)
    elif call.database.name == REPLICATOR_DATABASE:
        docs, refused, check = prepare_replications(call, docs, refused)
    before = set(refused)
    judgement = await judge(call, docs, refused, replicated=replicated)
    await call.database.refused(
        [
            (docs[place], error)
            for place, error in judgement.refused.items()
            if place not in before and not docs[place].id.startswith(DESIGN_PREFIX)
        ]
    )
    refused, check = judgement.refused, judgement.check(check)
    if not refused:
        return await call.database.write(docs, replicated=replicated, check=check)
    allowed = [doc for place, doc in enumerate(docs) if place not in refused]
    written = iter(await call.database.write(allowed, replicated=replicated, check=check) if allowed else [])
    return [refused[place] if place in refused else next(written) for place in range(len(docs))]


async def _pack(docs: Sequence[DocumentWrite]) -> None:
    """Compresses attachments that came inside documents, where their type asks for it."""
    work = sum(
        len(attachment.data) + _PACKING_COSTS
        for doc in docs
        if doc.attachments
        for attachment in doc.attachments.values()
        if isinstance(attachment, InlineAttachment) and is_compressible(attachment.content_type)
    )
    if work > IN_LOOP:
        await asyncio.to_thread(_pack_now, docs)
    elif work:
        _pack_now(docs)


def _pack_now(docs: Sequence[DocumentWrite]) -> None:
    for doc in docs:
        if doc.attachments:
            doc.attachments = {
                name: as_stored(attachment) if isinstance(attachment, InlineAttachment) else attachment
                for name, attachment in doc.attachments.items()
            }


async def _prepare_users(
    call: Call, docs: Sequence[DocumentWrite], refused: dict[int, ProtocolError]
) -> tuple[list[DocumentWrite], dict[int, ProtocolError]]:
    """The documents with their passwords hashed, and those that can't be."""
    prepared: list[DocumentWrite] = []
    for place, doc in enumerate(docs):
        if place not in refused:
            try:
                doc = await call.server.accounts.prepare_user_write(doc)
            except ProtocolError as error:
                refused[place] = error
        prepared.append(doc)
    return prepared, refused
