"""Every pair of states of every graph, for every role, for one's own document and for somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kompass.access.audiences import AUDIENCES
from kompass.access.principals import Principal, Role
from kompass.access.table import SERVER_WRITTEN, TABLE
from kompass.domain.machines import MACHINES, Machine
from kompass.domain.machines.graph import Edge
from kompass.domain.machines.transitions import check
from tests.domain.world import NOTHING, SETTINGS, change, facts, person

# What the business says, written down once more and independently: type -> state -> where it may go.
GRAPHS: dict[str, dict[str, str]] = {
    "lead": {"NEW": "QUALIFIED REJECTED", "QUALIFIED": "CONVERTED REJECTED", "CONVERTED": "", "REJECTED": ""},
    "opportunity": {
        "new": "qualifying lost",
        "qualifying": "proposal lost",
        "proposal": "negotiation lost",
        "negotiation": "won lost",
        "won": "",
        "lost": "",
    },
    "offer": {
        "draft": "sent superseded",
        "sent": "viewed accepted rejected expired superseded",
        "viewed": "accepted rejected expired superseded",
        "rejected": "superseded",
        "expired": "superseded",
        "accepted": "",
        "superseded": "",
    },
    "contract": {
        "draft": "pending_signature signed terminated",
        "pending_signature": "signed terminated",
        "signed": "active terminated",
        "active": "completed terminated",
        "completed": "terminated",
        "terminated": "",
    },
    "invoice": {
        "draft": "sent cancelled",
        "sent": "partial_paid paid overdue cancelled",
        "partial_paid": "paid overdue cancelled",
        "overdue": "partial_paid paid cancelled",
        "paid": "",
        "cancelled": "",
    },
    "project": {
        "planning": "active cancelled",
        "active": "on_hold completed cancelled",
        "on_hold": "active cancelled",
        "completed": "",
        "cancelled": "",
    },
    "user_task": {
        "open": "in_progress completed cancelled",
        "in_progress": "completed cancelled open",
        "completed": "",
        "cancelled": "",
    },
    "project_task": {
        "todo": "in_progress blocked done",
        "in_progress": "review blocked todo done",
        "review": "done in_progress blocked",
        "blocked": "todo in_progress",
        "done": "",
    },
    "time_entry": {
        "in_progress": "completed",
        "completed": "approved rejected",
        "rejected": "completed",
        "approved": "",
    },
    "project_cost": {
        "planned": "ordered paid",
        "ordered": "received paid",
        "received": "invoiced paid",
        "invoiced": "paid",
        "paid": "",
    },
    "tour": {
        "planned": "active cancelled",
        "active": "completed cancelled",
        "completed": "",
        "cancelled": "",
    },
    "meeting": {
        "planned": "successful needs_follow_up delayed cancelled no_show",
        "successful": "needs_follow_up delayed cancelled no_show",
        "needs_follow_up": "successful delayed cancelled no_show",
        "delayed": "successful needs_follow_up cancelled no_show",
        "cancelled": "successful needs_follow_up delayed no_show",
        "no_show": "successful needs_follow_up delayed cancelled",
    },
    "expense": {
        "draft": "submitted",
        "submitted": "approved rejected draft",
        "approved": "paid",
        "rejected": "draft",
        "paid": "",
    },
    "supplier": {
        "PendingApproval": "Active",
        "Active": "Inactive Blacklisted",
        "Inactive": "Active Blacklisted",
        "Blacklisted": "",
    },
    "material": {
        "Active": "OutOfStock Discontinued",
        "OutOfStock": "Active Discontinued",
        "Discontinued": "Active",
    },
    "project_material_requirement": {
        "estimated": "confirmed",
        "confirmed": "ordered",
        "ordered": "delivered",
        "delivered": "installed returned",
        "installed": "",
        "returned": "",
    },
    "purchase_order": {
        "draft": "pending_approval approved cancelled",
        "pending_approval": "approved draft cancelled",
        "approved": "sent_to_supplier cancelled",
        "sent_to_supplier": "confirmed_by_supplier cancelled",
        "confirmed_by_supplier": "partially_delivered delivered cancelled",
        "partially_delivered": "delivered",
        "delivered": "",
        "cancelled": "",
    },
    "supplier_contract": {
        "draft": "pending_approval active terminated",
        "pending_approval": "active draft terminated",
        "active": "completed terminated",
        "completed": "",
        "terminated": "",
    },
    "supplier_invoice": {
        "Pending": "Approved Disputed",
        "Disputed": "Pending",
        "Approved": "Paid Disputed",
        "Paid": "",
    },
    "project_subcontractor": {
        "Planned": "Confirmed Cancelled",
        "Confirmed": "InProgress Cancelled",
        "InProgress": "Completed Cancelled",
        "Completed": "",
        "Cancelled": "",
    },
    "request_for_quote": {
        "draft": "sent cancelled",
        "sent": "answered cancelled",
        "answered": "awarded cancelled",
        "awarded": "",
        "cancelled": "",
    },
}

OWNER_FIELD = {
    "lead": "owner",
    "opportunity": "owner",
    "project_task": "assignedTo",
    "user_task": "assignedTo",
    "time_entry": "userId",
    "tour": "ownerId",
}

COMPLETE: dict[str, Any] = {
    "actualValue": 12000,
    "lostReason": "Der Preis war zu hoch.",
    "rejectionReason": "Der Preis war zu hoch.",
    "supersededBy": "offer-2",
    "billingAddress": {"street": "Ring", "zipCode": "95028", "city": "Hof", "country": "Deutschland"},
    "signedPdfUrl": "signed.pdf",
    "terminationReason": "Der Kunde hat gekündigt.",
    "cancellationReason": "Der Kunde hat gekündigt.",
    "actualEndDate": "2026-03-01",
    "blockingReason": "Das Material fehlt noch.",
    "endTime": "2026-03-01T10:00:00.000Z",
    "invoicePdfUrl": "rechnung.pdf",
    "receiptUrl": "beleg.jpg",
    "justification": "Geschäftsessen mit dem Kunden",
    "paymentReference": "SEPA-0815",
    "blacklistReason": "Mehrfach nicht geliefert.",
    "amount": 20,
    "quantity": 1,
    "unitPriceEur": 100,
    "contractValueEur": 1000,
    "totalEur": 500,
    "purchaseOrderId": "order-1",
    "supplierId": "supplier-1",
}
"""Whatever any edge asks for; all amounts are small."""

ORDER = {
    "_id": "order-1",
    "type": "purchase_order",
    "status": "delivered",
    "supplierId": "supplier-1",
    "lineItems": [{"quantity": 1, "unitPriceEur": 500, "taxRate": 0}],
}


def body(machine: Machine, state: str, owner: str = "somebody", **fields: Any) -> dict[str, Any]:
    own = OWNER_FIELD.get(machine.type, "createdBy")
    value = None if state == machine.unset else state
    return {"_id": "x-1", "type": machine.type, **COMPLETE, own: owner, machine.field: value, **fields}


def pairs() -> Iterator[tuple[Machine, str, str]]:
    for machine in MACHINES.values():
        for start in machine.states:
            for to in machine.states:
                yield machine, start, to


def reachable(
    machine: Machine, start: str, to: str, who: Principal | None = None, is_own: bool = True
) -> bool:
    """Whether edges that may be passed, by him if he is given, lead there, by brute force."""
    found, fresh = {start}, [start]
    while fresh:
        state = fresh.pop()
        for edge in machine.edges:
            if (
                edge.start == state
                and edge.passing
                and (who is None or may(edge, who, is_own))
                and edge.to not in found
            ):
                if edge.to == to:
                    return True
                found.add(edge.to)
                fresh.append(edge.to)
    return False


def may(edge: Edge, who: Principal, is_own: bool) -> bool:
    if edge.others and is_own and Role.GF not in who.roles:
        return False
    return not who.roles.isdisjoint(edge.roles) or (edge.owner and is_own)


@pytest.mark.parametrize("doctype", GRAPHS)
def test_the_graphs_are_those_of_the_business(doctype: str) -> None:
    machine = MACHINES[doctype]
    graph = {state: set(ends.split()) for state, ends in GRAPHS[doctype].items()}
    assert set(machine.states) == graph.keys()
    assert {state: {edge.to for edge in machine.leaving(state)} for state in machine.states} == graph
    assert len({(edge.start, edge.to) for edge in machine.edges}) == len(machine.edges)


def test_every_graph_is_tested_and_belongs_to_a_type() -> None:
    assert GRAPHS.keys() == MACHINES.keys()
    assert [doctype for doctype, machine in MACHINES.items() if machine.type != doctype] == []
    assert MACHINES.keys() <= AUDIENCES.keys()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("is_own", [True, False])
def test_every_pair_of_states(machine: Machine, role: Role, is_own: bool) -> None:
    who = person("p1", role)
    owner = "p1" if is_own else "somebody"
    for start in machine.states:
        for to in machine.states:
            before, doc = body(machine, start, owner), body(machine, to, owner)
            refusal = check(change(doc, before, who), facts(ORDER), SETTINGS)
            if start == to:
                assert refusal is None
                continue
            edge = machine.edge(start, to)
            legal = edge is not None and may(edge, who, is_own)
            legal = legal or reachable(machine, start, to, who, is_own)
            case = f"{machine.type}: {start} -> {to} by {role}, own: {is_own}"
            assert (refusal is None) == legal, (case, refusal)
            if refusal is None:
                continue
            assert refusal.fields
            if edge is None and not reachable(machine, start, to):
                assert refusal.rule == "status.edge", case
                for end in GRAPHS[machine.type][start].split():
                    assert end in refusal.reason, case
                    assert end in refusal.grund, case
            else:
                assert refusal.rule in ("status.role", "status.own"), case


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
def test_a_new_document_begins_at_the_beginning(machine: Machine) -> None:
    for role in Role:
        who = person("p1", role)
        for state in machine.states:
            refusal = check(change(body(machine, state, "p1"), None, who), NOTHING, SETTINGS)
            legal = state in machine.initial or any(
                reachable(machine, start, state, who) for start in machine.initial
            )
            assert (refusal is None) == legal, (machine.type, state, role, refusal)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
def test_nothing_decided_is_passed_over(machine: Machine) -> None:
    """What approves, pays or freezes is an edge of its own, in a version of its own."""
    for edge in machine.edges:
        if edge.passing:
            assert edge.approval is None
            assert not edge.others
            assert edge.to not in ("sent", "accepted", "signed", "approved", "paid", "invoiced", "received")


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
def test_what_an_edge_needs(machine: Machine) -> None:
    everybody = person("p1", *Role)
    for edge in machine.edges:
        for need in edge.needs:
            large = {"amount": 5000} if need.when is not None else {}
            before = body(machine, edge.start, "p1", **large)
            complete = body(machine, edge.to, "p1", **large)
            assert check(change(complete, before, everybody), facts(ORDER), SETTINGS) is None
            wrong: list[Any] = [None, "", " "] if not need.positive else [None, 0, -1, "12", True]
            if need.length > 1:
                wrong.append("x" * (need.length - 1))
                wrong.append(" " * need.length)
            for value in wrong:
                doc = {**complete, need.field: value}
                refusal = check(change(doc, before, everybody), facts(ORDER), SETTINGS)
                assert refusal is not None, (edge, value)
                assert refusal.rule == "status.needs"
                assert refusal.fields == (need.field,)
            if need.attachment is not None:
                file = f"beleg{need.attachment.upper()}"
                doc = {**complete, need.field: None, "_attachments": {file: "md5-x"}}
                assert check(change(doc, before, everybody), facts(ORDER), SETTINGS) is None


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
def test_deletion_by_state(machine: Machine) -> None:
    for state in machine.states:
        refusal = check(change(None, body(machine, state)), NOTHING, SETTINGS)
        assert (refusal is None) == (state in machine.deletable)
        assert refusal is None or refusal.rule == "status.delete"


def test_deletable_states_of_the_business() -> None:
    assert MACHINES["offer"].deletable == {"draft"}
    assert MACHINES["contract"].deletable == {"draft", "pending_signature"}
    assert MACHINES["project_cost"].deletable == {"planned", "ordered"}
    assert MACHINES["expense"].deletable == {"draft", "rejected"}
    assert MACHINES["tour"].deletable == {"planned"}
    assert "approved" not in MACHINES["time_entry"].deletable
    assert MACHINES["user_task"].deletable == {"open", "in_progress"}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=lambda machine: machine.type)
def test_a_state_that_there_is_not(machine: Machine) -> None:
    values: list[Any] = ["", "nonsense", 1, True, ["draft"], {}]
    for value in values:
        doc = {**body(machine, machine.states[0]), machine.field: value}
        refusal = check(change(doc, body(machine, machine.states[0])), NOTHING, SETTINGS)
        assert refusal is not None
        assert refusal.rule == "status.unknown"
        assert all(state in refusal.reason for state in machine.states)


def test_a_finished_task_does_not_change() -> None:
    task = body(MACHINES["user_task"], "completed", "p1", title="Anrufen")
    refusal = check(change({**task, "title": "Schreiben"}, task), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "status.closed"
    assert refusal.fields == ("title",)
    assert check(change({**task, "modifiedAt": "later", "version": 3}, task), NOTHING, SETTINGS) is None


def test_a_reason_stays_while_the_state_does() -> None:
    lost = body(MACHINES["opportunity"], "lost", "p1")
    refusal = check(change({**lost, "lostReason": None}, lost), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.rule == "status.needs"


def test_the_text_names_what_is_possible() -> None:
    before = body(MACHINES["offer"], "sent")
    refusal = check(change(body(MACHINES["offer"], "draft"), before), NOTHING, SETTINGS)
    assert refusal is not None
    assert refusal.reason == (
        "An offer that is sent can become viewed, accepted, rejected, expired or superseded, not draft."
    )
    assert "„viewed“, „accepted“, „rejected“, „expired“ oder „superseded“" in refusal.grund


def test_who_takes_an_edge_may_change_the_document() -> None:
    """The access rules let every role that an edge names change documents of the type."""
    for machine in MACHINES.values():
        if machine.type in SERVER_WRITTEN:
            assert all(edge.by_server for edge in machine.edges)
            continue
        for edge in machine.edges:
            for role in edge.roles if len(edge.roles) < len(Role) - 1 else ():
                cell = TABLE[machine.type].get(role, "")
                actions = {letter for part in cell.split(",") for letter in part.split()[0]}
                assert "U" in actions, (machine.type, edge, role)


def test_types_without_states_are_free() -> None:
    note = {"_id": "comment-1", "type": "comment", "status": "whatever"}
    assert check(change(note), NOTHING, SETTINGS) is None
