"""A company that somebody wants to be erased from, with traces of him in every place there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kompass.audit import Actor, Door, acting
from kompass.privacy.accounts import Accounts
from kompass.privacy.erasing import Done
from kompass.privacy.service import Privacy
from tests.business.documents import body, docid
from tests.sync.gate_world import Version, World, contact, contact_body, customer, new

FIRST, LAST = "Zyxwika", "Qvarnblom"
MAIL, PHONE = "zyx@qvarnblom.example", "+49 170 998877665"
OLD_MAIL = "alt-zyx@qvarnblom.example"
MARKS = (LAST, "zyx@", "998877665", "998 87 76 65", OLD_MAIL, "Hundestaffel", "Visitenkarte-4711")
"""What nobody may find any more."""

ACTIVITY, OPPORTUNITY, PROTOCOL = docid("activity", 1), docid("opportunity", 1), docid("protocol", 1)
ADDRESS = {"street": "Am Deich", "streetNumber": "3", "zipCode": "26721", "city": "Emden", "country": "DE"}


def person(**more: Any) -> dict[str, Any]:
    return contact_body(
        customer(1),
        firstName=FIRST,
        lastName=LAST,
        **{"email": MAIL, "phone": PHONE, "notes": "mag die Hundestaffel", **more},
    )


def opportunity(**more: Any) -> dict[str, Any]:
    """Somebody wants to sell him something."""
    return body(
        "opportunity",
        "adm1",
        customerId=customer(1),
        contactPersonId=contact(1),
        owner="adm1",
        **{"title": "Regale", "status": "new", "estimatedValue": 1000, **more},
    )


async def populated(directory: Path) -> World:
    """Two salesmen, one contact, and his traces: old versions, a branch, a conflict, refused work, the
    chain.
    """
    world = await World.open(directory, follows=True)
    await world.has_customer(1, billingAddress=ADDRESS, notes=f"Ansprechpartner: {FIRST} {LAST}")
    await world.has_customer(2, owner="adm2", companyName="Anderer Hof", billingAddress=ADDRESS)
    first = new(person(email=OLD_MAIL), photo=b"Visitenkarte-4711")
    assert await world.push("adm1", (contact(1), first)) == [""]
    second = new(person(), first.path, photo=b"Visitenkarte-4711")
    assert await world.push("adm1", (contact(1), second)) == [""]
    call = body(
        "activity",
        "adm1",
        customerId=customer(1),
        contactId=contact(1),
        activityType="call",
        date="2026-03-01T08:00:00.000Z",
        subject=f"Anruf bei Frau {LAST}",
        description=f"unter 0170/998 87 76 65, {MAIL.upper()}",
        voiceTranscript="Hundestaffel",
    )
    assert await world.push("adm1", (ACTIVITY, new(call, None, "", memo=b"Visitenkarte-4711"))) == [""]
    deal = opportunity(title=f"Regale ({LAST})")
    assert await world.push("adm1", (OPPORTUNITY, new(deal))) == [""]
    # Somebody else's changes from an old version: a branch, and a conflict with both texts.
    office = new(
        person(modifiedBy="innen1", phone="+49 170 998877665", position="Hundestaffel"), second.path, "office"
    )
    assert await world.push("innen1", (contact(1), office)) == [""]
    branch = new(
        person(phone="+49 170 998877665 1", position="Leiterin der Hundestaffel"), second.path, "adm"
    )
    assert await world.push("adm1", (contact(1), branch)) == [""]
    # What was refused lies in quarantine, with its text, and its author was told.
    refused = new(person(authorityLevel="high", department=f"Hundestaffel {LAST}"), branch.path, "no")
    assert await world.push("adm1", (contact(1), refused)) != [""]
    about = new(
        {**deal, "owner": "adm2", "nextStep": f"{FIRST} {LAST} anrufen"}, (await world.path(OPPORTUNITY))
    )
    assert await world.push("adm1", (OPPORTUNITY, about)) != [""]
    return world


def privacy(world: World) -> Privacy:
    return Privacy(world.gate, Accounts(world.store))


async def erase(world: World, subject: str, reason: str = "Antrag nach Art. 17") -> Done:
    with acting(Actor("gf1", ("GF",), door=Door.SERVER)):
        return await privacy(world).erase(subject, by="gf1", reason=reason)


def stale(world: World, rev_path: Any) -> Version:
    """What a device that was away still has."""
    return new(person(position="wieder Hundestaffel"), rev_path, "stale")


def raw(directory: Path) -> bytes:
    """Every byte of every file."""
    return b"".join(file.read_bytes() for file in sorted(directory.rglob("*")) if file.is_file())


def found_in(text: bytes) -> list[str]:
    """The marks that are in there."""
    lower = text.lower()
    return [mark for mark in MARKS if mark.lower().encode() in lower]
