"""Attachments in the database file: bytes in chunks, and who refers to them.

An attachment belongs to one document: a stub, or data equal to what the parent has under that name,
refers to the parent's bytes; the same bytes in two documents are stored twice, so that nobody
learns from a digest what other documents hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import apsw
import orjson

from replication.protocol import errors
from replication.protocol.attachments import (
    FollowingAttachment,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite
from replication.store.sqlite.schema import CHUNK_BITS, CHUNK_SIZE
from replication.store.values import AttachmentInfo


@dataclass(frozen=True, slots=True)
class Attached:
    """An attachment as one revision has it."""

    num: int
    content_type: str
    digest: str
    length: int
    stored_length: int
    encoding: str | None
    revpos: int

    def info(self, name: str) -> AttachmentInfo:
        return AttachmentInfo(
            name,
            self.content_type,
            self.digest,
            self.length,
            self.stored_length,
            self.encoding,
            self.revpos,
            self.num,
        )


def stubs_text(attached: Mapping[str, Attached]) -> bytes:
    """The value of `_attachments` in stored documents."""
    return orjson.dumps(
        {
            name: {
                "content_type": a.content_type,
                "revpos": a.revpos,
                "digest": a.digest,
                "length": a.length,
                "stub": True,
            }
            for name, a in attached.items()
        }
    )


def chunk_key(attachment: int, position: int) -> int:
    return attachment << CHUNK_BITS | position


class AttachmentTable:
    """The attachment tables through one connection."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def of_body(self, body: int) -> dict[str, Attached]:
        """What the revision whose text is `body` has attached."""
        rows = self._connection.execute(
            "SELECT name, num, content_type, digest, length, stored_length, encoding, revpos"
            " FROM attachment_refs JOIN attachments ON num = attachment WHERE body = ?"
            " ORDER BY name",
            (body,),
        )
        return {name: Attached(*rest) for name, *rest in rows}

    def resolve(
        self,
        doc: DocumentWrite,
        generation: int,
        ancestors: Sequence[Mapping[str, Attached]],
        *,
        keep_revpos: bool,
    ) -> dict[str, Attached]:
        """Finds or stores every attachment of a document that is about to be written.

        `ancestors` are the attachments of known ancestors, nearest first. Raises 412 `missing_stub`
        before anything is stored.
        """
        kept = {
            name: _stub_target(doc.id, name, given, ancestors)
            for name, given in doc.attachments.items()
            if isinstance(given, StubAttachment)
        }
        resolved: dict[str, Attached] = {}
        for name, given in doc.attachments.items():
            if isinstance(given, StubAttachment):
                resolved[name] = kept[name]
                continue
            if isinstance(given, FollowingAttachment):
                raise errors.bad_request(f"Attachment '{name}' says that its data follows, and nothing does")
            same = ancestors[0].get(name) if ancestors else None
            if same is not None and same.digest == given.digest and same.content_type == given.content_type:
                resolved[name] = same
                continue
            revpos = given.revpos if keep_revpos and given.revpos is not None else generation
            if isinstance(given, StagedAttachment):
                if given.length != given.stored_length:
                    self._set_length(given.token, given.length)
                resolved[name] = Attached(
                    given.token,
                    given.content_type,
                    given.digest,
                    given.length,
                    given.stored_length,
                    given.encoding,
                    revpos,
                )
            else:
                resolved[name] = self._store(given, revpos)
        return resolved

    def _store(self, given: InlineAttachment, revpos: int) -> Attached:
        data = given.data
        length = len(data) if given.length is None else given.length
        num = self.reserve()
        for position in range(0, len(data), CHUNK_SIZE):
            self.add_chunk(num, position // CHUNK_SIZE, data[position : position + CHUNK_SIZE])
        self.complete(num, given.digest, length, len(data), given.encoding)
        return Attached(num, given.content_type, given.digest, length, len(data), given.encoding, revpos)

    def reserve(self) -> int:
        """A number for bytes that are about to come."""
        self._connection.execute("INSERT INTO attachments VALUES (NULL, '', 0, 0, NULL)")
        return self._connection.last_insert_rowid()

    def add_chunk(self, num: int, position: int, data: bytes) -> None:
        self._connection.execute("INSERT INTO chunks VALUES (?, ?)", (chunk_key(num, position), data))

    def complete(self, num: int, digest: str, length: int, stored_length: int, encoding: str | None) -> None:
        self._connection.execute(
            "UPDATE attachments SET digest = ?, length = ?, stored_length = ?, encoding = ? WHERE num = ?",
            (digest, length, stored_length, encoding, num),
        )

    def _set_length(self, num: int, length: int) -> None:
        self._connection.execute("UPDATE attachments SET length = ? WHERE num = ?", (length, num))

    def is_referred(self, num: int) -> bool:
        """Whether any body has it."""
        row = self._connection.execute(
            "SELECT 1 FROM attachment_refs WHERE attachment = ? LIMIT 1", (num,)
        ).get
        return row is not None

    def refer(self, body: int, attached: Mapping[str, Attached]) -> None:
        """Ties attachments to a body."""
        self._connection.executemany(
            "INSERT INTO attachment_refs VALUES (?, ?, ?, ?, ?)",
            [(body, name, a.num, a.content_type, a.revpos) for name, a in attached.items()],
        )

    def release(self, bodies: Iterable[int]) -> list[int]:
        """Unties the attachments of bodies that go. Returns those nobody refers to any more."""
        candidates: set[int] = set()
        for body in bodies:
            for (num,) in self._connection.execute(
                "DELETE FROM attachment_refs WHERE body = ? RETURNING attachment", (body,)
            ):
                candidates.add(num)
        return [num for num in candidates if not self.is_referred(num)]

    def remove(self, num: int) -> None:
        """Deletes the bytes."""
        self._connection.execute(
            "DELETE FROM chunks WHERE num BETWEEN ? AND ?",
            (chunk_key(num, 0), chunk_key(num + 1, 0) - 1),
        )
        self._connection.execute("DELETE FROM attachments WHERE num = ?", (num,))

    def unreferenced(self) -> list[int]:
        """Attachments that no body refers to: left over, or being uploaded."""
        return [
            num
            for (num,) in self._connection.execute(
                "SELECT num FROM attachments WHERE NOT EXISTS"
                " (SELECT 1 FROM attachment_refs WHERE attachment = num)"
            )
        ]


def _stub_target(
    docid: str, name: str, stub: StubAttachment, ancestors: Sequence[Mapping[str, Attached]]
) -> Attached:
    for known in ancestors:
        found = known.get(name)
        if found is None:
            continue
        if stub.digest is not None and stub.digest != found.digest:
            continue
        if stub.revpos is not None and stub.revpos != found.revpos:
            continue
        return found
    raise errors.missing_stub(f"Invalid attachment stub in {docid} for {name}")
