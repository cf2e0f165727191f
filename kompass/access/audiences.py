"""Which audiences a document has: the document's half of every record rule.

An audience is a record rule with a key: "the owner of customer X", "the team of project Y", "everybody who
reads all offers". It has two faces. A document has audiences because of its fields (this table); a person
belongs to audiences because of his roles and of facts that other documents state about him
(`channels.principal_channels`). He may read the document if and only if the two sets meet.

A document has an audience for every record rule that a matrix could grant for its type, granted or not: so
a change of the matrix changes what people hold and never what documents have.

An audience is written as a channel, `class:key` or `class:type:key`. The key comes last, so no content of a
key can imitate another channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from kompass.access.rules import Rule

Channel = str
"""`all:project`, `own:tour:<user>`, `sales:customer:<id>`, `team:project:<id>`, `accepted:offer:<id>`,
`user:<name>`."""

MAX_KEY = 512
"""Characters. A longer id or name is malformed."""


class Parents(Protocol):
    """What deriving channels must know of other documents; the caller looks it up."""

    def document(self, docid: str) -> Mapping[str, Any] | None:
        """Winning body of another document, None if there is none or it is deleted."""

    def channels(self, docid: str) -> frozenset[Channel] | None:
        """Stored channels of another document, None if there is no live one."""


class NoParents:
    """There are no other documents."""

    def document(self, docid: str) -> None:
        return None

    def channels(self, docid: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Face:
    """How a document of some type comes to an audience."""

    rule: Rule
    key: str = ""
    """Field that holds the key: of the document, or of the parent where one is named."""
    through: str = ""
    """Field of the document with the id of the parent. A parent that is gone makes no audience; it malforms
    nothing."""
    parent: str = ""
    """Type that the parent must have; a document of another type is no parent."""
    otherwise: str = ""
    """Field of the document that holds the key where the parent doesn't give it."""
    optional: bool = False
    """False: a document without the key is malformed and has no audience at all."""
    status: str = ""
    """Only documents in this status have the audience."""
    reads: bool = True
    """False: the rule counts for writes only, it makes no channel."""


class Audience(NamedTuple):
    rule: Rule
    key: str
    channels: tuple[Channel, ...]


_ALL = Face(Rule.ALL)
_TEAM = Face(Rule.ASSIGNED_PROJECT, "projectId")
_TEAM_IF_ANY = Face(Rule.ASSIGNED_PROJECT, "projectId", optional=True)
_SALES = Face(Rule.OWN_CUSTOMER, "customerId")
_TOUR_OWNER = Face(Rule.OWN, "ownerId", through="tourId", parent="tour", otherwise="createdBy")


def _own(field: str) -> Face:
    return Face(Rule.OWN, field)


def _self(field: str) -> Face:
    return Face(Rule.SELF, field)


AUDIENCES: Mapping[str, tuple[Face, ...]] = {
    # sales
    "customer": (_ALL, Face(Rule.OWN_CUSTOMER, "_id"), Face(Rule.OWN, "owner", optional=True, reads=False)),
    "customer_card": (_ALL,),
    "customer_finance": (_ALL, _SALES),
    "customer_visit": (_ALL, _SALES),
    "location": (_ALL, _SALES),
    "contact": (_ALL, _SALES),
    "lead": (_ALL, _own("owner")),
    "opportunity": (_ALL, _own("owner")),
    "opportunity_card": (_ALL,),
    "offer": (_ALL, _SALES, Face(Rule.ACCEPTED_OFFER, "_id", status="accepted")),
    "offer_margin": (_ALL,),
    "contract": (_ALL, _SALES),
    "invoice": (_ALL, _TEAM_IF_ANY),
    "invoice_amount": (
        _ALL,
        Face(Rule.ASSIGNED_PROJECT, "projectId", through="invoiceId", parent="invoice"),
    ),
    "invoice_card": (_ALL, _SALES),
    "activity": (_ALL, _SALES, _own("createdBy")),
    "protocol": (_ALL, _SALES, _own("createdBy")),
    # projects
    "project": (_ALL, _SALES, Face(Rule.ASSIGNED_PROJECT, "_id")),
    "project_card": (_ALL,),
    "project_costs": (_ALL,),
    "project_margin": (_ALL,),
    "project_competitor": (_ALL,),
    "project_task": (
        _ALL,
        Face(Rule.OWN_CUSTOMER, "customerId", through="projectId", parent="project"),
        _TEAM,
        _own("assignedTo"),
    ),
    "project_cost": (_ALL, _TEAM),
    "user_task": (_ALL, _own("assignedTo")),
    "time_entry": (_ALL, _own("userId"), _TEAM),
    "time_entry_cost": (
        _ALL,
        Face(Rule.OWN, "userId", through="timeEntryId", parent="time_entry"),
    ),
    # on the road
    "tour": (_ALL, _own("ownerId")),
    "tour_card": (_ALL,),
    "tour_costs": (_ALL, Face(Rule.OWN, "ownerId", through="tourId", parent="tour")),
    "meeting": (_ALL, _TOUR_OWNER),
    "meeting_card": (_ALL,),
    "hotel_stay": (_ALL, _TOUR_OWNER),
    "expense": (_ALL, _own("createdBy"), _TEAM_IF_ANY),
    "expense_notes": (_ALL,),
    "mileage_log": (_ALL, _own("createdBy"), _TEAM_IF_ANY),
    # suppliers and material
    "supplier": (_ALL,),
    "supplier_card": (_ALL,),
    "supplier_contract": (_ALL, _TEAM_IF_ANY),
    "purchase_order": (_ALL, _TEAM_IF_ANY),
    "project_subcontractor": (_ALL, _TEAM),
    "request_for_quote": (_ALL, _TEAM_IF_ANY),
    "supplier_communication": (_ALL, _TEAM_IF_ANY),
    "delivery": (_ALL, _TEAM_IF_ANY),
    "supplier_invoice": (_ALL, _TEAM_IF_ANY),
    "material": (_ALL,),
    "material_card": (_ALL,),
    "material_stock": (_ALL,),
    "inventory_movement": (_ALL,),
    "project_material_requirement": (_ALL,),
    # people and the system
    "user": (_ALL, _self("userName")),
    "user_card": (_ALL,),
    "role": (_ALL,),
    "permission_matrix": (_ALL,),
    "calendar_subscription": (_self("userId"),),
    "comment": (
        Face(Rule.PARENT, "parentId"),
        Face(Rule.OWN, "createdBy", optional=True, reads=False),
    ),
    "notification": (_self("recipientId"),),
    "rejected_change": (_self("user"),),
    "conflict": (
        Face(Rule.ALL, status="escalated"),
        Face(Rule.SELF, "user", optional=True),
    ),
    "device": (),
    "quarantine": (),
}
"""Every type there is. A type that isn't here has no audience."""

INHERITED: Mapping[str, frozenset[str]] = {
    parent: frozenset(
        face.key for faces in AUDIENCES.values() for face in faces if face.through and face.parent == parent
    )
    for parent in AUDIENCES
}
"""Type -> the fields of which documents that refer to such a one get keys of channels."""

PRIVATE = frozenset({"activity", "protocol"})
"""Types with a flag `private`: a private document is its creator's alone."""

SHARED: Mapping[Rule, str] = {
    Rule.OWN_CUSTOMER: "sales:customer:",
    Rule.ASSIGNED_PROJECT: "team:project:",
    Rule.ACCEPTED_OFFER: "accepted:offer:",
}
"""Audiences that documents of several types have in common: whoever holds the channel reads all of them."""

PERSONAL = "user:"
"""The channel of what is about a person."""


def key_of(value: object) -> str | None:
    """An id or a name that can be the key of a channel, None if the value is none."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_KEY else None


def type_of(doc: Mapping[str, Any]) -> str | None:
    """The document's type if it is known."""
    doctype = doc.get("type")
    return doctype if isinstance(doctype, str) and doctype in AUDIENCES else None


def audiences(doc: Mapping[str, Any], parents: Parents) -> tuple[Audience, ...]:
    """The audiences of a live document; none if its type is unknown or a field that matters is malformed."""
    doctype = type_of(doc)
    if doctype is None or doc.get("_deleted"):
        return ()
    private = False
    if doctype in PRIVATE:
        flag = doc.get("private")
        if flag is not None and not isinstance(flag, bool):
            return ()
        private = bool(flag)
    found = []
    for face in AUDIENCES[doctype]:
        if face.rule is Rule.ALL:
            if not private and face.status in ("", doc.get("status")):
                found.append(Audience(Rule.ALL, "", (f"all:{doctype}",)))
            continue
        key, sound = _key(face, doc, parents)
        if not sound:
            return ()
        if key is None or (private and face.rule is not Rule.OWN):
            continue
        if face.status and doc.get("status") != face.status:
            continue
        found.append(Audience(face.rule, key, _channels(face, doctype, key, parents)))
    return tuple(found)


def _key(face: Face, doc: Mapping[str, Any], parents: Parents) -> tuple[str | None, bool]:
    """The key, and whether the fields that lead to it are well-formed."""
    if not face.through:
        value = doc.get(face.key)
        key = key_of(value)
        return key, key is not None or (face.optional and value is None)
    reference = doc.get(face.through)
    key = None
    if reference is not None:
        parent_id = key_of(reference)
        if parent_id is None:
            return None, False
        parent = parents.document(parent_id)
        if parent is not None and type_of(parent) == face.parent:
            key = key_of(parent.get(face.key))
    elif not face.otherwise:
        return None, False
    if key is None and face.otherwise:
        key = key_of(doc.get(face.otherwise))
        return key, key is not None
    return key, True


def _channels(face: Face, doctype: str, key: str, parents: Parents) -> tuple[Channel, ...]:
    if not face.reads:
        return ()
    if face.rule is Rule.OWN:
        return (f"own:{doctype}:{key}",)
    if face.rule is Rule.SELF:
        return (PERSONAL + key,)
    if face.rule is Rule.PARENT:
        return tuple(parents.channels(key) or ())
    return (SHARED[face.rule] + key,)
