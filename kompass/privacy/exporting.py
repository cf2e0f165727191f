"""A copy of everything about a person, for him: a ZIP file of JSON and attachments, made while it is sent.

    manifest.json           what is in it, and what is left out and why
    documents/ID.json       documents about him; of a user also what he wrote
    attachments/ID/NAME     their attachments
    history/ID.json         the stored versions of his own document
    consents.json           what he agreed to and withdrew, and when
    conflicts.json          changes of his document that a person had to decide, or has to
    quarantine.json         changes of it that were refused; of a user also his own
    audit.json              what the chain of writes has about him

Left out are other people's documents, private notes of others, and what the company thinks of the business
with him (`WITHHELD`): that is nobody's personal data.
"""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from kompass.audit import vault
from kompass.privacy.finding import NOTICES, Found, find, stored_texts, versions
from kompass.privacy.register import consents
from kompass.sync.conflicts import store as conflicts
from kompass.sync.gate.gate import Gate
from replication.protocol import jsontext
from replication.protocol.revisions import parse_rev
from replication.store.interface import AttachmentInfo
from replication.store.sqlite import Reading

WITHHELD = {
    "opportunity": frozenset({"probability", "estimatedValue", "weightedValue", "lostToCompetitor"}),
    "project": frozenset(
        {
            "budget",
            "estimatedMaterialCost",
            "estimatedLaborCost",
            "estimatedSubcontractorCost",
            "estimatedTotalCost",
        }
    ),
}
"""Type -> fields that are the company's own figures."""

_PEOPLE = frozenset({"customer", "contact", "lead", "user", "supplier"})
_CARDS = "_card"
_WHO = ("createdBy", "userId", "assignedTo", "owner", "ownerId", "recipientId", "projectManagerId")
_PAGE = 200


@dataclass(slots=True)
class _Left:
    """What is left out, and why."""

    reasons: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class _Buffer:
    """Takes what a ZIP file is made of, and hands it on."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


async def export(gate: Gate, subject: str) -> AsyncIterator[bytes]:
    """The pieces of the ZIP file. Raises `UnknownSubjectError` before the first one."""
    with gate.database.reading() as reading:
        found = find(reading, subject)
        docids, left = _documents(reading, found)
    buffer = _Buffer()
    archive = zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]
    files = 0
    for start in range(0, len(docids), _PAGE):
        page, attached = _read(gate, docids[start : start + _PAGE])
        for name, text in page:
            archive.writestr(name, text)
            yield buffer.take()
        for name, info in attached:
            files += 1
            with archive.open(name, "w", force_zip64=True) as entry:
                async for piece in gate.database.read_attachment(info):
                    entry.write(piece)
                    yield buffer.take()
    with gate.database.reading() as reading:
        for name, text in _about(reading, found):
            archive.writestr(name, text)
            yield buffer.take()
    archive.writestr("quarantine.json", _json(await _quarantined(gate, found)))
    manifest = {
        "subject": subject,
        "type": found.doctype,
        "exportedAt": gate.now().isoformat(timespec="seconds"),
        "documents": len(docids),
        "attachments": files,
        "leftOut": left.reasons,
    }
    archive.writestr("manifest.json", _json(manifest))
    archive.close()
    yield buffer.take()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _name(docid: str) -> str:
    """An id, or the name of an attachment, as a name in the file."""
    return quote(docid, safe=" ").replace("..", "%2E%2E")


def _login(found: Found) -> str | None:
    return found.subject.removeprefix("user-") if found.doctype == "user" else None


def _documents(reading: Reading, found: Found) -> tuple[list[str], _Left]:
    """Which documents are in it."""
    left = _Left()
    login = _login(found)
    wanted = [found.subject]
    needle = None if login is None else orjson.dumps(login).decode()
    candidates = found.near | found.documents
    for docid, text, is_winner in stored_texts(reading, 0):
        if not is_winner or docid == found.subject:
            continue
        if docid not in candidates and (needle is None or needle not in text):
            continue
        body = jsontext.decode_request(text.encode())
        doctype = str(body.get("type"))
        mine = login is not None and any(body.get(name) == login for name in _WHO)
        if body.get("_deleted") or doctype in NOTICES or doctype.endswith(_CARDS):
            continue
        if docid not in candidates and not mine:
            continue
        if doctype in _PEOPLE and not (doctype == "lead" and body.get("email") in found.shared):
            left.note("another person's or company's record")
        elif body.get("private") is True and not (login is not None and body.get("createdBy") == login):
            left.note("a private note of somebody else")
        else:
            wanted.append(docid)
    return wanted, left


def _read(gate: Gate, docids: list[str]) -> tuple[list[tuple[str, bytes]], list[tuple[str, AttachmentInfo]]]:
    pages, attached = [], []
    with gate.database.reading() as reading:
        for docid, winner in reading.winners(docids).items():
            if winner.deleted:
                continue
            body: dict[str, Any] = jsontext.decode(winner.text)
            hidden = WITHHELD.get(str(body.get("type")), frozenset())
            shown = {name: value for name, value in body.items() if name not in hidden}
            pages.append((f"documents/{_name(docid)}.json", jsontext.encode(shown)))
            if winner.has_attachments:
                found = reading.attachments(docid, parse_rev(winner.rev))
                attached += [
                    (f"attachments/{_name(docid)}/{_name(name)}", info) for name, info in found.items()
                ]
    return pages, attached


def _about(reading: Reading, found: Found) -> Iterator[tuple[str, bytes]]:
    subject = found.subject
    history = [jsontext.decode(one.text) for one in versions(reading, subject)]
    yield f"history/{_name(subject)}.json", jsontext.encode(history)
    given = [
        {
            "purpose": one.purpose.value,
            "granted": one.granted,
            "at": one.at.isoformat(),
            "by": one.by,
            "wording": one.wording,
        }
        for one in consents(reading, subject)
    ]
    yield "consents.json", _json(given)
    told = [
        {
            "id": one.id,
            "texts": [None if text is None else jsontext.decode(text.encode()) for text in one.texts],
        }
        for one in conflicts.texts(reading)
        if one.docid == subject
    ]
    yield "conflicts.json", jsontext.encode(told)
    yield "audit.json", _audited(reading, found)


def _audited(reading: Reading, found: Found) -> bytes:
    """Entries about him with their values; of a user also that he did something, without values."""
    login = _login(found)
    own = {one.num: one for one in vault.readable(reading.connection) if one.doc == found.subject}
    rows: Any = reading.connection.execute(
        "SELECT num, text FROM audit_entries WHERE doc = ?1 OR user = ?2 ORDER BY num",
        (found.subject, login),
    )
    entries = []
    for num, text in rows:
        entry = orjson.loads(text)
        told = {name: entry.get(name) for name in ("num", "received", "who", "action", "document", "rule")}
        if num in own:
            told["values"] = orjson.loads(own[num].opening)
        entries.append(told)
    return _json(entries)


async def _quarantined(gate: Gate, found: Found) -> list[dict[str, Any]]:
    login = _login(found)
    entries = []
    after = 0
    while page := gate.quarantine.all(_PAGE, after):
        after = page[-1][0]
        for _, one in page:
            if one.docid != found.subject and one.user != login:
                continue
            entry = await gate.quarantine.get(one.id)
            if entry is not None:
                entries.append(
                    {
                        "document": entry.docid,
                        "received": entry.received.isoformat(),
                        "user": entry.user,
                        "state": entry.state.value,
                        "reason": entry.refusal.reason,
                        "text": None if entry.deleted else entry.body.decode("utf-8", "replace"),
                    }
                )
    return entries
