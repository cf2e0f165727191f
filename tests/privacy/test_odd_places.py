"""Where else a person was found: names of files, reasons, wordings, local documents, other spellings."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from kompass.privacy import erasures
from kompass.privacy.journal import FILE, Journal
from kompass.sync.personal.local import LocalNotes
from kompass.texts import TextFile
from replication.protocol.documents import DocumentWrite
from replication.protocol.revisions import Path as Revisions
from tests.audit.world import look
from tests.privacy.world import FIRST, LAST, MAIL, OPPORTUNITY, erase, found_in, opportunity, person, raw
from tests.sync.gate_world import World, contact, contact_body, customer, new, uuid

NAME = f"{FIRST} {LAST}"
DEEP = b"[" * 900 + orjson.dumps(NAME)[:-1] + b' \\u0041"' + b"]" * 900


async def opened(directory: Path) -> World:
    world = await World.open(directory, follows=True)
    for number in (1, 2):
        await world.has_customer(number)
    await world.put(contact(1), person())
    return world


async def noted(world: World, number: int, text: bytes) -> None:
    """A customer's notes, byte by byte, past the gate."""
    stored = await world.body(customer(number))
    sent = orjson.dumps(stored)[:-1] + b',"notes":' + text + b"}"
    rev = (await world.path(customer(number))).leaf
    (result,) = await world.database.write([DocumentWrite(customer(number), False, sent, rev)])
    assert isinstance(result, str), result


async def test_nothing_is_left_in_odd_places(tmp_path: Path) -> None:
    world = await opened(tmp_path)
    files = {f"Karte {NAME}.pdf": b"abc", f"Karte {LAST}.pdf": b"def"}
    assert await world.push("adm1", (OPPORTUNITY, new(opportunity(), None, "", **files))) == [""]
    stored = await world.live(customer(1))
    consent = {"marketing": True, "wording": f"am Telefon mit {NAME}"}
    await world.put(customer(1), {**stored, "dsgvoConsent": consent})
    await world.put(contact(2), contact_body(customer(2), firstName="Anna", lastName="Berta"))
    done = await erase(world, contact(2), f"{NAME} hat darum gebeten")
    Journal(TextFile(tmp_path / FILE)).write(done.erasure)
    await world.database.put_local("checkpoint", 0, orjson.dumps({"who": NAME}))
    await LocalNotes(world.database).put("adm1", "note", 0, orjson.dumps({"who": NAME}))
    ways = f"{NAME.upper()}\n{MAIL.replace('@', '%40')} {FIRST}\u00a0{LAST}"
    await noted(world, 2, json.dumps(ways).encode())
    refused = new({**person(), "modifiedBy": "adm1"})
    assert await world.push("adm1", (f"contact-{FIRST}-{LAST}".lower(), refused)) != [""]

    await erase(world, contact(1))
    with world.database.reading() as reading:
        Journal(TextFile(tmp_path / FILE)).rewrite(erasures.listed(reading))
    named = await world.database.attachments(OPPORTUNITY, (await world.path(OPPORTUNITY)).leaf)
    assert sorted(named) == ["Karte Gelöschter Kontakt #2-2.pdf", "Karte Gelöschter Kontakt #2.pdf"]
    assert len({one.digest for one in named.values()}) == 2
    assert look(tmp_path / "kompass.sqlite").findings == []
    # What devices are told of a refused id stays, by design: nobody else can make such an id.
    with world.database.reading() as reading:
        told = reading.connection.execute("SELECT count(*) FROM access_refused").get
    assert told == 1
    await world.close()
    left = raw(tmp_path).lower()
    assert MAIL.encode() not in left
    assert NAME.lower().encode() not in left


@pytest.mark.parametrize(
    "text", ["ZYXWIKA MÜLLER-STRASSE", "Zyxwika Mu\u0308ller-Straße", "Zyxwika Mueller-Strasse"]
)
async def test_letters_may_be_written_otherwise(tmp_path: Path, text: str) -> None:
    world = await opened(tmp_path)
    await world.put(contact(1), {**person(), "lastName": "Müller-Straße"})
    await noted(world, 2, orjson.dumps(text))
    await erase(world, contact(1))
    assert (await world.live(customer(2)))["notes"] == "Gelöschter Kontakt #1"
    await world.close()


async def test_what_is_nested_too_deep_stops_no_erasure(tmp_path: Path) -> None:
    world = await opened(tmp_path)
    await noted(world, 2, DEEP)
    call = {"type": "activity", "createdBy": "adm1", "customerId": customer(1)}
    sent = orjson.dumps(call)[:-1] + b',"x":' + DEEP + b"}"
    path = Revisions(1, ["a" * 32])
    write = DocumentWrite(f"activity-{uuid(7)}", False, sent, path.leaf, path, {})
    await world.push_raw("adm1", [write])
    assert (await erase(world, contact(1))).is_clean
    assert (await world.live(customer(2)))["notes"] == "[gelöscht]"
    assert found_in(raw(tmp_path)) == []
    await world.close()
