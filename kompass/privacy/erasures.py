"""What was erased: whom, when, by whom, and which documents were rewritten for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from kompass.domain.stamps import moment, stamp, timestamp
from replication.protocol.revisions import Rev, parse_rev
from replication.store.sqlite import Reading, Writing, id_list

ORIGIN = "erasure"
"""What the chain of writes says of revisions that an erasure makes."""


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
            "at": timestamp(self.at),
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
        (erasure.num, erasure.subject, stamp(erasure.at), erasure.by, erasure.reason, subjects),
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


def listed(reading: Reading) -> list[Erasure]:
    """All, the first one first."""
    rows: Any = reading.connection.execute(
        "SELECT num, subject, at, by, reason, subjects FROM privacy_erasures ORDER BY num"
    ).fetchall()
    return [
        Erasure(num, subject, moment(at), by, reason, tuple(Subject(*one) for one in orjson.loads(subjects)))
        for num, subject, at, by, reason, subjects in rows
    ]


class Reworded(NamedTuple):
    """Reasons of earlier erasures named somebody: for `Extension.committed`."""

    erasures: tuple[Erasure, ...]


def reword(writing: Writing, replaced: Callable[[str], str]) -> None:
    """Rewrites the reasons of earlier erasures, where they name somebody."""
    before = listed(writing)
    execute = writing.connection.execute
    reasons: Any = execute("SELECT DISTINCT reason FROM privacy_erasures").fetchall()
    for (text,) in reasons:
        if replaced(text) != text:
            execute("UPDATE privacy_erasures SET reason = ? WHERE reason = ?", (replaced(text), text))
    reworded = tuple(now for was, now in zip(before, listed(writing), strict=True) if was != now)
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
        "SELECT p.id FROM json_each(?) CROSS JOIN privacy_subjects p ON p.id = value", (id_list(docids),)
    )
    return {docid for (docid,) in rows}


def rewritten(reading: Reading, docids: Iterable[str]) -> dict[str, Rev]:
    """Those of these documents that erasures have rewritten -> the revision that the last one made."""
    rows: Any = reading.connection.execute(
        "SELECT p.id, p.rev FROM json_each(?) CROSS JOIN privacy_documents p ON p.id = value",
        (id_list(docids),),
    )
    return {docid: parse_rev(rev) for docid, rev in rows}


def due(reading: Reading, before: datetime) -> list[str]:
    """Who was erased on another server, as this one has known since before that moment."""
    rows: Any = reading.connection.execute(
        "SELECT subject FROM privacy_due WHERE at <= ? ORDER BY at", (stamp(before),)
    )
    return [subject for (subject,) in rows]


def note_due(writing: Writing, subject: str, at: datetime) -> None:
    """Somebody was erased on another server, as this one has known since that moment."""
    writing.connection.execute("INSERT OR IGNORE INTO privacy_due VALUES (?, ?)", (subject, stamp(at)))


def not_due(writing: Writing, subjects: Iterable[str]) -> None:
    """Nothing has to be done any more."""
    writing.connection.executemany(
        "DELETE FROM privacy_due WHERE subject = ?", [(subject,) for subject in subjects]
    )
