"""Keeping refused and waiting work, durably, within quotas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from kompass.domain.refusals import Refusal
from kompass.privacy import interrupting
from kompass.sync.quarantine import entries
from kompass.sync.quarantine.entries import SETTLED, Entry, State
from replication.protocol.attachments import (
    AttachmentWrite,
    InlineAttachment,
    StagedAttachment,
    StubAttachment,
)
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.sqlite import SqliteDatabase, Writing, id_list
from replication.store.values import AttachmentInfo

DATABASE = "kompass-quarantine"

SECURITY = orjson.dumps(
    {"admins": {"names": [], "roles": ["_admin"]}, "members": {"names": [], "roles": ["_admin"]}}
)


DEVICE_SHARE = 80
"""Per cent of a person's room that one of his devices may take."""


class QuarantineFullError(Exception):
    """Somebody's share is used up by work that nobody has looked at."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one person may have in quarantine, `DEVICE_SHARE` of it from one device. Settled entries make room
    first."""

    rows: int = 1000
    bytes: int = 200_000_000


class Known(NamedTuple):
    """An entry as far as its table tells."""

    id: str
    state: State
    refusal: Refusal


class Listed(NamedTuple):
    """An entry as far as its table tells, whoever's it is."""

    id: str
    user: str
    docid: str
    rev: str
    state: State


class Quarantine:
    """The database of refused and waiting work. See `open`."""

    def __init__(self, database: SqliteDatabase, quota: Quota | None = None) -> None:
        self.database = database
        self._quota = quota or Quota()

    @classmethod
    async def open(cls, store: Store, quota: Quota | None = None) -> Quarantine:
        """Makes the database unless it is there. The store must have been opened with a `QuarantineIndex`."""
        if DATABASE not in await store.names():
            await store.create(DATABASE, security=SECURITY)
        database = store.get(DATABASE)
        assert isinstance(database, SqliteDatabase)
        return cls(database, quota)

    # -- reading -------------------------------------------------------------------------------

    def known(self, user: str, docids: Iterable[str]) -> dict[tuple[str, str], Known]:
        """What this person has sent of these documents: (id, revision) -> entry."""
        rows = self._rows(
            "SELECT docid, rev, q.id, state, rule, reason, grund FROM json_each(?)"
            " CROSS JOIN quarantine_entries q ON user = ? AND docid = value",
            (id_list(docids), user),
        )
        return {
            (docid, rev): Known(number, State(state), Refusal(rule, reason, grund))
            for docid, rev, number, state, rule, reason, grund in rows
        }

    def awaiting(self, parents: Iterable[str]) -> list[str]:
        """Entries that wait for one of these documents, the oldest first."""
        return [
            row[0]
            for row in self._rows(
                "SELECT DISTINCT q.id FROM json_each(?) CROSS JOIN quarantine_parents p ON p.parent = value"
                " CROSS JOIN quarantine_entries q ON num = entry ORDER BY num",
                (id_list(parents),),
            )
        ]

    def waiting(self, limit: int, after: int = 0) -> list[tuple[int, str, datetime]]:
        """(number, id, received) of waiting entries, the oldest first."""
        return [
            (num, number, datetime.fromtimestamp(received).astimezone())
            for num, number, received in self._rows(
                "SELECT num, id, received FROM quarantine_entries"
                " WHERE state = ? AND num > ? ORDER BY num LIMIT ?",
                (State.WAITING.value, after, limit),
            )
        ]

    def all(self, limit: int, after: int = 0) -> list[tuple[int, Listed]]:
        """(number, entry) in any state, the oldest first."""
        return [
            (num, Listed(number, user, docid, rev, State(state)))
            for num, number, user, docid, rev, state in self._rows(
                "SELECT num, id, user, docid, rev, state FROM quarantine_entries"
                " WHERE num > ? ORDER BY num LIMIT ?",
                (after, limit),
            )
        ]

    def count(self, user: str) -> int:
        """How much of this person's there is, in any state."""
        ((found,),) = self._rows("SELECT count(*) FROM quarantine_entries WHERE user = ?", (user,))
        return int(found)

    def listed(
        self, *, user: str | None, state: State | None, limit: int, before: int | None = None
    ) -> list[tuple[int, str]]:
        """(number, id) of entries, the latest first; of one person, in one state."""
        wanted = None if state is None else state.value
        return [
            (num, number)
            for num, number in self._rows(
                "SELECT num, id FROM quarantine_entries WHERE (?1 IS NULL OR user = ?1)"
                " AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR num < ?3) ORDER BY num DESC LIMIT ?4",
                (user, wanted, before, limit),
            )
        ]

    async def get(self, number: str) -> Entry | None:
        """The entry with this id."""
        document = await self.database.winner(number)
        if document is None or document.deleted:
            return None
        return entries.parse(document)

    async def attachments(self, entry: Entry) -> dict[str, AttachmentInfo]:
        """What came with it, for `database.read_attachment`."""
        return await self.database.attachments(entry.id, parse_rev(entry.rev))

    def _rows(self, statement: str, args: tuple[Any, ...]) -> list[Any]:
        with self.database.reading() as reading:
            return reading.connection.execute(statement, args).fetchall()

    # -- writing -------------------------------------------------------------------------------

    async def keep(
        self,
        source: Database,
        user: str,
        device: str | None,
        doc: DocumentWrite,
        state: State,
        refusal: Refusal,
        *,
        now: datetime,
        parents: tuple[str, ...] = (),
    ) -> str:
        """Stores what was sent, durable when it returns, and gives the entry's id.

        `source` is the database in which attachments were staged. The same work of the same person is kept
        once. Raises `QuarantineFullError`.
        """
        assert doc.path is not None
        number = entries.entry_id(user, doc.id, f"{doc.path.start}-{doc.path.ids[0]}")
        if await self.database.winner(number) is not None:
            return number
        stubs = {
            name: one.digest or "" for name, one in doc.attachments.items() if isinstance(one, StubAttachment)
        }
        body = entries.entry_body(user, device, doc, state, refusal, parents, stubs, now)
        size = len(body) + sum(_size(one) for one in doc.attachments.values())
        await self._make_room(user, device, size)
        attached = {
            name: await self._taken_over(source, one)
            for name, one in doc.attachments.items()
            if isinstance(one, InlineAttachment | StagedAttachment)
        }
        write = DocumentWrite(number, False, body, attachments=attached)

        def run(writing: Writing) -> list[str | ProtocolError]:
            interrupting.check_quarantine(writing)
            return writing.write([write])

        try:
            (outcome,) = await self.database.transact(run)
        except ProtocolError:
            staged = [one for one in attached.values() if isinstance(one, StagedAttachment)]
            if staged:
                await self.database.discard_attachments(staged)
            raise
        self.database.taken_up([write])
        if isinstance(outcome, ProtocolError) and outcome.status != 409:
            raise outcome
        return number

    async def _taken_over(
        self, source: Database, given: InlineAttachment | StagedAttachment
    ) -> AttachmentWrite:
        if isinstance(given, InlineAttachment):
            return InlineAttachment(
                given.content_type, given.data, given.digest, None, given.encoding, given.length
            )
        info = AttachmentInfo(
            "",
            given.content_type,
            given.digest,
            given.length,
            given.stored_length,
            given.encoding,
            0,
            given.token,
        )
        return await copied(source, self.database, info)

    async def _make_room(self, user: str, device: str | None, size: int) -> None:
        """Forgets settled work until there is room. Raises `QuarantineFullError` if that isn't enough."""
        whole = self._quota
        await self._make_room_in(whole, f"{user} has", "user = ?1", (user,), size)
        if device is not None:
            # A device that went mad leaves room to the others of its person.
            share = Quota(-(-whole.rows * DEVICE_SHARE // 100), whole.bytes * DEVICE_SHARE // 100)
            who = f"One device of {user} has"
            await self._make_room_in(share, who, "user = ?1 AND device = ?2", (user, device), size)

    async def _make_room_in(
        self, quota: Quota, whose: str, condition: str, args: tuple[str, ...], size: int
    ) -> None:
        ((rows, used),) = self._rows(
            f"SELECT count(*), coalesce(sum(bytes), 0) FROM quarantine_entries WHERE {condition}", args
        )
        if rows < quota.rows and used + size <= quota.bytes:
            return
        settled = self._rows(
            f"SELECT id, bytes FROM quarantine_entries WHERE {condition}"
            f" AND state IN (SELECT value FROM json_each(?{len(args) + 1})) ORDER BY num",
            (*args, orjson.dumps([state.value for state in SETTLED]).decode()),
        )
        for number, freed in settled:
            await self.remove(number)
            rows, used = rows - 1, used - freed
            if rows < quota.rows and used + size <= quota.bytes:
                return
        raise QuarantineFullError(
            f"{whose} {rows} entries with {used} bytes in quarantine, and no more than {quota.rows} with"
            f" {quota.bytes} bytes are kept: release, correct or discard some of them."
        )

    async def change(
        self,
        number: str,
        state: State,
        *,
        by: str,
        now: datetime,
        refusal: Refusal | None = None,
        parents: tuple[str, ...] | None = None,
    ) -> None:
        """Puts an entry into another state, whatever it is in; `parents` if it waits for others now. Nothing
        happens if it is gone.
        """
        while True:
            document = await self.database.winner(number)
            if document is None or document.deleted:
                return
            rev = parse_rev(document.rev)
            stubs = {
                name: StubAttachment(info.digest, info.revpos)
                for name, info in (await self.database.attachments(number, rev)).items()
            }
            body = entries.changed(document, state, by, now, refusal, parents)
            write = DocumentWrite(number, False, body, rev, attachments=stubs)
            (outcome,) = await self.database.write([write])
            if isinstance(outcome, str):
                return
            if outcome.status != 409:  # somebody else was quicker: once more
                raise outcome

    async def remove(self, number: str) -> None:
        """Forgets an entry and its bytes without a trace."""
        document = await self.database.winner(number)
        if document is not None:
            await self.database.purge({number: [parse_rev(document.rev)]})


async def copied(source: Database, target: Database, info: AttachmentInfo) -> StagedAttachment:
    """An attachment's bytes in another database, waiting there for their document."""
    staged = await target.stage_attachment(
        source.read_attachment(info), content_type=info.content_type, encoding=info.encoding
    )
    return replace(staged, length=info.length)


def _size(given: AttachmentWrite) -> int:
    if isinstance(given, InlineAttachment):
        return len(given.data)
    return given.stored_length if isinstance(given, StagedAttachment) else 0
