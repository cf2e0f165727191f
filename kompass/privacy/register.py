"""The tables of erasures, tickets and consent, in the operational database's own file.

- `privacy_counters`: the last number of each kind of pseudonym.
- `privacy_erasures`: what was erased, when, by whom and why. No name of anybody is in it.
- `privacy_subjects`: the documents that were about an erased person themselves.
- `privacy_documents`: every document that an erasure has rewritten, with the revision it made. What doesn't
  follow that one may still have what was erased.
- `privacy_pending`: erasures of which bytes may still lie in the quarantine or in files, with what has to be
  looked for there as long as that is needed.
- `privacy_due`: people who were erased on another server, and are to be erased here.
- `privacy_identities`: digests of the ids that erased users have in Keycloak.
- `privacy_tickets`: what devices and consumers of the feed have to remove; `privacy_acknowledged`: who has.
- `privacy_consumers`: who has to, besides devices, and after which ticket.
- `privacy_consents`: what a customer agreed to and withdrew, entry by entry; nothing is ever changed there
  but names in wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from kompass.access.principals import Principal
from kompass.audit import Cause, actor
from kompass.domain import anonymity, consent
from kompass.domain.changes import Change, NoFacts
from kompass.domain.consent import Purpose
from kompass.domain.personal import ANONYMIZED, LABELS, number_in
from kompass.domain.redaction import unnumbered
from kompass.domain.settings import BusinessSettings
from kompass.privacy.sweep import Sweep
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, parse_rev
from replication.protocol.sequences import Epochs
from replication.store.sqlite import ChangedDocument, Extension, Reading, Writing
from replication.store.values import Document

_TABLES = """
CREATE TABLE IF NOT EXISTS privacy_counters (doctype TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_erasures (
    num INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    subjects TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS privacy_subjects (
    id TEXT PRIMARY KEY,
    doctype TEXT NOT NULL,
    number INTEGER NOT NULL,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_documents (
    id TEXT PRIMARY KEY,
    rev TEXT NOT NULL,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_pending (erasure INTEGER PRIMARY KEY, sweep BLOB);
CREATE TABLE IF NOT EXISTS privacy_due (subject TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_identities (
    digest TEXT PRIMARY KEY,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_tickets (
    num INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    purpose TEXT,
    at INTEGER NOT NULL,
    documents TEXT NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS privacy_consumers (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    after INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_acknowledged (
    ticket INTEGER NOT NULL,
    consumer TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (ticket, consumer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_consents (
    num INTEGER PRIMARY KEY,
    doc TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    rev TEXT NOT NULL,
    wording TEXT
);
CREATE INDEX IF NOT EXISTS privacy_consents_by_doc ON privacy_consents (doc, purpose, num);
"""


ERASURE = "erasure"
"""What the chain of writes says of revisions that an erasure makes."""
_NOBODY = Principal("", frozenset())
_SETTINGS = BusinessSettings()


_ADDED = {
    "privacy_consumers": ("after", "INTEGER NOT NULL DEFAULT 0"),
    "privacy_tickets": ("seq", "INTEGER NOT NULL DEFAULT 0"),
}
"""Columns that tables of earlier versions lack."""


class Kind(StrEnum):
    """Why something has to be removed."""

    ERASURE = "erasure"
    """The person was erased: compact or purge earlier versions, and what was made of them."""
    WITHDRAWAL = "withdrawal"
    """A purpose is no longer agreed to: what was made for it goes."""


class Subject(NamedTuple):
    """A document that is about an erased person."""

    id: str
    doctype: str
    number: int
    """Of its pseudonym."""


class Erasure(NamedTuple):
    """What was erased."""

    num: int
    subject: str
    at: datetime
    by: str
    reason: str
    subjects: tuple[Subject, ...]
    """The subject first; then those that belong to it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.num,
            "subject": self.subject,
            "at": _text(self.at),
            "by": self.by,
            "reason": self.reason,
            "subjects": [list(one) for one in self.subjects],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Erasure:
        return cls(
            int(value["number"]),
            str(value["subject"]),
            datetime.fromisoformat(value["at"]),
            str(value["by"]),
            str(value["reason"]),
            tuple(Subject(str(one[0]), str(one[1]), int(one[2])) for one in value["subjects"]),
        )


class Given(NamedTuple):
    """Something that a customer agreed to, or withdrew."""

    purpose: Purpose
    granted: bool
    at: datetime
    by: str
    rev: str
    """The version of his document that says so."""
    wording: str | None
    """What he was told, if the document names it."""


class Register(Extension):
    """Keeps the tables; belongs to the operational database."""

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        erased: Callable[[Erasure], None] = lambda _: None,
        reworded: Callable[[Sequence[Erasure]], None] = lambda _: None,
    ) -> None:
        """`erased` hears of every erasure once it is durable, before anybody is answered; `reworded` of those
        that have another reason now.
        """
        self._now = now
        self._erased = erased
        self._reworded = reworded

    def prepare(self, writing: Writing) -> None:
        prepare(writing)

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            if b'"type":"customer"' in document.text:
                self._note_consent(writing, document)
            elif document.deleted or not document.seq:
                self._note_consent(writing, document, gone=True)
            self._note_erased_elsewhere(writing, document)

    def check(self, writing: Writing, write: DocumentWrite, winner: Document | None) -> ProtocolError | None:
        """What was erased doesn't come back by administrators, imports and replications either: whatever
        follows a version of before the erasure, unless it says what is stored.
        """
        if write.deleted or winner is None:
            return None
        clean = rewritten(writing, [write.id]).get(write.id)
        if clean is None:
            return None
        stored = {} if winner.deleted else _plain(winner.text)
        if write.path is not None and clean not in write.path.revisions():
            sent = _plain(write.body)
            if not winner.deleted and _says(sent) == _says(stored) and not write.attachments:
                return None
            return errors.forbidden(
                "Personal data was erased from this document, and this follows an earlier version: it isn't"
                " stored. Replicate the other way first, and edit what is there then."
            )
        body = _plain(write.body)
        is_named = number_in(str(body.get("type")), body) is None
        if winner.deleted and is_named and subjects_among(writing, [write.id]):
            return errors.forbidden(
                "The person in this document was erased, and it is deleted: it isn't written again. Make a"
                " new document."
            )
        refusal = anonymity.check(
            Change(body | {"_id": write.id}, stored, _NOBODY, self._now()), NoFacts(), _SETTINGS
        )
        return None if refusal is None else errors.forbidden(refusal.reason)

    def _note_erased_elsewhere(self, writing: Writing, document: ChangedDocument) -> None:
        for one in document.written:
            if one.deleted or b'"anonymized":true' not in one.text:
                continue
            if type(one.note) is Cause and one.note.origin == ERASURE:
                continue
            body = _plain(one.text)
            if body.get(ANONYMIZED) is not True or str(body.get("type")) not in LABELS:
                continue
            if not subjects_among(writing, [document.id]):
                writing.connection.execute(
                    "INSERT OR IGNORE INTO privacy_due VALUES (?, ?)", (document.id, _stamp(self._now()))
                )

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        for note in notes:
            if isinstance(note, Erasure):
                self._erased(note)
            elif isinstance(note, Reworded):
                self._reworded(note.erasures)

    def _note_consent(self, writing: Writing, document: ChangedDocument, *, gone: bool = False) -> None:
        had = {one.purpose for one in consents(writing, document.id, latest=True) if one.granted}
        if gone and not had:
            return
        body: dict[str, Any] | None = None
        if document.seq and not document.deleted:
            body = jsontext.decode_request(document.text)
        has = consent.granted(body)
        at, who = self._now(), actor().name
        stated = (body or {}).get(consent.CONSENT)
        wording = stated.get("wording") if isinstance(stated, Mapping) else None
        for purpose in Purpose:
            if (purpose in had) == (purpose in has):
                continue
            writing.connection.execute(
                "INSERT INTO privacy_consents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                (
                    document.id,
                    purpose.value,
                    purpose in has,
                    _stamp(at),
                    who,
                    document.rev,
                    wording if isinstance(wording, str) else None,
                ),
            )
            if purpose not in has:
                add_ticket(writing, Kind.WITHDRAWAL, document.id, purpose, at, {})


def _plain(text: bytes) -> dict[str, Any]:
    value = jsontext.decode_request(text)
    return {name: one for name, one in value.items() if name[:1] != "_"}


def _says(body: Mapping[str, Any]) -> Any:
    """What tells two versions of an erased document apart."""
    return unnumbered({name: one for name, one in body.items() if name not in _OF_THE_ERASURE})


_OF_THE_ERASURE = frozenset({"erasures", "anonymizedAt", "dsgvoConsent"})


def prepare(writing: Writing) -> None:
    """Makes the tables unless they are there."""
    writing.connection.execute(_TABLES)
    for table, (name, kind) in _ADDED.items():
        rows: Any = writing.connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        if name not in {one for (one,) in rows}:
            writing.connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


# -- erasures --------------------------------------------------------------------------------------


def next_number(writing: Writing, doctype: str) -> int:
    """The number of the next pseudonym of that kind."""
    found = writing.connection.execute(
        "INSERT INTO privacy_counters VALUES (?, 1)"
        " ON CONFLICT (doctype) DO UPDATE SET last = last + 1 RETURNING last",
        (doctype,),
    ).get
    return int(found)


def keep(writing: Writing, erasure: Erasure, documents: Mapping[str, str]) -> None:
    """Notes what was erased. `documents`: id -> the revision that the erasure made."""
    execute = writing.connection.execute
    subjects = orjson.dumps([list(one) for one in erasure.subjects]).decode()
    execute(
        "INSERT INTO privacy_erasures VALUES (?, ?, ?, ?, ?, ?)",
        (erasure.num, erasure.subject, _stamp(erasure.at), erasure.by, erasure.reason, subjects),
    )
    not_due(writing, [one.id for one in erasure.subjects])
    for one in erasure.subjects:
        execute("INSERT OR REPLACE INTO privacy_subjects VALUES (?, ?, ?, ?)", (*one, erasure.num))
        execute(
            "INSERT INTO privacy_counters VALUES (?, ?)"
            " ON CONFLICT (doctype) DO UPDATE SET last = max(last, excluded.last)",
            (one.doctype, one.number),
        )
    writing.connection.executemany(
        "INSERT OR REPLACE INTO privacy_documents VALUES (?, ?, ?)",
        [(docid, rev, erasure.num) for docid, rev in documents.items()],
    )


def erasures(reading: Reading) -> list[Erasure]:
    """All, the first one first."""
    rows: Any = reading.connection.execute(
        "SELECT num, subject, at, by, reason, subjects FROM privacy_erasures ORDER BY num"
    ).fetchall()
    return [
        Erasure(num, subject, _moment(at), by, reason, tuple(Subject(*one) for one in orjson.loads(subjects)))
        for num, subject, at, by, reason, subjects in rows
    ]


class Reworded(NamedTuple):
    """Reasons of earlier erasures named somebody: for `Extension.committed`."""

    erasures: tuple[Erasure, ...]


def reword(writing: Writing, replaced: Callable[[str], str]) -> None:
    """Rewrites what people have entered here in words: reasons of earlier erasures, wordings of consents."""
    before = erasures(writing)
    execute = writing.connection.execute
    reasons: Any = execute("SELECT DISTINCT reason FROM privacy_erasures").fetchall()
    for (text,) in reasons:
        if replaced(text) != text:
            execute("UPDATE privacy_erasures SET reason = ? WHERE reason = ?", (replaced(text), text))
    wordings: Any = execute("SELECT DISTINCT wording FROM privacy_consents WHERE wording NOT NULL").fetchall()
    for (text,) in wordings:
        if replaced(text) != text:
            execute("UPDATE privacy_consents SET wording = ? WHERE wording = ?", (replaced(text), text))
    reworded = tuple(now for was, now in zip(before, erasures(writing), strict=True) if was != now)
    if reworded:
        writing.tell(Reworded(reworded))


def next_erasure(reading: Reading) -> int:
    found = reading.connection.execute("SELECT max(num) FROM privacy_erasures").get
    return int(found or 0) + 1


def note_identity(writing: Writing, digest: str, erasure: int) -> None:
    """Whoever comes from Keycloak with this id has been erased."""
    writing.connection.execute("INSERT OR IGNORE INTO privacy_identities VALUES (?, ?)", (digest, erasure))


def knows_identity(reading: Reading, digest: str) -> bool:
    found = reading.connection.execute("SELECT 1 FROM privacy_identities WHERE digest = ?", (digest,)).get
    return found is not None


def subjects_among(reading: Reading, docids: Iterable[str]) -> set[str]:
    """Which of these documents were about somebody who is erased."""
    rows: Any = reading.connection.execute(
        "SELECT p.id FROM json_each(?) CROSS JOIN privacy_subjects p ON p.id = value", (_array(docids),)
    )
    return {docid for (docid,) in rows}


def rewritten(reading: Reading, docids: Iterable[str]) -> dict[str, Rev]:
    """Those of these documents that erasures have rewritten -> the revision that the last one made."""
    rows: Any = reading.connection.execute(
        "SELECT p.id, p.rev FROM json_each(?) CROSS JOIN privacy_documents p ON p.id = value",
        (_array(docids),),
    )
    return {docid: parse_rev(rev) for docid, rev in rows}


def due(reading: Reading, before: datetime) -> list[str]:
    """Who was erased on another server, as this one has known since before that moment."""
    rows: Any = reading.connection.execute(
        "SELECT subject FROM privacy_due WHERE at <= ? ORDER BY at", (_stamp(before),)
    )
    return [subject for (subject,) in rows]


def not_due(writing: Writing, subjects: Iterable[str]) -> None:
    """Nothing has to be done any more."""
    writing.connection.executemany(
        "DELETE FROM privacy_due WHERE subject = ?", [(subject,) for subject in subjects]
    )


# -- what is left to do ----------------------------------------------------------------------------


def begin(writing: Writing, erasure: int, sweep: Sweep) -> None:
    """What is outside of this transaction is still to be done."""
    writing.connection.execute(
        "INSERT OR REPLACE INTO privacy_pending VALUES (?, ?)", (erasure, sweep.to_json())
    )


def pending(reading: Reading) -> dict[int, Sweep | None]:
    """Erasures that aren't done; without a sweep only the bytes in the files are left."""
    rows: Any = reading.connection.execute("SELECT erasure, sweep FROM privacy_pending ORDER BY erasure")
    return {num: None if text is None else Sweep.from_json(text) for num, text in rows}


def swept(writing: Writing, erasure: int) -> None:
    """Nothing has to be looked for any more."""
    with writing.overwriting():
        writing.connection.execute("UPDATE privacy_pending SET sweep = NULL WHERE erasure = ?", (erasure,))


def finish(writing: Writing, erasures: Iterable[int]) -> None:
    """The files have been rewritten."""
    writing.connection.executemany(
        "DELETE FROM privacy_pending WHERE erasure = ?", [(num,) for num in erasures]
    )


# -- tickets ---------------------------------------------------------------------------------------


class Ticket(NamedTuple):
    """Something that devices and consumers of the feed have to remove."""

    num: int
    kind: Kind
    subject: str
    purpose: Purpose | None
    """What a withdrawal is about; None for an erasure, which concerns all of them."""
    at: datetime
    documents: Mapping[str, str]
    """Id -> the first revision that is clean: everything before it goes. Of a withdrawal: none."""
    seq: int = 0
    """Whoever has read the feed up to here has the clean versions; 0 where that wasn't noted."""

    def shown(
        self, epochs: Epochs, visible: Callable[[Iterable[str]], set[str]] | None = None
    ) -> dict[str, Any]:
        """For the API; `visible` names which documents may be told of."""
        documents = dict(self.documents)
        if visible is not None:
            seen = visible([*documents, self.subject])
            documents = {docid: rev for docid, rev in documents.items() if docid in seen}
        value: dict[str, Any] = {
            "ticket": self.num,
            "kind": self.kind.value,
            "at": _text(self.at),
            "documents": [{"id": docid, "cleanFrom": rev} for docid, rev in sorted(documents.items())],
        }
        if self.seq:
            value["seq"] = epochs.format(self.seq)
        if self.purpose is not None:
            value["purpose"] = self.purpose.value
        if visible is None or self.subject in seen:
            value["subject"] = self.subject
        return value


def add_ticket(
    writing: Writing,
    kind: Kind,
    subject: str,
    purpose: Purpose | None,
    at: datetime,
    documents: Mapping[str, str],
) -> int:
    writing.connection.execute(
        "INSERT INTO privacy_tickets VALUES (NULL, ?, ?, ?, ?, ?, ?)",
        (
            kind.value,
            subject,
            None if purpose is None else purpose.value,
            _stamp(at),
            orjson.dumps(dict(documents)).decode(),
            writing.update_seq,
        ),
    )
    return writing.connection.last_insert_rowid()


def latest_ticket(reading: Reading) -> int:
    """The number of the last one, 0 if there is none."""
    return int(reading.connection.execute("SELECT max(num) FROM privacy_tickets").get or 0)


def tickets(
    reading: Reading, *, after: int = 0, limit: int = 100, unseen_by: str | None = None
) -> list[Ticket]:
    """From a number on, the first one first; those that this consumer hasn't acknowledged."""
    rows: Any = reading.connection.execute(
        "SELECT num, kind, subject, purpose, at, documents, seq FROM privacy_tickets WHERE num > ?1"
        " AND (?2 IS NULL OR NOT EXISTS (SELECT 1 FROM privacy_acknowledged"
        " WHERE ticket = num AND consumer = ?2)) ORDER BY num LIMIT ?3",
        (after, unseen_by, limit),
    ).fetchall()
    return [
        Ticket(
            num,
            Kind(kind),
            subject,
            None if purpose is None else Purpose(purpose),
            _moment(at),
            orjson.loads(documents),
            seq,
        )
        for num, kind, subject, purpose, at, documents, seq in rows
    ]


def acknowledge(writing: Writing, ticket: int, consumer: str, at: datetime) -> bool:
    """Somebody has removed what the ticket names. False if there is no such ticket."""
    if writing.connection.execute("SELECT 1 FROM privacy_tickets WHERE num = ?", (ticket,)).get is None:
        return False
    writing.connection.execute(
        "INSERT OR IGNORE INTO privacy_acknowledged VALUES (?, ?, ?)", (ticket, consumer, _stamp(at))
    )
    return True


def acknowledged(reading: Reading, ticket: int) -> dict[str, datetime]:
    """Who has, and when."""
    rows: Any = reading.connection.execute(
        "SELECT consumer, at FROM privacy_acknowledged WHERE ticket = ? ORDER BY consumer", (ticket,)
    ).fetchall()
    return {consumer: _moment(at) for consumer, at in rows}


class Enrolment(NamedTuple):
    """A consumer of the feed that has to acknowledge tickets."""

    name: str
    since: datetime
    after: int
    """Those up to this number it has not."""


def enrol(writing: Writing, consumer: str, at: datetime, after: int = 0) -> None:
    """From now on this consumer of the feed has to acknowledge tickets, those of before as well that come
    after the number `after`. The first time counts.
    """
    writing.connection.execute(
        "INSERT OR IGNORE INTO privacy_consumers VALUES (?, ?, ?)", (consumer, _stamp(at), after)
    )


def dismiss(writing: Writing, consumer: str) -> bool:
    """Nothing waits for it any more. False if nothing did."""
    writing.connection.execute("DELETE FROM privacy_consumers WHERE name = ?", (consumer,))
    return writing.connection.changes() > 0


def enrolments(reading: Reading, consumer: str | None = None) -> list[Enrolment]:
    """By name; of one consumer if it is named, nothing if it isn't enrolled."""
    rows: Any = reading.connection.execute(
        "SELECT name, since, after FROM privacy_consumers WHERE ?1 IS NULL OR name = ?1 ORDER BY name",
        (consumer,),
    ).fetchall()
    return [Enrolment(name, _moment(since), after) for name, since, after in rows]


def consumers(reading: Reading) -> dict[str, datetime]:
    """Who has to acknowledge, and since when."""
    return {one.name: one.since for one in enrolments(reading)}


def waiting(reading: Reading, one: Enrolment) -> tuple[int, datetime | None]:
    """How many tickets wait for a consumer, and since when the first of them does."""
    row: Any = reading.connection.execute(
        "SELECT count(*), min(at) FROM privacy_tickets WHERE num > ?1 AND NOT EXISTS"
        " (SELECT 1 FROM privacy_acknowledged WHERE ticket = num AND consumer = ?2)",
        (one.after, one.name),
    ).fetchone()
    count, oldest = row
    return count, None if oldest is None else _moment(oldest)


# -- consent ---------------------------------------------------------------------------------------


def consents(reading: Reading, docid: str, *, latest: bool = False) -> list[Given]:
    """What a customer agreed to and withdrew, in order; the latest of each purpose only."""
    rows: Any = reading.connection.execute(
        "SELECT purpose, granted, at, by, rev, wording FROM privacy_consents c WHERE doc = ?1"
        " AND (NOT ?2 OR num = (SELECT max(num) FROM privacy_consents l"
        " WHERE l.doc = c.doc AND l.purpose = c.purpose)) ORDER BY num",
        (docid, latest),
    ).fetchall()
    return [
        Given(Purpose(purpose), bool(granted), _moment(at), by, rev, wording)
        for purpose, granted, at, by, rev, wording in rows
    ]


def _array(docids: Iterable[str]) -> str:
    return orjson.dumps(list(docids)).decode()


def _stamp(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
