"""The decision: may this person do this to this document?

`decide` is pure and total, and denies what no rule allows. Rights of several roles add up. A write is
judged in this order, and the first refusal is the answer:

1. the type is known and not written by the server alone
2. the stored document is visible to the writer; if not, the answer is that of a document that doesn't exist
3. what a new document refers to is visible to him
4. some role gives him a right to the document, within its limits
5. type, parents, author and owner stay, unless his role may change the owner
6. fields stand in the document they belong to, and only those change that he may write
7. some role gives him a right to the changed document as well: nobody gives a document away to get out of a
   rule, nor moves it where he may not create

Not judged here, but by the layers after this one: shapes, transitions between states, frozen fields, and
what needs more than one document to agree. A deletion is judged on the stored document alone; its body is
ignored.

Reasons quote what was pushed and what the writer may read, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kompass.access.audiences import Audience, Channel, NoParents, Parents, audiences, key_of, type_of
from kompass.access.channels import RELATION_OF, Relation, holds
from kompass.access.companions import BASE_FIELD, companion_id
from kompass.access.fields import (
    CARD_SUFFICES,
    FIXED,
    OWNERS,
    TARGETS,
    changed,
    misplaced,
    moved,
    unwritable,
)
from kompass.access.matrix import DEFAULT, Grant, Matrix
from kompass.access.principals import Principal, Role
from kompass.access.rules import Action, Rule
from kompass.access.table import COMPANIONS, DISMISSED, SERVER_WRITTEN, Limit

UNKNOWN = "document.unknown"
"""The rule of every refusal that must not tell whether the document exists."""

ABSENT = "reference.absent"
"""A document that the new one refers to is absent or invisible, which is the same to the writer. It may
come later."""


@dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    rule: str
    """Stable name of what decided: `customer.read.ADM.own_customer`, `field.writers`, ..."""
    reason: str
    """For a person."""
    fields: tuple[str, ...] = ()
    """Names of the fields that are wrong."""


class Facts:
    """What a decision is made from, beside the documents themselves. Nothing changes it."""

    __slots__ = ("matrix", "now", "parents", "principal", "received", "relations")

    def __init__(
        self,
        principal: Principal,
        relations: AbstractSet[Relation],
        parents: Parents,
        matrix: Matrix,
        now: datetime | None = None,
        received: datetime | None = None,
    ) -> None:
        self.principal = principal
        self.relations = relations
        self.parents = parents
        self.matrix = matrix
        self.now = now
        self.received = received

    def grants(self, doctype: str, action: Action) -> tuple[Grant, ...]:
        return self.matrix.grants(doctype, action, self.principal.roles)

    def holds(self, channel: Channel) -> bool:
        return holds(self.principal.name, self.principal.roles, self.relations, self.matrix, channel)

    def belongs(self, audience: Audience) -> bool:
        """Whether the person belongs to the audience, provided that a role gives him its rule."""
        rule, key, channels = audience
        if rule is Rule.ALL:
            return True
        if rule is Rule.OWN or rule is Rule.SELF:
            return key == self.principal.name
        if rule is Rule.PARENT:
            return any(self.holds(channel) for channel in channels)
        return Relation(self.principal.name, RELATION_OF[rule], key) in self.relations


_NO_RELATIONS: frozenset[Relation] = frozenset()
_NO_PARENTS = NoParents()


def decide(
    principal: Principal,
    action: Action,
    doc: Mapping[str, Any],
    *,
    before: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    relations: AbstractSet[Relation] = _NO_RELATIONS,
    parents: Parents = _NO_PARENTS,
    matrix: Matrix = DEFAULT,
    now: datetime | None = None,
    received: datetime | None = None,
) -> Decision:
    """Whether the principal may do this, and why.

    `doc` is the document as it is (read) or shall be (create, update); a deletion's body is ignored.
    `before` is the stored winner (update, delete). `base` is the stored revision that the writer edited,
    where it is another one: what he changed is the difference from it.
    `relations` are the facts that stored documents state about the principal.
    `now` is the server's time and `received` the server's time of the document's first revision: a right that
    ends after a while needs both and is denied without them.
    """
    facts = Facts(principal, relations, parents, matrix, now, received)
    if action is Action.DELETE:
        return _delete(facts, before)
    doctype = type_of(doc)
    if doctype is None:
        return _no("type.unknown", "There is no such type of document.", "type")
    if action is Action.READ:
        return _read(facts, doctype, audiences(doc, parents))
    if doctype in SERVER_WRITTEN:
        return _server_written(doctype)
    if action is Action.CREATE:
        return _create(facts, doctype, doc)
    return _update(facts, doctype, doc, before, base if base is not None else before)


def may_read(
    principal: Principal,
    channels: AbstractSet[Channel],
    relations: AbstractSet[Relation],
    matrix: Matrix = DEFAULT,
) -> bool:
    """Whether somebody may read a document with these (stored) channels."""
    facts = Facts(principal, relations, _NO_PARENTS, matrix)
    return any(facts.holds(channel) for channel in channels)


def _read(facts: Facts, doctype: str, found: tuple[Audience, ...]) -> Decision:
    for audience in found:
        for channel in audience.channels:
            if facts.holds(channel):
                return Decision(True, _read_rule(facts, doctype, audience), f"Readable through {channel}.")
    return _INVISIBLE


def _read_rule(facts: Facts, doctype: str, audience: Audience) -> str:
    for role, rule, _ in facts.grants(doctype, Action.READ):
        if rule is audience.rule:
            return f"{doctype}.read.{role}.{rule}"
    return f"{doctype}.read.{audience.rule}"


def _create(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Decision:
    if not facts.grants(doctype, Action.CREATE):
        return _no_role(doctype, Action.CREATE)
    # What it refers to comes before the record rules: it may be what they miss, and it may still come.
    absent = tuple(_absent(facts, doctype, doc))
    if absent:
        names = ", ".join(f"{field} {_quote(doc[field])}" for field in absent)
        return _no(ABSENT, f"There is no such document, or you may not read it: {names}.", *absent)
    found = audiences(doc, facts.parents)
    if not found:
        return _no("type.malformed", f"Fields that say who reads this {doctype} are missing or malformed.")
    granted = _granted(facts, doctype, Action.CREATE, found, doc, None, None)
    if not granted.allowed:
        return granted
    name = facts.principal.name
    if doc.get("createdBy") != name:
        return _no("escape.author", f"createdBy must be {name}, who sends the document.", "createdBy")
    return (
        _modifier(facts, doc)
        or _companion(doctype, doc)
        or _field_rights(facts, doctype, doc, None)
        or granted
    )


def _update(
    facts: Facts,
    doctype: str,
    doc: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    base: Mapping[str, Any] | None,
) -> Decision:
    if before is None or base is None:
        return _INVISIBLE
    found = audiences(before, facts.parents)
    if not _visible(facts, found):
        return _INVISIBLE
    if before.get("type") != doctype:
        return _no("escape.type", "The type of a document never changes.", "type")
    granted = _granted(facts, doctype, Action.UPDATE, found, doc, before, base)
    if not granted.allowed:
        return granted
    return (
        _escape(facts, doctype, doc, base)
        or _modifier(facts, doc)
        or _field_rights(facts, doctype, doc, base)
        or _lands(facts, doctype, doc)
        or granted
    )


def _delete(facts: Facts, before: Mapping[str, Any] | None) -> Decision:
    doctype = type_of(before) if before is not None else None
    if before is None or doctype is None:
        return _INVISIBLE
    found = audiences(before, facts.parents)
    if not _visible(facts, found):
        return _INVISIBLE
    if doctype in DISMISSED:
        return Decision(True, f"{doctype}.delete.reader", "Whoever is told may have done with it.")
    if doctype in SERVER_WRITTEN:
        return _server_written(doctype)
    return _granted(facts, doctype, Action.DELETE, found, before, before, before)


def _visible(facts: Facts, found: tuple[Audience, ...]) -> bool:
    return any(facts.holds(channel) for audience in found for channel in audience.channels)


def _granted(
    facts: Facts,
    doctype: str,
    action: Action,
    found: tuple[Audience, ...],
    doc: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    base: Mapping[str, Any] | None,
) -> Decision:
    """Whether a role gives the right to the document with these audiences, within its limits."""
    grants = facts.grants(doctype, action)
    if not grants:
        return _no_role(doctype, action)
    refused: Decision | None = None
    for role, rule, limit in grants:
        for audience in found:
            if audience.rule is not rule or not facts.belongs(audience):
                continue
            name = f"{doctype}.{action}.{role}.{rule}"
            why = _exceeds(facts, limit, doc, before, base) if limit is not None else None
            if why is None:
                return Decision(True, name, f"{role} may {action} {doctype}: {rule}.")
            refused = _no(name, why)
    if refused is not None:
        return refused
    rules = " or ".join(sorted({grant.rule for grant in grants}))
    return _no(f"{doctype}.{action}", f"You may {action} {doctype} only where it is: {rules}.")


def _exceeds(
    facts: Facts,
    limit: Limit,
    doc: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    base: Mapping[str, Any] | None,
) -> str | None:
    """Why the right doesn't reach this far, None if it does."""
    if limit.statuses is not None:
        status = (before if before is not None else doc).get("status")
        if not isinstance(status, str) or status not in limit.statuses:
            return f"Only while its status is {' or '.join(sorted(limit.statuses))}; it is {_quote(status)}."
    if limit.only is not None and base is not None:
        fields = {*doc, *base} - limit.only - _HOUSEKEEPING
        more = sorted(field for field in fields if changed(field, doc, base))
        if more:
            return f"Only {', '.join(sorted(limit.only))} may change, not {', '.join(map(_quote, more))}."
    if limit.within is not None and (
        facts.now is None or facts.received is None or facts.now - facts.received > limit.within
    ):
        hours = int(limit.within.total_seconds() // 3600)
        return f"Only in the first {hours} hours after the server received it."
    if limit.signed_contract:
        contract = _parent(facts, doc, "contractId", "contract")
        if contract is None or contract.get("status") != "signed":
            return "Only from a signed contract: contractId must name one."
    return None


_HOUSEKEEPING = frozenset({"_id", "_rev", "_revisions", "modifiedBy", "modifiedAt", "version"})


def _escape(facts: Facts, doctype: str, doc: Mapping[str, Any], base: Mapping[str, Any]) -> Decision | None:
    if changed("createdBy", doc, base):
        return _no("escape.author", "createdBy never changes.", "createdBy")
    fields = moved(doc, base)
    if fields:
        text = (
            f"A document keeps its place: no device changes {', '.join(fields)}. Ask the office to move it."
        )
        return _no("escape.parent", text, *fields)
    for field, roles in OWNERS.get(doctype, {}).items():
        if changed(field, doc, base) and roles.isdisjoint(facts.principal.roles):
            return _no("escape.owner", f"{field} of {doctype} is changed by {_names(roles)} only.", field)
    return None


def _lands(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Decision | None:
    """Refuses a new text that the writer could neither have made nor change afterwards."""
    found = audiences(doc, facts.parents)
    for action in (Action.UPDATE, Action.CREATE):
        for _, rule, _ in facts.grants(doctype, action):
            if any(audience.rule is rule and facts.belongs(audience) for audience in found):
                return None
    return _no("escape.audience", f"The change would move this {doctype} out of your reach; ask the office.")


def _modifier(facts: Facts, doc: Mapping[str, Any]) -> Decision | None:
    name = facts.principal.name
    if doc.get("modifiedBy") == name:
        return None
    return _no("escape.author", f"modifiedBy must be {name}, who sends the document.", "modifiedBy")


def _companion(doctype: str, doc: Mapping[str, Any]) -> Decision | None:
    """There is one companion of a base, because its id follows from the base's."""
    if doctype not in COMPANIONS:
        return None
    field = BASE_FIELD[doctype]
    base = key_of(doc.get(field))
    wanted = companion_id(doctype, base) if base is not None else None
    if wanted is not None and doc.get("_id") == wanted:
        return None
    text = f"{field} must name the document it belongs to, and _id must be {wanted or 'made from it'}."
    return _no("companion.id", text, "_id", field)


def _field_rights(
    facts: Facts, doctype: str, doc: Mapping[str, Any], base: Mapping[str, Any] | None
) -> Decision | None:
    wrong = misplaced(doc, base)
    if wrong:
        text = "; ".join(f"{doctype}.{field} belongs in {to}" for field, to in wrong.items())
        return _no("field.misplaced", text + ".", *wrong)
    refused = unwritable(doc, base, facts.principal.roles)
    if refused:
        text = "; ".join(
            f"{doctype}.{field} is written by {_names(roles) or 'the server alone'}"
            for field, roles in refused.items()
        )
        return _no("field.writers", text + ".", *refused)
    return None


def _absent(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Iterator[str]:
    """References of a new document whose targets the writer can't see."""
    for field in FIXED:
        value = doc.get(field)
        if value is not None and not _sees(facts, doctype, doc, field, value):
            yield field


def _sees(facts: Facts, doctype: str, doc: Mapping[str, Any], field: str, value: object) -> bool:
    docid = key_of(value)
    target = facts.parents.document(docid) if docid is not None else None
    wanted = TARGETS.get(field)
    if docid is None or target is None or (wanted is not None and type_of(target) != wanted):
        return False
    channels = facts.parents.channels(docid)
    if channels is not None and any(facts.holds(channel) for channel in channels):
        return True
    if field in CARD_SUFFICES and facts.holds(f"all:{wanted}_card"):
        return True
    # A project is made from its contract: what the visible contract names needs not be visible itself.
    if doctype == "project" and field in ("offerId", "opportunityId"):
        contract = _parent(facts, doc, "contractId", "contract")
        return contract is not None and contract.get(field) == value
    return False


def _parent(facts: Facts, doc: Mapping[str, Any], field: str, doctype: str) -> Mapping[str, Any] | None:
    docid = key_of(doc.get(field))
    parent = facts.parents.document(docid) if docid is not None else None
    return parent if parent is not None and type_of(parent) == doctype else None


def _no(rule: str, reason: str, *fields: str) -> Decision:
    return Decision(False, rule, reason, fields)


_INVISIBLE = _no(UNKNOWN, "There is no such document, or you may not read it.")


def _server_written(doctype: str) -> Decision:
    return _no("type.server_written", f"Documents of type {doctype} are written by the server alone.", "type")


def _no_role(doctype: str, action: Action) -> Decision:
    return _no(f"{doctype}.{action}", f"None of your roles may {action} {doctype}.")


def _names(roles: frozenset[Role]) -> str:
    return " and ".join(sorted(roles))


def _quote(value: object) -> str:
    text = value if isinstance(value, str) else "none" if value is None else type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."
