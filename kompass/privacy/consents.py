"""What customers agreed to and withdrew, entry by entry, as their documents say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from kompass.audit import actor
from kompass.domain import consent
from kompass.domain.consent import Purpose
from kompass.domain.stamps import moment, stamp
from kompass.privacy import tickets
from kompass.privacy.tickets import Kind
from replication.protocol import jsontext
from replication.store.sqlite import ChangedDocument, Reading, Writing


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


def note(writing: Writing, document: ChangedDocument, at: datetime) -> None:
    """Enters what a version of a customer's document agrees to or withdraws, as of a moment. A deletion or
    a purge, of whatever it was, withdraws everything.
    """
    had = {one.purpose for one in listed(writing, document.id, latest=True) if one.granted}
    is_live = document.seq and not document.deleted
    if not is_live and not had:
        return
    body = jsontext.decode_request(document.text) if is_live else None
    has = consent.granted(body)
    who = actor().name
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
                stamp(at),
                who,
                document.rev,
                wording if isinstance(wording, str) else None,
            ),
        )
        if purpose not in has:
            tickets.add(writing, Kind.WITHDRAWAL, document.id, purpose, at, {})


def listed(reading: Reading, docid: str, *, latest: bool = False) -> list[Given]:
    """What a customer agreed to and withdrew, in order; the latest of each purpose only."""
    rows: Any = reading.connection.execute(
        "SELECT purpose, granted, at, by, rev, wording FROM privacy_consents c WHERE doc = ?1"
        " AND (NOT ?2 OR num = (SELECT max(num) FROM privacy_consents l"
        " WHERE l.doc = c.doc AND l.purpose = c.purpose)) ORDER BY num",
        (docid, latest),
    ).fetchall()
    return [
        Given(Purpose(purpose), bool(granted), moment(at), by, rev, wording)
        for purpose, granted, at, by, rev, wording in rows
    ]


def reword(writing: Writing, replaced: Callable[[str], str]) -> None:
    """Rewrites what customers were told, where it names somebody."""
    execute = writing.connection.execute
    wordings: Any = execute("SELECT DISTINCT wording FROM privacy_consents WHERE wording NOT NULL").fetchall()
    for (text,) in wordings:
        if replaced(text) != text:
            execute("UPDATE privacy_consents SET wording = ? WHERE wording = ?", (replaced(text), text))
