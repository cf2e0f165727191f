"""A copy of everything about a person, for him: a ZIP file of JSON and attachments, made while it is sent.

    manifest.json           what is in it, and what is left out and why
    documents/ID.json       documents about him, his own unless it is deleted; of a user also what he wrote
    attachments/ID/NAME     their attachments
    history/ID.json         the stored versions of his own document
    consents.json           what he agreed to and withdrew, and when
    conflicts.json          changes of his document that a person had to decide, or has to
    quarantine.json         changes of it that were refused; of a user also his own
    audit.json              what the chain of writes has about him
    account.json            of a user: his record, without its password, his devices and calendars

It is read and packed a page at a time, in a thread: a copy of any size takes little memory, and keeps nobody
waiting.

Left out are other people's documents, private notes of others, and what the company thinks of the business
with him (`WITHHELD`): that is nobody's personal data.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import orjson

from kompass.archives import Archive
from kompass.audit import vault
from kompass.privacy import consents
from kompass.privacy.accounts import Accounts
from kompass.privacy.finding import NOTICES, Found, find, stored_texts
from kompass.privacy.sweep import login_of
from kompass.sync.conflicts import store as conflicts
from kompass.sync.gate.gate import Gate
from kompass.sync.quarantine.entries import parse
from replication.protocol import jsontext
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading
from replication.store.values import AttachmentInfo

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


async def export(
    gate: Gate, accounts: Accounts, subject: str, calendars: Sequence[Mapping[str, Any]] = ()
) -> AsyncGenerator[bytes, None]:
    """The pieces of the ZIP file. `calendars`: his subscriptions. Raises `UnknownSubjectError` before the
    first piece.
    """

    def look() -> tuple[Found, list[str], _Left]:
        with gate.database.reading() as reading:
            found = find(reading, subject)
            return found, *_documents(reading, found)

    found, docids, left = await asyncio.to_thread(look)
    archive = Archive()
    files = 0
    for start in range(0, len(docids), _PAGE):
        attached = await asyncio.to_thread(_pack, gate, archive, docids[start : start + _PAGE])
        yield archive.take()
        for name, info in attached:
            files += 1
            with archive.entry(name) as entry:
                async for piece in gate.database.read_attachment(info):
                    await asyncio.to_thread(entry.write, piece)
                    yield archive.take()
    for name, pages in _about(gate, found).items():
        with archive.entry(name) as entry:
            empty = True
            async for page in _each(pages):
                text = b"".join(
                    (b"[\n" if empty and not number else b",\n") + one for number, one in enumerate(page)
                )
                empty = empty and not page
                await asyncio.to_thread(entry.write, text)
                yield archive.take()
            entry.write(b"[]" if empty else b"\n]")
    login = login_of(subject)
    if login is not None:
        account = await _account(accounts, login)
        archive.write("account.json", _json({**account, "calendars": calendars}))
    manifest = {
        "subject": subject,
        "type": found.doctype,
        "deleted": found.subject not in docids,
        "exportedAt": gate.now().isoformat(timespec="seconds"),
        "documents": len(docids),
        "attachments": files,
        "leftOut": left.reasons,
    }
    archive.write("manifest.json", _json(manifest))
    archive.close()
    yield archive.take()


async def _each(pages: Iterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
    """Pages that are made in a thread."""
    while (page := await asyncio.to_thread(next, pages, None)) is not None:
        yield page


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def _name(docid: str) -> str:
    """An id, or the name of an attachment, as a name in the file."""
    return quote(docid, safe=" ").replace("..", "%2E%2E")


def _documents(reading: Reading, found: Found) -> tuple[list[str], _Left]:
    """Which documents are in it."""
    left = _Left()
    login = login_of(found.subject)
    winner = reading.winner(found.subject)
    wanted = [found.subject] if winner is not None and not winner.deleted else []
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
        if doctype in _PEOPLE and not (doctype == "lead" and docid in found.subjects):
            left.note("another person's or company's record")
        elif body.get("private") is True and not (login is not None and body.get("createdBy") == login):
            left.note("a private note of somebody else")
        else:
            wanted.append(docid)
    return wanted, left


def _pack(gate: Gate, archive: Archive, docids: list[str]) -> list[tuple[str, AttachmentInfo]]:
    """Puts documents into the file; returns their attachments."""
    attached = []
    with gate.database.reading() as reading:
        for docid, winner in reading.winners(docids).items():
            if winner.deleted:
                continue
            body: dict[str, Any] = jsontext.decode(winner.text)
            hidden = WITHHELD.get(str(body.get("type")), frozenset())
            shown = {name: value for name, value in body.items() if name not in hidden}
            archive.write(f"documents/{_name(docid)}.json", jsontext.encode(shown))
            if winner.has_attachments:
                found = reading.attachments(docid, parse_rev(winner.rev))
                attached += [
                    (f"attachments/{_name(docid)}/{_name(name)}", info) for name, info in found.items()
                ]
    return attached


def _about(gate: Gate, found: Found) -> dict[str, Iterator[list[bytes]]]:
    """Names of files -> what is in their lists, in pages of JSON."""
    return {
        f"history/{_name(found.subject)}.json": _history(gate, found),
        "consents.json": _consents(gate, found),
        "conflicts.json": _conflicts(gate, found),
        "quarantine.json": _quarantined(gate, found),
        "audit.json": _audited(gate, found),
    }


def _history(gate: Gate, found: Found) -> Iterator[list[bytes]]:
    with gate.database.reading() as reading:
        state = reading.revisions(found.subject)
    for rev in [] if state is None else list(state.tree):
        with gate.database.reading() as reading:
            one = reading.revision(found.subject, rev)
        yield [] if one is None else [one.text]


def _consents(gate: Gate, found: Found) -> Iterator[list[bytes]]:
    with gate.database.reading() as reading:
        given = consents.listed(reading, found.subject)
    yield [
        _json(
            {
                "purpose": one.purpose.value,
                "granted": one.granted,
                "at": one.at.isoformat(),
                "by": one.by,
                "wording": one.wording,
            }
        )
        for one in given
    ]


def _conflicts(gate: Gate, found: Found) -> Iterator[list[bytes]]:
    with gate.database.reading() as reading:
        told = conflicts.texts(reading, found.subject)
    for one in told:
        texts = [None if text is None else jsontext.decode(text.encode()) for text in one.texts]
        yield [jsontext.encode({"id": one.id, "texts": texts})]


def _audited(gate: Gate, found: Found) -> Iterator[list[bytes]]:
    """Entries about him with their values; of a user also that he did something, without values."""
    with gate.database.reading() as reading:
        found_in = vault.numbers(reading.connection, found.subject, login_of(found.subject))
        nums = array("q", sorted(found_in))
    for start in range(0, len(nums), _PAGE):
        page = []
        with gate.database.reading() as reading:
            for num in nums[start : start + _PAGE]:
                text, values = vault.entry(reading.connection, num)
                entry = orjson.loads(text)
                told = {name: entry.get(name) for name in _TOLD}
                if values is not None and entry.get("document") == found.subject:
                    told["values"] = orjson.loads(values)
                page.append(_json(told))
        yield page


_TOLD = ("num", "received", "who", "action", "document", "rule")


def _quarantined(gate: Gate, found: Found) -> Iterator[list[bytes]]:
    login = login_of(found.subject)
    after = 0
    while page := gate.quarantine.all(_PAGE, after):
        after = page[-1][0]
        for _, one in page:
            if one.docid != found.subject and one.user != login:
                continue
            with gate.quarantine.database.reading() as reading:
                document = reading.winner(one.id)
            if document is None or document.deleted:
                continue
            entry = parse(document)
            yield [
                _json(
                    {
                        "document": entry.docid,
                        "received": entry.received.isoformat(),
                        "user": entry.user,
                        "state": entry.state.value,
                        "reason": entry.refusal.reason,
                        "text": None if entry.deleted else entry.body.decode("utf-8", "replace"),
                    }
                )
            ]


async def _account(accounts: Accounts, name: str) -> dict[str, Any]:
    account = await accounts.of(name)
    record = account.record
    told = None
    if record is not None:
        told = {
            "name": record.name,
            "roles": sorted(record.roles),
            "active": record.active,
            "keycloakId": record.subject,
        }
    return {"record": told, "devices": [device.shown() for device in account.devices]}
