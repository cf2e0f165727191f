"""Attachments of pushed documents: what a stub may stand for, and what a merge makes of them.

A stub names bytes that are stored already. A device may mean those of the winner, and those of an older
version only if it knows their digest and its user may read that version; else a stub would show attachments
that he was never sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replication.protocol import errors
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.store.values import AttachmentInfo


def pinned(
    docid: str,
    given: Mapping[str, AttachmentWrite],
    winner: Mapping[str, AttachmentInfo],
    older: Mapping[str, Mapping[str, AttachmentInfo]],
) -> dict[str, AttachmentWrite]:
    """What was given, with every stub naming exactly what it stands for.

    `older`: attachments of ancestors that the writer may read, by revision, nearest first. Raises 412
    `missing_stub`.
    """
    return {
        name: _pinned(docid, name, one, winner, older) if isinstance(one, StubAttachment) else one
        for name, one in given.items()
    }


def _pinned(
    docid: str,
    name: str,
    stub: StubAttachment,
    winner: Mapping[str, AttachmentInfo],
    older: Mapping[str, Mapping[str, AttachmentInfo]],
) -> StubAttachment:
    for known, is_winner in [(winner, True), *((one, False) for one in older.values())]:
        info = known.get(name)
        if info is None or (stub.revpos is not None and stub.revpos != info.revpos):
            continue
        if stub.digest == info.digest or (stub.digest is None and is_winner):
            return StubAttachment(info.digest, info.revpos)
    raise errors.missing_stub(f"Invalid attachment stub in {docid} for {name}")


def digests(given: Mapping[str, AttachmentWrite]) -> dict[str, str]:
    """Name -> digest of attachments whose stubs are pinned."""
    return {name: str(one.digest) for name, one in given.items()}


def stored_digests(text_of_document: Mapping[str, Any]) -> dict[str, str]:
    """The same for a stored document."""
    stubs = text_of_document.get("_attachments") or {}
    return {name: stub["digest"] for name, stub in stubs.items()}


def stub_names(given: Mapping[str, AttachmentWrite]) -> list[str]:
    return [name for name, one in given.items() if isinstance(one, StubAttachment)]


def stub(info: AttachmentInfo) -> StubAttachment:
    """What stands for bytes that the parent has."""
    return StubAttachment(info.digest, info.revpos)


def numbered(
    given: Mapping[str, AttachmentWrite], stored: Mapping[str, AttachmentInfo]
) -> dict[str, AttachmentWrite]:
    """Attachments of a branch for a revision outside of it: stubs (pinned, in `stored`) become the bytes they
    mean.
    """
    return {
        name: again(stored[name]) if isinstance(one, StubAttachment) else one for name, one in given.items()
    }


def again(info: AttachmentInfo) -> StagedAttachment:
    """Stored bytes, for another document or version."""
    return StagedAttachment(
        info.handle,
        info.content_type,
        info.digest,
        info.length,
        info.stored_length,
        info.encoding,
        info.revpos,
    )


def unnumbered(given: Mapping[str, AttachmentWrite]) -> dict[str, AttachmentWrite]:
    """For an edit: what is new counts from the revision that is made now, whatever the client says."""
    return {
        name: _without_revpos(one) if isinstance(one, InlineAttachment | StagedAttachment) else one
        for name, one in given.items()
    }


def _without_revpos(one: InlineAttachment | StagedAttachment) -> AttachmentWrite:
    if isinstance(one, InlineAttachment):
        return InlineAttachment(one.content_type, one.data, one.digest, None, one.encoding, one.length)
    return StagedAttachment(
        one.token, one.content_type, one.digest, one.length, one.stored_length, one.encoding, None
    )
