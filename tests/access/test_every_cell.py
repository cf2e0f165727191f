"""Every cell of the tables (type, role, action) in every situation, against the naive evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from kompass.access import DEFAULT, Action, Principal, Role, decide
from kompass.access.audiences import AUDIENCES, PRIVATE
from kompass.access.table import COMPANIONS, DISMISSED, SERVER_WRITTEN
from tests.access import naive
from tests.access.world import CREATORS, ME, OTHER, World, company, make

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
STATUSES = {
    "conflict": ("open", "escalated"),
    "offer": ("draft", "sent", "accepted"),
    "contract": ("draft", "pending_signature", "signed"),
    "project_cost": ("planned", "ordered", "received", "paid"),
    "tour": ("planned", "active"),
    "expense": ("draft", "submitted", "approved", "rejected"),
}


def situations(doctype: str) -> Iterator[tuple[World, dict[str, Any], bool]]:
    """Companies with a stored document of the type in them, and whether it is younger than a day."""
    for customer_mine, assigned, mine, contract in product(
        (True, False), (True, False), (True, False), ("signed", "draft")
    ):
        for status, private, fresh in product(
            STATUSES.get(doctype, ("draft",)),
            (False, True) if doctype in PRIVATE else (False,),
            (True, False) if doctype in PRIVATE else (True,),
        ):
            world = company(customer_mine=customer_mine, assigned=assigned, mine=mine, contract=contract)
            held = {"customer": customer_mine, "project": assigned}.get(doctype, mine)
            doc = make(doctype, mine=held, status=status, private=private)
            world.add(doc)
            yield world, doc, fresh


@pytest.mark.parametrize("role", [*Role, None], ids=str)
@pytest.mark.parametrize("doctype", AUDIENCES)
def test_every_cell(doctype: str, role: Role | None) -> None:
    me = Principal(ME, frozenset({role} if role else ()))
    name = role.value if role else ""
    for world, doc, fresh in situations(doctype):
        facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
        received = NOW - (timedelta(hours=23) if fresh else timedelta(hours=25))
        visible = naive.reads(ME, name or None, doc, world)
        assert decide(me, Action.READ, doc, **facts).allowed == visible

        after = doc | {"modifiedBy": ME, "remark": "new"}
        decision = decide(me, Action.UPDATE, after, before=doc, now=NOW, received=received, **facts)
        assert decision.allowed == (visible and naive.updates(ME, name, doc, world, fresh)), decision

        decision = decide(me, Action.DELETE, {"_deleted": True}, before=doc, **facts)
        assert decision.allowed == (visible and naive.deletes(ME, name, doc, world)), decision

        new = doc | {"createdBy": ME, "modifiedBy": ME}
        before_it = World(world)
        if doctype not in ("customer", "project"):
            del before_it[doc["_id"]]
        facts = {"relations": before_it.relations(), "parents": before_it}
        decision = decide(me, Action.CREATE, new, **facts)
        wanted = naive.creates(ME, name, new, before_it) and naive.refers(
            ME, frozenset({name}), new, before_it
        )
        assert decision.allowed == wanted, decision


ELSEWHERE = {"expense.update.BUCH.all", "project_cost.update.BUCH.all"} | {
    f"comment.update.{role}.parent" for role in Role
}
"""Rights to change certain fields only; tests below exercise them."""


def test_the_situations_reach_every_right_of_the_table() -> None:
    reached = set()
    for doctype, role in product(AUDIENCES, Role):
        me = Principal(ME, frozenset({role}))
        for world, doc, _ in situations(doctype):
            facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
            own = doc | {"createdBy": ME, "modifiedBy": ME}
            reached |= {
                decide(me, Action.READ, doc, **facts).rule,
                decide(me, Action.UPDATE, doc | own, before=doc | own, now=NOW, received=NOW, **facts).rule,
                decide(me, Action.DELETE, doc, before=doc, **facts).rule,
                decide(me, Action.CREATE, own, **facts).rule,
            }
    rights = {
        f"{doctype}.{action}.{role}.{rule}"
        for (doctype, role, action), rules in DEFAULT.cells.items()
        for rule in rules
    }
    assert rights - reached - ELSEWHERE == set()


@pytest.mark.parametrize("doctype", sorted(SERVER_WRITTEN))
def test_nobody_writes_what_the_server_writes(doctype: str) -> None:
    everything = Principal(ME, frozenset(Role))
    world = company(customer_mine=True, assigned=True, mine=True)
    doc = make(doctype, mine=True) | {"createdBy": ME, "modifiedBy": ME}
    world.add(doc)
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    create = decide(everything, Action.CREATE, doc, **facts)
    update = decide(everything, Action.UPDATE, doc, before=doc, **facts)
    delete = decide(everything, Action.DELETE, doc, before=doc, **facts)
    assert create.rule == update.rule == "type.server_written"
    assert delete.allowed == (doctype in DISMISSED)


@pytest.mark.parametrize("doctype", sorted(DISMISSED))
def test_whoever_is_told_has_done_with_it(doctype: str) -> None:
    everything = frozenset(Role)
    world = company(customer_mine=True, assigned=True, mine=True)
    doc = make(doctype, mine=True)
    world.add(doc)
    facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
    assert decide(Principal(ME, everything), Action.DELETE, doc, before=doc, **facts).allowed
    other = decide(Principal("somebody else", everything), Action.DELETE, doc, before=doc, **facts)
    assert not other.allowed


def test_companions_have_the_id_that_follows_from_their_base() -> None:
    gf = Principal(ME, frozenset({Role.GF}))
    world = company(customer_mine=True, assigned=True, mine=True)
    for doctype in COMPANIONS:
        doc = make(doctype, mine=True) | {"createdBy": ME, "modifiedBy": ME}
        facts: dict[str, Any] = {"relations": world.relations(), "parents": world}
        assert decide(gf, Action.CREATE, doc, **facts).allowed
        wrong = decide(gf, Action.CREATE, doc | {"_id": f"{doctype}-another"}, **facts)
        assert (wrong.allowed, wrong.rule) == (False, "companion.id")


def test_accounting_marks_as_paid_and_changes_nothing_else() -> None:
    buch = Principal(ME, frozenset({Role.BUCH}))
    world = company(customer_mine=False, assigned=False, mine=False)
    for doctype, status in (("expense", "approved"), ("project_cost", "invoiced")):
        doc = make(doctype, mine=False, status=status, amount=1)
        paid = doc | {"status": "paid", "paymentReference": "4711/26", "modifiedBy": ME}
        assert decide(buch, Action.UPDATE, paid, before=doc, parents=world).allowed
        more = decide(buch, Action.UPDATE, paid | {"amount": 2}, before=doc, parents=world)
        assert not more.allowed
        assert "amount" in more.reason


def test_a_reader_of_a_comment_resolves_it_and_leaves_its_text() -> None:
    kalk = Principal(ME, frozenset({Role.KALK}))
    world = company(customer_mine=False, assigned=False, mine=False)
    doc = make("comment", mine=False, content="Maße?")
    resolved = doc | {"resolved": True, "modifiedBy": ME}
    assert decide(kalk, Action.UPDATE, resolved, before=doc, parents=world).allowed
    assert not decide(kalk, Action.UPDATE, resolved | {"content": "!"}, before=doc, parents=world).allowed


def test_creators_are_those_of_the_naive_evaluation() -> None:
    world = company(customer_mine=False, assigned=False, mine=False)
    for doctype in CREATORS:
        assert naive.own(ME, make(doctype, mine=True), world)
        assert not naive.own(OTHER, make(doctype, mine=True), world)
