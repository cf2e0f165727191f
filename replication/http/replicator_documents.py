"""Documents of `_replicator` over HTTP: they hold other servers' passwords.

Everybody who may write there gets his name put into what he writes as its `owner`; only server
administrators change what others own. Owners and administrators see a document whole; others see it
without credentials and attachments, one document at a time, and nothing that lists or searches them. Local
documents have no owner, so they are the administrators'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from replication.http import access
from replication.http.call import Call
from replication.http.document_options import read_options
from replication.http.document_reading import open_document
from replication.http.responses import json_response
from replication.protocol import errors, jsontext
from replication.protocol.attachments import StubAttachment
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.replicator.documents import OWNER, REPLICATOR_DATABASE
from replication.replicator.failures import InvalidReplication
from replication.replicator.options import parse, stripped
from replication.store.interface import WriteCheck
from replication.store.values import Document

NOT_YOURS_TO_READ = "Only its owner and administrators can read what is attached to a replication document."
NAMESAKE = "Replication documents can't be written under an administrator's name without the role _admin."
NOT_YOURS = "Can't update replication documents from other users."


def is_replicator(call: Call) -> bool:
    return call.segments[0] == REPLICATOR_DATABASE


async def read_stripped(call: Call) -> Response | None:
    """The document for somebody who doesn't administrate the database; None for somebody who does."""
    if await access.database_admin_refusal(call) is None:
        return None
    options = read_options(call.query)
    if options.open_revs or options.latest:
        raise errors.forbidden("Only administrators can read other revisions of replication documents.")
    document = await open_document(call.database, call.docid, options.rev, deleted=options.deleted)
    value: dict[str, Any] = jsontext.decode(document.text)
    if not _is_owner(call.principal.name, value):
        value = stripped(value)
        value.pop("_attachments", None)
    return json_response(value)


async def check_readable(call: Call, document: Document, reason: str = NOT_YOURS_TO_READ) -> None:
    """Raises 403 if the caller may not see a revision with all that belongs to it."""
    if not is_replicator(call) or _is_owner(call.principal.name, jsontext.decode(document.text)):
        return
    if await access.database_admin_refusal(call) is not None:
        raise errors.forbidden(reason)


def _is_owner(name: str | None, value: dict[str, Any]) -> bool:
    return name is not None and value.get(OWNER) == name


def prepare_replications(
    call: Call, docs: Sequence[DocumentWrite], refused: dict[int, ProtocolError]
) -> tuple[list[DocumentWrite], dict[int, ProtocolError], WriteCheck]:
    """The documents with their owners, those that describe no replication, and the rule for the rest."""
    # An owner counts for what he may do to the server, so the database's own administrators name no other.
    is_admin, name = call.principal.is_server_admin, call.principal.name
    # A token or a proxy may name somebody like an administrator without making him one, and what a job may
    # do follows from its owner's name.
    is_namesake = not is_admin and name in call.server.config.admins
    prepared: list[DocumentWrite] = []
    for place, doc in enumerate(docs):
        if is_namesake and not doc.id.startswith(DESIGN_PREFIX):
            refused.setdefault(place, errors.forbidden(NAMESAKE))
        if place not in refused and not doc.id.startswith(DESIGN_PREFIX):
            try:
                doc = _prepared(doc, name, is_admin)
            except ProtocolError as error:
                refused[place] = error
        prepared.append(doc)

    def check(write: DocumentWrite, stored: Document | None) -> None:
        if is_admin or stored is None:
            return
        if stored.deleted:
            # The id is free again, but what was attached before remains that owner's.
            if any(isinstance(each, StubAttachment) for each in write.attachments.values()):
                raise errors.forbidden(NOT_YOURS)
        elif not _is_owner(name, jsontext.decode(stored.text)):
            raise errors.forbidden(NOT_YOURS)

    return prepared, refused, check


def _prepared(doc: DocumentWrite, name: str | None, is_admin: bool) -> DocumentWrite:
    if doc.deleted:
        return doc
    body: dict[str, Any] = jsontext.decode(doc.body)
    owner = body.get(OWNER)
    if owner is None:
        body[OWNER] = name
    elif owner != name and not is_admin:
        raise errors.forbidden(NOT_YOURS)
    try:
        parse(body)
    except InvalidReplication as error:
        raise errors.forbidden(str(error)) from None
    return replace(doc, body=jsontext.encode(body))
