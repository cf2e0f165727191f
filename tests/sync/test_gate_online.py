"""Writes of people who see the answer: the same judgement, and nothing is kept back."""

from __future__ import annotations

from hashlib import md5
from typing import Any

import orjson

from kompass.sync.refusals import NO_SUCH_DOCUMENT
from replication.protocol.attachments import InlineAttachment, StubAttachment, digest_of
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Rev, new_revision_hash, parse_rev
from tests.sync.gate_world import World, contact, contact_body, customer, customer_body


async def write(
    world: World, user: str, docid: str, body: Any, parent: Rev | str | None = None, **attachments: Any
) -> str | tuple[int, str, str]:
    """The new revision, or (status, error, reason)."""
    above = parse_rev(parent) if isinstance(parent, str) else parent
    doc = DocumentWrite(docid, body is None, orjson.dumps(body or {}), above, attachments=attachments)
    (result,) = await world.gate.write(world.people[user], [doc], replicated=False)
    if isinstance(result, ProtocolError):
        return result.status, result.error, result.reason
    return result


async def test_create_edit_delete(world: World) -> None:
    first = await write(world, "gf1", customer(1), customer_body("gf1"))
    assert isinstance(first, str)
    second = await write(world, "gf1", customer(1), customer_body("gf1", phone="1"), first)
    assert isinstance(second, str)
    assert (await world.path(customer(1))).revisions()[1] == parse_rev(first)
    third = await write(world, "gf1", customer(1), None, second)
    assert isinstance(third, str)
    assert await world.body(customer(1)) is None


async def test_revisions_tell_nothing_about_bodies(world: World) -> None:
    body = customer_body("gf1")
    rev = await write(world, "gf1", customer(1), body)
    text = orjson.dumps(body)
    assert isinstance(rev, str)
    assert rev[2:] not in {new_revision_hash(None, False, text), md5(text).hexdigest()}


async def test_old_revisions_conflict(world: World) -> None:
    first = await write(world, "gf1", customer(1), customer_body("gf1"))
    assert isinstance(first, str)
    await write(world, "gf1", customer(1), customer_body("gf1", phone="1"), first)
    conflict = (409, "conflict", "Document update conflict.")
    assert await write(world, "gf1", customer(1), customer_body("gf1", phone="2"), first) == conflict
    assert await write(world, "gf1", customer(1), customer_body("gf1")) == conflict
    assert await world.quarantined("gf1") == []


async def test_what_is_refused_is_answered_and_not_kept(world: World) -> None:
    await world.has_customer(1)
    rev = (await world.path(customer(1))).leaf
    answer = await write(world, "buch1", customer(1), customer_body(modifiedBy="buch1"), rev)
    assert answer[:2] == (403, "forbidden")
    answer = await write(world, "adm1", contact(1), contact_body(customer(7)))
    assert answer[:2] == (403, "forbidden")
    assert await world.quarantined("buch1") == await world.quarantined("adm1") == []
    assert await world.notices("buch1", "rejected_change") == []


async def test_invisible_answers_as_unknown_does(world: World) -> None:
    await world.has_customer(1, "adm2")
    rev = (await world.path(customer(1))).leaf
    for body in (customer_body(phone="1"), None):
        taken = await write(world, "adm1", customer(1), body, rev)
        free = await write(world, "adm1", customer(2), body, rev)
        assert taken == free
    refused = await write(world, "adm1", customer(1), customer_body(createdBy="x"))
    assert refused == await write(world, "adm1", customer(2), customer_body(createdBy="x"))
    assert await write(world, "adm1", customer(1), customer_body()) == (
        403,
        "forbidden",
        NO_SUCH_DOCUMENT.reason,
    )


async def test_deleted_documents_stay_deleted(world: World) -> None:
    await world.has_customer(1)
    await world.put(customer(1), None)
    answer = await write(world, "adm1", customer(1), customer_body())
    assert answer == (403, "forbidden", NO_SUCH_DOCUMENT.reason)


async def test_attachments_are_kept_by_their_names(world: World) -> None:
    photo = InlineAttachment("image/png", b"photo", digest_of(b"photo"), revpos=9)
    first = await write(world, "gf1", customer(1), customer_body("gf1"), photo=photo)
    assert isinstance(first, str)
    second = await write(
        world, "gf1", customer(1), customer_body("gf1", phone="1"), first, photo=StubAttachment()
    )
    assert isinstance(second, str)
    (info,) = (await world.database.attachments(customer(1), parse_rev(second))).values()
    assert (info.digest, info.revpos) == (photo.digest, 1)
    third = await write(world, "gf1", customer(1), customer_body("gf1", phone="1"), second)
    assert isinstance(third, str)
    assert await world.database.attachments(customer(1), parse_rev(third)) == {}
    # Without its attachment it is another revision, although it says the same.
    assert third[2:] != second[2:]


async def test_documents_of_one_batch_may_refer_to_one_another(world: World) -> None:
    docs = [
        DocumentWrite(contact(1), False, orjson.dumps(contact_body(customer(1)))),
        DocumentWrite(customer(1), False, orjson.dumps(customer_body())),
        DocumentWrite(customer(1), False, orjson.dumps(customer_body(phone="1"))),
    ]
    one, other, twice = await world.gate.write(world.people["adm1"], docs, replicated=False)
    assert isinstance(one, str)
    assert isinstance(other, str)
    assert isinstance(twice, ProtocolError)
    assert twice.status == 409


async def test_a_document_that_came_online_lets_in_what_waits_for_it(world: World) -> None:
    from tests.sync.gate_world import new

    await world.push("adm1", (contact(1), new(contact_body(customer(1)))))
    assert isinstance(await write(world, "adm1", customer(1), customer_body()), str)
    assert await world.winner(contact(1)) is not None


async def test_design_documents_are_forbidden(world: World) -> None:
    assert (await write(world, "gf1", "_design/x", {"views": {}}))[:2] == (403, "forbidden")
