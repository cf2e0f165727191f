"""An erasure that was done on another server comes by replication: past what keeps final documents whole, and
then everything of the person goes here as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from kompass.audit import REPLICATOR, acting
from kompass.domain.redaction import is_redaction
from kompass.domain.sealing import is_intact
from kompass.privacy import erasures, pending
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.replicator import LocalPeer, Options, Result, replicate
from tests.audit.world import look
from tests.business.documents import docid, offer
from tests.privacy.world import (
    FIRST,
    LAST,
    MARKS,
    OPPORTUNITY,
    erase,
    found_in,
    populated,
    privacy,
    raw,
)
from tests.sync.gate_world import Version, World, contact, contact_body, customer, new

OFFER = docid("offer", 1)
TERMS = f"Lieferung zu Händen {FIRST} {LAST}, Telefon 0170 998877665"


async def has_sealed_offer(world: World) -> dict[str, Any]:
    draft = offer("adm1", terms=TERMS, status="draft", owner="adm1")
    await world.put(OFFER, draft)
    stored = await world.body(OFFER)
    assert stored is not None
    await world.put(OFFER, {**stored, "status": "sent"})
    sealed = await world.body(OFFER)
    assert sealed is not None
    assert sealed["immutableHash"]
    return sealed


async def pull(source: World, target: World) -> Result:
    """As the target's own replicator does it."""
    with acting(REPLICATOR):
        return await replicate(
            LocalPeer(source.store, "kompass"), LocalPeer(target.store, "kompass"), Options(retries=0)
        )


async def two(tmp_path: Path) -> tuple[World, World]:
    """Two servers with the same documents."""
    one = await populated(tmp_path / "one")
    await has_sealed_offer(one)
    other = await World.open(tmp_path / "other", follows=True)
    result = await pull(one, other)
    assert result.progress.refused == []
    assert set(found_in(raw(tmp_path / "other"))) >= set(MARKS) - {"alt-zyx@qvarnblom.example"}
    return one, other


async def test_what_was_erased_elsewhere_goes_here_too(tmp_path: Path) -> None:
    one, other = await two(tmp_path)
    await erase(one, contact(1))
    sealed = await one.body(OFFER)
    assert sealed is not None
    assert LAST not in sealed["terms"]
    result = await pull(one, other)
    assert result.progress.refused == []
    assert await other.body(OFFER) == sealed
    assert is_intact({**sealed, "_id": OFFER})
    assert found_in(raw(tmp_path / "other")) != [], "the documents alone aren't all"

    assert await privacy(other).follow() == []
    other.clock.advance(minutes=2)
    assert await privacy(other).follow() == [contact(1)]
    assert found_in(raw(tmp_path / "other")) == []
    left = await other.live(contact(1))
    assert (left["lastName"], left["anonymizedAt"]) == (
        "Kontakt #1",
        (await one.live(contact(1)))["anonymizedAt"],
    )
    assert look(tmp_path / "other" / "kompass.sqlite").findings == []
    assert await privacy(other).follow() == []
    # And back again: nobody begins anew.
    assert (await pull(other, one)).progress.refused == []
    one.clock.advance(minutes=2)
    assert await privacy(one).follow() == []
    assert found_in(raw(tmp_path)) == []
    await one.close()
    await other.close()


async def test_a_copy_made_after_the_erasure_has_nothing_to_erase(tmp_path: Path) -> None:
    one = await populated(tmp_path / "one")
    await erase(one, contact(1))
    other = await World.open(tmp_path / "other", follows=True)
    await pull(one, other)
    other.clock.advance(minutes=2)
    before = await other.winner(contact(1))
    assert await privacy(other).follow() == [contact(1)]
    assert await other.winner(contact(1)) == before
    with other.database.reading() as reading:
        assert erasures.subjects_among(reading, [contact(1)]) == {contact(1)}
        assert pending.listed(reading) == {}
    await one.close()
    await other.close()


async def test_a_server_that_has_not_heard_of_it_brings_nothing_back(tmp_path: Path) -> None:
    one, other = await two(tmp_path)
    await erase(one, contact(1))
    body = await other.body(contact(1))
    assert body is not None
    await other.put(contact(1), {**body, "notes": "Hundestaffel", "lastName": LAST})
    late = await other.body(OPPORTUNITY)
    assert late is not None
    await other.put(OPPORTUNITY, {**late, "nextStep": f"{FIRST} {LAST} anrufen"})
    result = await pull(other, one)
    assert {one.id for one in result.progress.refused} >= {contact(1), OPPORTUNITY}
    assert found_in(raw(tmp_path / "one")) == []
    await one.close()
    await other.close()


async def test_administrators_write_nothing_of_an_erased_person_again(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    old = await world.path(contact(1))
    await erase(world, contact(1))

    async def put(version: Version, *, replicated: bool) -> str:
        (result,) = await world.database.write([version.write(contact(1))], replicated=replicated)
        assert isinstance(result, ProtocolError)
        assert result.status == 403
        return result.reason

    text = contact_body(customer(1), lastName=LAST)
    assert "erased" in await put(new(text, old, "late"), replicated=True)
    clean = await world.path(contact(1))
    body = await world.live(contact(1))
    write = DocumentWrite(contact(1), False, orjson.dumps({**body, "lastName": LAST}), clean.leaf)
    (result,) = await world.database.write([write])
    assert isinstance(result, ProtocolError)
    assert "lastName" in result.reason
    (result,) = await world.database.write(
        [DocumentWrite(contact(1), False, orjson.dumps({**body, "isPrimary": True}), clean.leaf)]
    )
    assert isinstance(result, str)
    await world.close()


SEALED = {
    "_id": OFFER,
    "type": "offer",
    "status": "sent",
    "terms": TERMS,
    "totalEur": 120.5,
    "offerNumber": "A-2026-1",
    "customerId": "customer-1",
    "lineItems": [{"position": 1, "description": f"Regal für {LAST}", "quantity": 3}],
    "changeLog": [
        {"field": "terms", "oldValue": f"an {LAST}", "newValue": TERMS, "reason": f"Wunsch von {LAST}"}
    ],
}
LABEL = "Gelöschter Kontakt #4"


def changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**SEALED, **members}.items() if value is not None}


@pytest.mark.parametrize(
    ("members", "passes"),
    [
        ({"terms": f"Lieferung zu Händen {LABEL}, Telefon [gelöscht]"}, True),
        ({"terms": "Lieferung zu Händen jemandem, Telefon [gelöscht]"}, False),
        ({"terms": f"Lieferung zu Händen {LABEL}"}, True),
        ({"terms": "Lieferung zu Händen"}, False),
        ({"terms": TERMS + LABEL}, False),
        ({"terms": None}, False),
        ({"totalEur": 1}, False),
        ({"totalEur": "[gelöscht]"}, False),
        ({"offerNumber": "[gelöscht]"}, False),
        ({"customerId": "[gelöscht]"}, False),
        ({"status": "[gelöscht]"}, False),
        ({"status": "draft"}, False),
        ({"lineItems": [{"position": 1, "description": f"Regal für {LABEL}", "quantity": 3}]}, True),
        ({"lineItems": [{"position": 1, "description": f"Regal für {LABEL}", "quantity": 4}]}, False),
        ({"lineItems": []}, False),
        ({"more": LABEL}, False),
        ({"_attachments": {}}, False),
        ({"changeLog": []}, False),
        (
            {
                "changeLog": [
                    {
                        "field": "terms",
                        "oldValue": f"an {LABEL}",
                        "newValue": f"Lieferung zu Händen {LABEL}, Telefon [gelöscht]",
                        "reason": f"Wunsch von {LABEL}",
                    }
                ]
            },
            True,
        ),
        ({}, False),
    ],
)
def test_an_erasure_is_told_from_other_changes(members: dict[str, Any], passes: bool) -> None:
    assert is_redaction(SEALED, changed(**members)) is passes


def test_a_sealed_document_has_to_bear_it_out() -> None:
    before = {**SEALED, "immutableHash": "0" * 64}
    after = {**before, "terms": f"Lieferung zu Händen {LABEL}"}
    assert not is_redaction(before, after)
    entry = {"number": 1, "erasedAt": "2026-03-02T08:00:00.000Z", "fields": ["terms"]}
    forged = {**entry, "sealBefore": "0" * 64, "sealAfter": "1" * 64}
    assert not is_redaction(before, {**after, "erasures": [forged]})
