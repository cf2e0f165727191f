"""Limits of approval: who may let through what, by amount.

An edge of a status graph names the table that its taker has to keep. Where two people are needed, or the
approval comes before the edge, it stands in the document as a signature: a field with the name of who signed.
A signature covers fields; whoever changes one of them takes the signature out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kompass.access.companions import companion_id
from kompass.access.principals import Role
from kompass.domain.amounts import UNKNOWN, cost_net, number, offer_discount, offer_total, order_total
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.machines.graph import Approval
from kompass.domain.refusals import Refusal
from kompass.domain.settings import BusinessSettings

PLAN, BUCH, GF = Role.PLAN, Role.BUCH, Role.GF


@dataclass(frozen=True, slots=True)
class Signature:
    """Who may put his name into a field, and what he signs by it."""

    roles: frozenset[Role]
    covers: tuple[str, ...]


SIGNATURES: Mapping[tuple[str, str], Signature] = {
    ("offer", "approvedBy"): Signature(
        frozenset({GF}), ("lineItems", "discountPercent", "discountAmountEur", "taxRate", "customerId")
    ),
    ("supplier_contract", "countersignedBy"): Signature(
        frozenset({BUCH, GF}), ("contractValueEur", "supplierId")
    ),
}

_APPROVERS: Mapping[str, frozenset[Role]] = {
    "time_entry": frozenset({PLAN, GF}),
    "project_cost": frozenset({PLAN, GF}),
    "expense": frozenset({GF}),
    "purchase_order": frozenset({Role.INNEN, BUCH, GF}),
    "supplier_contract": frozenset({Role.INNEN, GF}),
    "supplier_invoice": frozenset({Role.INNEN, BUCH, GF}),
}
"""Whose name `approvedBy` may become: that of whoever takes the edge, which has its own rules."""

OWN_NAME: Mapping[str, str] = {"contract": "signedBy", "expense": "paidBy"}
"""Who took a step that can't be undone: whoever takes it writes his own name, or leaves it to the server."""


def signatures(change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Whoever signs signs with his own name, and a signature stands for what was signed."""
    doc = change.doc
    if doc is None:
        return None
    roles = change.principal.roles
    own = OWN_NAME.get(change.type, "")
    if doc.get(own) not in (None, change.principal.name) and change.changes(own):
        return Refusal(
            "approval.own_name",
            f"{own} is your own name, or nothing: then the server writes it.",
            f"{own} ist der eigene Name, oder leer: Dann trägt ihn der Server ein.",
            (own,),
        )
    for field in ("approvedBy", "countersignedBy"):
        signature = SIGNATURES.get((change.type, field))
        may = signature.roles if signature is not None else _APPROVERS.get(change.type, frozenset())
        name = doc.get(field)
        if name is not None and change.changes(field) and (name != change.principal.name or not roles & may):
            who = _names(may) or "the server"
            return Refusal(
                "approval.signature",
                f"{field} is written by {who}, each with his own name.",
                f"{field} trägt nur ein, wer freigeben darf ({who}), und nur mit dem eigenen Namen.",
                (field,),
            )
        if signature is None or change.before is None or name is None or change.changes(field):
            continue
        touched = tuple(one for one in signature.covers if change.changes(one))
        if touched and roles.isdisjoint(signature.roles):
            return Refusal(
                "approval.covers",
                f"{', '.join(touched)} was approved by {field}: take {field} out of the document when you "
                "change it, and have it approved again.",
                f"{', '.join(touched)} ist freigegeben ({field}): Entfernen Sie {field} mit der Änderung und "
                "lassen Sie erneut freigeben.",
                (*touched, field),
            )
    return None


def approve(approval: Approval, change: Change, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    """Whether whoever takes an edge with this approval may, as the document shall be."""
    assert change.doc is not None
    return _TABLES[approval](change, change.doc, facts, settings)


def approved_by_itself(expense: Body, settings: BusinessSettings) -> bool:
    """Whether the server approves the expense as soon as it is submitted."""
    return number(expense.get("amount"), UNKNOWN) <= settings.expense_auto_up_to


def _offer(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    if GF in change.principal.roles or doc.get("approvedBy") is not None:
        return None
    why: list[tuple[str, str]] = []
    if offer_discount(doc) > settings.offer_discount_above:
        limit = settings.offer_discount_above
        why.append((f"its discount is above {limit} %", f"der Rabatt liegt über {limit} %"))
    if offer_total(doc) > settings.offer_value_above:
        euros = _euros(settings.offer_value_above)
        why.append((f"its total is above {euros}", f"die Summe liegt über {euros}"))
    margin = facts.document(companion_id("offer_margin", change.id))
    if margin is not None and number(margin.get("marginPercent"), UNKNOWN) < (settings.offer_margin_below):
        limit = settings.offer_margin_below
        why.append((f"its margin is below {limit} %", f"die Marge liegt unter {limit} %"))
    opportunity = facts.document(str(doc.get("opportunityId")))
    if opportunity is not None and number(opportunity.get("estimatedValue")) > (
        settings.opportunity_value_above
    ):
        euros = _euros(settings.opportunity_value_above)
        why.append((f"its opportunity is above {euros}", f"die Verkaufschance liegt über {euros}"))
    if not why:
        return None
    return Refusal(
        "approval.offer",
        f"GF approves this offer (approvedBy) before it is sent: {_and(one for one, _ in why)}.",
        "Vor dem Versand gibt die Geschäftsführung dieses Angebot frei (approvedBy): "
        f"{'; '.join(one for _, one in why)}.",
        ("approvedBy",),
    )


def _expense(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    return _only(change, frozenset({GF}), "An expense", "Auslagen")


def _project_cost(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    if cost_net(doc) < settings.cost_planner_below:
        return _only(change, frozenset({PLAN, GF}), "A project cost", "Projektkosten")
    limit = _euros(settings.cost_planner_below)
    return _only(
        change, frozenset({GF}), f"A project cost from {limit} net", f"Projektkosten ab {limit} netto"
    )


def _purchase_order(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    total = order_total(doc)
    if total <= settings.order_auto_up_to:
        return None
    if total <= settings.order_accounting_up_to:
        limit = _euros(settings.order_auto_up_to)
        return _only(
            change, frozenset({BUCH, GF}), f"A purchase order above {limit}", f"Bestellungen über {limit}"
        )
    limit = _euros(settings.order_accounting_up_to)
    return _only(change, frozenset({GF}), f"A purchase order above {limit}", f"Bestellungen über {limit}")


def _supplier_contract(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    value = number(doc.get("contractValueEur"), UNKNOWN)
    if value < settings.supplier_contract_auto_below:
        return None
    limit = _euros(settings.supplier_contract_auto_below)
    refusal = _only(
        change, frozenset({GF}), f"A supplier contract from {limit}", f"Lieferantenverträge ab {limit}"
    )
    if refusal is not None or value <= settings.supplier_contract_both_above:
        return refusal
    if doc.get("countersignedBy") in (None, change.principal.name):
        limit = _euros(settings.supplier_contract_both_above)
        return Refusal(
            "approval.supplier_contract",
            f"A supplier contract above {limit} is approved by GF and by BUCH: somebody of accounting signs "
            "first (countersignedBy).",
            f"Lieferantenverträge über {limit} geben Geschäftsführung und Buchhaltung frei: Zuerst "
            "unterschreibt die Buchhaltung (countersignedBy).",
            ("countersignedBy",),
        )
    return None


def _supplier_invoice(change: Change, doc: Body, facts: Facts, settings: BusinessSettings) -> Refusal | None:
    total = abs(number(doc.get("totalEur"), UNKNOWN))  # below 0 of a credit note
    if total < settings.supplier_invoice_auto_below:
        if change.principal.roles & {BUCH, GF} or three_way_match(doc, facts, settings):
            return None
        return Refusal(
            "approval.supplier_invoice",
            "Without a delivered purchase order of the same amount BUCH or GF approves a supplier invoice.",
            "Ohne gelieferte Bestellung über denselben Betrag geben Buchhaltung oder Geschäftsführung die "
            "Lieferantenrechnung frei.",
            ("purchaseOrderId",),
        )
    who = frozenset({BUCH, GF}) if total <= settings.supplier_invoice_accounting_up_to else frozenset({GF})
    limit = _euros(
        settings.supplier_invoice_accounting_up_to
        if BUCH not in who
        else settings.supplier_invoice_auto_below
    )
    return _only(change, who, f"A supplier invoice above {limit}", f"Lieferantenrechnungen über {limit}")


def three_way_match(invoice: Body, facts: Facts, settings: BusinessSettings) -> bool:
    """Whether what is invoiced was ordered of this supplier, and delivered, for the same amount."""
    order = facts.document(str(invoice.get("purchaseOrderId")))
    if order is None or order.get("type") != "purchase_order":
        return False
    if order.get("supplierId") != invoice.get("supplierId") or order.get("status") != "delivered":
        return False
    ordered, invoiced = order_total(order), number(invoice.get("totalEur"), UNKNOWN)
    if not ordered.is_finite():
        return False
    return abs(invoiced - ordered) <= ordered * settings.three_way_tolerance_percent / 100


def _only(change: Change, roles: frozenset[Role], what: str, was: str) -> Refusal | None:
    if change.principal.roles & roles:
        return None
    who = " or ".join(sorted(roles))
    return Refusal(
        f"approval.{change.type}",
        f"{what} is approved by {who}.",
        f"{was} gibt {who.replace(' or ', ' oder ')} frei.",
        ("status",),
    )


def _names(roles: Iterable[Role]) -> str:
    return ", ".join(sorted(roles))


def _and(parts: Iterable[str]) -> str:
    return "; ".join(parts)


def _euros(amount: Decimal) -> str:
    return f"{amount:f} EUR"


_TABLES: Mapping[Approval, Callable[[Change, Body, Facts, BusinessSettings], Refusal | None]] = {
    Approval.OFFER: _offer,
    Approval.EXPENSE: _expense,
    Approval.PROJECT_COST: _project_cost,
    Approval.PURCHASE_ORDER: _purchase_order,
    Approval.SUPPLIER_CONTRACT: _supplier_contract,
    Approval.SUPPLIER_INVOICE: _supplier_invoice,
}
