"""What else becomes true when something happens: an accepted offer wins its opportunity and drafts a
contract.

`effects` is pure: it gets a document as it is now, what has followed from it before, and the other
documents, and says which documents the server has to write. An effect has a *name*, unique within its
document, and a *state*: it happens when the name's state isn't the one that was last recorded, and never
again after that. So a change that comes twice, or from two devices, does nothing the second time, and the
ids of new documents are the same wherever they are worked out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kompass.access.audiences import key_of
from kompass.access.companions import companion_id
from kompass.access.principals import Principal, Role
from kompass.domain.approvals import approved_by_itself
from kompass.domain.changes import Body, Change, Facts
from kompass.domain.derivations import REMOVED
from kompass.domain.keys import ROLE, is_open
from kompass.domain.money import amount, json_number
from kompass.domain.settings import BusinessSettings
from kompass.domain.stamps import timestamp
from kompass.domain.uniqueness import compared, flags

SYSTEM = "system"
"""Who writes what follows."""

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:kompass:effect")
_OPEN_OFFERS = frozenset({"draft", "sent", "viewed"})
_CLOSED_OPPORTUNITIES = frozenset({"won", "lost"})
DUPLICATE = "duplicate"
MOST_DUPLICATES = 10
"""Documents that are named beside the one that may be there twice."""
MOST_OF_OFFICE = 10
"""People of the office who are told of one document."""
MOST_MENTIONS = 50
"""People that one comment tells."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that follows from a document."""

    name: str
    state: str = ""
    """What is recorded when it has happened."""
    bodies: tuple[Body, ...] = field(default=())
    """The documents to write, `_id` included: new ones, or the next versions of stored ones."""
    for_reader_of: str | None = None
    """An id: `bodies` are for their recipient, and only if he may read that document."""


def effects(
    doc: Body, done: Mapping[str, str], facts: Facts, settings: BusinessSettings, now: datetime
) -> list[Effect]:
    """What follows from a live document. `done`: name -> state of what has followed before. `now`: server
    time.
    """
    rule = _EFFECTS.get(str(doc.get("type")))
    if rule is None:
        return []
    if doc.get("type") == "expense" and not approved_by_itself(doc, settings):
        return []
    if doc.get("type") == "customer" and done.get(DUPLICATE) == compared(doc):
        return []  # looking once more is dear
    return [effect for effect in rule(doc, facts, now) if done.get(effect.name) != effect.state]


def by_time(doc: Body, now: datetime) -> Effect | None:
    """What time alone makes true of a live document: an offer that waits for its answer expires with the day
    until which it is valid. None if there is nothing, and when it has happened.
    """
    until = doc.get("validUntil")
    if doc.get("type") != "offer" or not is_open(doc) or not isinstance(until, str) or not until:
        return None
    if until >= now.astimezone(UTC).date().isoformat():  # an hour or two after the day has ended in Germany
        return None
    return Effect("expired", until, (_next(doc, now, status="expired"),))


CLEARED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "contract": (("offer", "contractId"),),
    "project": (("contract", "projectId"),),
}
"""Type -> (type, field) of documents that the server has let name it: they don't when it is deleted."""


def forgotten(
    doctype: str, docid: str, facts: Facts, now: datetime
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(id, field -> value, or `REMOVED`) of documents that name what is deleted."""
    for named_by, field_name in CLEARED.get(doctype, ()):
        for other in facts.referring(named_by, field_name, docid):
            changed = _next(other, now)
            changes = {name: changed[name] for name in ("modifiedBy", "modifiedAt", "version")}
            yield str(other["_id"]), {field_name: REMOVED, **changes}


_NAMING: Mapping[tuple[str, str], frozenset[str]] = {
    ("offer", "contractId"): frozenset({"accepted"}),
    ("contract", "projectId"): frozenset({"signed", "active", "completed", "terminated"}),
}
"""(type, field) of `CLEARED` -> the states in which the server has let it name something."""


def named_again(doc: Body, facts: Facts, now: datetime) -> Iterator[dict[str, Any]]:
    """The counterpart of `forgotten`: documents, `_id` included, that have to name one that has come to life,
    because it names them and they name nothing that is alive.
    """
    doctype = str(doc.get("type"))
    for named_by, field_name in CLEARED.get(doctype, ()):
        docid = key_of(doc.get(f"{named_by}Id"))
        other = facts.document(docid) if docid is not None else None
        if other is None or other.get("type") != named_by:
            continue
        if other.get("status") not in _NAMING[named_by, field_name]:
            continue
        named = key_of(other.get(field_name))
        alive = facts.document(named) if named is not None else None
        if alive is None or alive.get("type") != doctype:
            yield _next(other, now, **{field_name: doc["_id"]})


def effect_id(prefix: str, *parts: str) -> str:
    """The id of the document that an effect makes; the same for the same effect."""
    return f"{prefix}-{uuid5(_NAMESPACE, chr(0).join(parts))}"


_Found = Iterator[Effect]


# -- sales -------------------------------------------------------------------------------------


def _offer(doc: Body, facts: Facts, now: datetime) -> _Found:
    status = doc.get("status")
    if status == "accepted":
        yield Effect("accepted", bodies=tuple(_accepted(doc, facts, now)))
    elif status == "rejected":
        yield Effect("rejected", bodies=tuple(_rejected(doc, facts, now)))


def _accepted(doc: Body, facts: Facts, now: datetime) -> Iterator[Body]:
    offer_id = str(doc["_id"])
    net = _net(doc)
    opportunity = _open_opportunity(doc, facts)
    if opportunity is not None:
        won: dict[str, Any] = {"status": "won", "probability": 100}
        if net is not None and net > 0:
            won["actualValue"] = json_number(net)
        yield _next(opportunity, now, **won)
    for other in _other_offers(doc, facts):
        if other.get("status") in _OPEN_OFFERS:
            yield _next(other, now, status="superseded", supersededBy=offer_id)
    contract = next(iter(facts.referring("contract", "offerId", offer_id)), None)
    contract_id = effect_id("contract", offer_id, "accepted") if contract is None else str(contract["_id"])
    if contract is None:
        yield _contract(doc, contract_id, now)
    if doc.get("contractId") is None:
        yield _next(doc, now, contractId=contract_id)


def _contract(doc: Body, docid: str, now: datetime) -> Body:
    today = now.date().isoformat()
    body = _made("contract", docid, now)
    body |= {"status": "draft", "offerId": doc["_id"], "contractDate": today, "startDate": today}
    for name in ("opportunityId", "customerId", "contactPersonId", "paymentTermsDays", "terms"):
        if doc.get(name) is not None:
            body[name] = doc[name]
    total, tax = amount(doc.get("totalEur")), amount(doc.get("taxAmountEur"))
    if total is not None and tax is not None:
        # Of a contract the subtotal is what is left when the discount is off.
        body |= {
            "contractValueEur": json_number(total),
            "subtotalEur": json_number(total - tax),
            "taxAmountEur": json_number(tax),
        }
    return body


def _rejected(doc: Body, facts: Facts, now: datetime) -> Iterator[Body]:
    """The opportunity is lost unless another offer for it may still be accepted."""
    opportunity = _open_opportunity(doc, facts)
    if opportunity is None:
        return
    if any(other.get("status") in ("sent", "viewed", "accepted") for other in _other_offers(doc, facts)):
        return
    reason = doc.get("rejectionReason")
    lost: dict[str, Any] = {"status": "lost", "probability": 0}
    lost["lostReason"] = reason if isinstance(reason, str) and reason else "Angebot abgelehnt"
    yield _next(opportunity, now, **lost)


def _net(doc: Body) -> Decimal | None:
    total, tax = amount(doc.get("totalEur")), amount(doc.get("taxAmountEur"))
    return None if total is None else total - (tax or Decimal(0))


def _open_opportunity(doc: Body, facts: Facts) -> Body | None:
    docid = key_of(doc.get("opportunityId"))
    found = facts.document(docid) if docid is not None else None
    if found is None or found.get("type") != "opportunity" or found.get("status") in _CLOSED_OPPORTUNITIES:
        return None
    return found


def _other_offers(doc: Body, facts: Facts) -> list[Body]:
    opportunity = key_of(doc.get("opportunityId"))
    if opportunity is None:
        return []
    return [one for one in facts.referring("offer", "opportunityId", opportunity) if one["_id"] != doc["_id"]]


def _lead(doc: Body, facts: Facts, now: datetime) -> _Found:
    """A converted lead becomes a customer and an opportunity, unless its author has made them."""
    if doc.get("status") != "CONVERTED":
        return
    if doc.get("convertedCustomerId") is not None:
        yield Effect("converted")
        return
    lead_id = str(doc["_id"])
    owner = doc.get("owner") or doc.get("createdBy")
    customer_id = effect_id("customer", lead_id, "converted")
    opportunity_id = effect_id("opportunity", lead_id, "converted")
    customer = _made("customer", customer_id, now)
    customer |= {"companyName": doc.get("companyName"), "owner": owner, "customerType": "other"}
    for name in ("email", "phone"):
        if doc.get(name):
            customer[name] = doc[name]
    # Nobody converts it without an address; where nobody judges (imports), its next editor is asked for one.
    customer["billingAddress"] = doc.get("billingAddress") or {
        "city": doc.get("city") or "",
        "country": "Deutschland",
    }
    opportunity = _made("opportunity", opportunity_id, now)
    opportunity |= {
        "title": str(doc.get("companyName") or "Anfrage")[:200],
        "customerId": customer_id,
        "owner": owner,
        "status": "new",
        "probability": 0,
        "estimatedValue": 0,
    }
    lead = _next(doc, now, convertedCustomerId=customer_id, convertedOpportunityId=opportunity_id)
    yield Effect("converted", bodies=(customer, opportunity, lead))


def _project(doc: Body, facts: Facts, now: datetime) -> _Found:
    """The first project that is made from a signed contract puts it into effect."""
    contract_id = key_of(doc.get("contractId"))
    contract = facts.document(contract_id) if contract_id is not None else None
    if contract is None or contract.get("type") != "contract" or contract.get("status") != "signed":
        return
    active: dict[str, Any] = {"status": "active"}
    if contract.get("projectId") is None:
        active["projectId"] = doc["_id"]
    yield Effect("contract", str(contract_id), (_next(contract, now, **active),))


# -- on the road -------------------------------------------------------------------------------


def _meeting(doc: Body, facts: Facts, now: datetime) -> _Found:
    """Checking in makes the protocol, and the customer was visited."""
    customer = key_of(doc.get("customerId"))
    if doc.get("attended") is not True or customer is None:
        return
    meeting_id = str(doc["_id"])
    author = doc.get("modifiedBy") or doc.get("createdBy") or SYSTEM
    protocol = _made("protocol", effect_id("protocol", meeting_id, "attended"), now)
    # Whoever was there goes on writing it: it is his.
    protocol |= {
        "createdBy": author,
        "title": str(doc.get("title") or "Besuchsprotokoll")[:200],
        "date": doc.get("scheduledAt") or timestamp(now),
        "customerId": customer,
        "meetingId": meeting_id,
        "participants": [author],
        "locationCheckIn": {"checkInType": "on_site"},
    }
    yield Effect("attended", bodies=(protocol, *_visited(customer, doc.get("scheduledAt"), facts, now)))


def _activity(doc: Body, facts: Facts, now: datetime) -> _Found:
    """A private visit tells nobody else that there was one."""
    customer = key_of(doc.get("customerId"))
    if doc.get("activityType") == "visit" and customer is not None and not doc.get("private"):
        day = str(doc.get("date"))[:10]
        yield Effect("visit", day, tuple(_visited(customer, doc.get("date"), facts, now)))


def _visited(customer: str, when: object, facts: Facts, now: datetime) -> Iterator[Body]:
    """The customer's last visit is the latest one that isn't still to come."""
    day = when[:10] if isinstance(when, str) else ""
    today = (now + timedelta(hours=2)).date().isoformat()
    try:
        datetime.strptime(day, "%Y-%m-%d")  # noqa: DTZ007 - a day, wherever
    except ValueError:
        return
    base = facts.document(customer)
    if day > today or base is None or base.get("type") != "customer":
        return
    docid = companion_id("customer_visit", customer)
    stored = facts.document(docid)
    if stored is None:
        body = _made("customer_visit", docid, now)
        yield {**body, "customerId": customer, "lastVisitDate": day}
    elif not isinstance(stored.get("lastVisitDate"), str) or stored["lastVisitDate"] < day:
        yield _next(stored, now, lastVisitDate=day)


def _expense(doc: Body, facts: Facts, now: datetime) -> _Found:
    """A small one needs nobody's approval."""
    if doc.get("status") == "submitted":
        approved = _next(doc, now, status="approved", approvedBy=SYSTEM, approvedAt=timestamp(now))
        yield Effect("approved", str(doc.get("version")), (approved,))


# -- telling people ----------------------------------------------------------------------------


def _comment(doc: Body, facts: Facts, now: datetime) -> _Found:
    mentions = doc.get("mentions")
    if not isinstance(mentions, list):
        return
    for name in dict.fromkeys(mentions[:MOST_MENTIONS]):
        person = key_of(name)
        if person is not None and person != doc.get("createdBy"):
            yield _told(doc, person, "MENTION", f"mention:{person}", "", now)


def _assigned(doc: Body, facts: Facts, now: datetime) -> _Found:
    person = key_of(doc.get("assignedTo"))
    if person is None:
        return
    if person == doc.get("modifiedBy"):
        yield Effect("assigned", person)
        return
    yield _told(doc, person, "ASSIGNMENT", "assigned", person, now)


def _customer(doc: Body, facts: Facts, now: datetime) -> _Found:
    """The office looks at what may be there twice."""
    docid, state = str(doc["_id"]), compared(doc)
    change = Change(doc, None, Principal(SYSTEM, frozenset()), now)
    others = sorted({one for note in flags(change, facts) for one in note.about})[:MOST_DUPLICATES]
    told = []
    for person in _office(facts) if others else ():
        body = _made("notification", effect_id("notification", docid, f"{DUPLICATE} {state}", person), now)
        told.append(body | _about(doc, person, "DUPLICATE") | {"otherDocumentIds": others})
    yield Effect(DUPLICATE, state, tuple(told), docid)


def _office(facts: Facts) -> list[str]:
    """Who of the office works here."""
    users = (facts.document(docid) for docid in facts.sharing(ROLE, Role.INNEN.value))
    names = {key_of(user.get("userName") or user.get("name")) for user in users if user is not None}
    return sorted(name for name in names if name is not None)[:MOST_OF_OFFICE]


def _told(doc: Body, person: str, kind: str, name: str, state: str, now: datetime) -> Effect:
    docid = str(doc["_id"])
    times = f"{name} {state}" if not state else f"{name} {state} {doc.get('version')}"
    body = _made("notification", effect_id("notification", docid, times, person), now)
    return Effect(name, state, (body | _about(doc, person, kind),), docid)


def _about(doc: Body, person: str, kind: str) -> dict[str, Any]:
    return {
        "recipientId": person,
        "notificationType": kind,
        "isRead": False,
        "documentId": str(doc["_id"]),
        "documentType": doc["type"],
        "actorId": doc.get("modifiedBy") or doc.get("createdBy") or SYSTEM,
    }


_EFFECTS: Mapping[str, Callable[[Body, Facts, datetime], _Found]] = {
    "customer": _customer,
    "offer": _offer,
    "lead": _lead,
    "project": _project,
    "meeting": _meeting,
    "activity": _activity,
    "expense": _expense,
    "comment": _comment,
    "user_task": _assigned,
    "project_task": _assigned,
}
WITH_EFFECTS = frozenset(_EFFECTS)


# -- documents ---------------------------------------------------------------------------------


def _made(doctype: str, docid: str, now: datetime) -> dict[str, Any]:
    at = timestamp(now)
    return {
        "_id": docid,
        "type": doctype,
        "createdBy": SYSTEM,
        "createdAt": at,
        "modifiedBy": SYSTEM,
        "modifiedAt": at,
        "version": 1,
    }


def _next(stored: Body, now: datetime, **changes: Any) -> dict[str, Any]:
    """The next version of a stored document."""
    version = stored.get("version")
    return {
        **stored,
        **changes,
        "modifiedBy": SYSTEM,
        "modifiedAt": timestamp(now),
        "version": version + 1 if type(version) is int else 1,
    }
