"""The decision: may this person do this to this document?

`decide` is pure and total, and denies what no rule allows. Rights of several roles add up. A write is
judged in this order, and the first refusal is the answer:

1. the type is known and not written by the server alone
2. the stored document is visible to the writer; if not, the answer is that of a document that doesn't exist
3. some role has a record rule, for the stored document and for the new one: nobody gives a document away to
   get out of a rule, nor moves it where he may not create
4. type, parents, author and owner stay, unless his role may change the owner
5. fields stand in the document they belong to, and only those change that he may write
6. what a new document refers to is visible to him

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
    FIXED_ALSO,
    OWNERS,
    TARGETS,
    changed,
    misplaced,
    unwritable,
)
from kompass.access.matrix import DEFAULT, Matrix
from kompass.access.principals import Principal, Role
from kompass.access.rules import Action, Rule
from kompass.access.table import COMPANIONS, SERVER_WRITTEN, Limit, limit

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


@dataclass(frozen=True, slots=True)
class Facts:
    """What a decision is made from, beside the documents themselves."""

    principal: Principal
    relations: AbstractSet[Relation]
    parents: Parents
    matrix: Matrix
    now: datetime | None
    received: datetime | None

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
    relations: AbstractSet[Relation] = _NO_RELATIONS,
    parents: Parents = _NO_PARENTS,
    matrix: Matrix = DEFAULT,
    now: datetime | None = None,
    received: datetime | None = None,
) -> Decision:
    """Whether the principal may do this, and why.

    `doc` is the document as it is (read, delete) or shall be (create, update), `before` the stored winner
    (update, delete). `relations` are the facts that stored documents state about the principal. `now` is
    the server's time and `received` the server's time of the document's first revision: a right that ends
    after a while needs both and is denied without them.
    """
    facts = Facts(principal, relations, parents, matrix, now, received)
    if action is Action.DELETE:
        doc = before if before is not None else doc
    doctype = type_of(doc)
    if doctype is None:
        return _no("type.unknown", "There is no such type of document.", "type")
    if action is Action.READ:
        return _read(facts, doctype, doc)
    if doctype in SERVER_WRITTEN:
        return _no(
            "type.server_written", f"Documents of type {doctype} are written by the server alone.", "type"
        )
    if action is Action.CREATE:
        return _create(facts, doctype, doc)
    if action is Action.UPDATE:
        return _update(facts, doctype, doc, before)
    return _delete(facts, doctype, doc)


def may_read(
    principal: Principal,
    channels: AbstractSet[Channel],
    relations: AbstractSet[Relation],
    matrix: Matrix = DEFAULT,
) -> bool:
    """Whether somebody may read a document with these (stored) channels."""
    return any(holds(principal.name, principal.roles, relations, matrix, channel) for channel in channels)


def _read(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Decision:
    for audience in audiences(doc, facts.parents):
        for channel in audience.channels:
            if facts.holds(channel):
                return Decision(True, _read_rule(facts, doctype, audience), f"Readable through {channel}.")
    return _no(UNKNOWN, "There is no such document, or you may not read it.")


def _read_rule(facts: Facts, doctype: str, audience: Audience) -> str:
    for role in sorted(facts.principal.roles):
        if audience.rule in facts.matrix.rules(doctype, role, Action.READ):
            return f"{doctype}.read.{role}.{audience.rule}"
    return f"{doctype}.read.{audience.rule}"


def _create(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Decision:
    name = facts.principal.name
    if doc.get("createdBy") != name:
        return _no("escape.author", f"createdBy must be {name}, who sends the document.", "createdBy")
    found = audiences(doc, facts.parents)
    granted = _granted(facts, doctype, Action.CREATE, found, doc, None)
    if not granted.allowed and not found:
        granted = _no("type.malformed", f"Fields that say who reads this {doctype} are missing or malformed.")
    return (
        _absent_first(facts, doctype, doc, granted)
        or _modifier(facts, doc)
        or _companion(doctype, doc)
        or _field_rights(facts, doc, None)
        or granted
    )


def _absent_first(facts: Facts, doctype: str, doc: Mapping[str, Any], granted: Decision) -> Decision | None:
    """What a new document refers to comes before the record rules: it may be what they miss."""
    if not _roles(facts, doctype, Action.CREATE):
        return granted
    absent = tuple(_absent(facts, doctype, doc))
    if absent:
        names = ", ".join(f"{field} {_quote(doc[field])}" for field in absent)
        return _no(ABSENT, f"There is no such document, or you may not read it: {names}.", *absent)
    return granted if not granted.allowed else None


def _update(facts: Facts, doctype: str, doc: Mapping[str, Any], before: Mapping[str, Any] | None) -> Decision:
    if before is None:
        return _no(UNKNOWN, "There is no such document, or you may not change it.")
    visible = _read(facts, type_of(before) or "", before)
    if not visible.allowed:
        return visible
    if before.get("type") != doctype:
        return _no("escape.type", "The type of a document never changes.", "type")
    granted = _granted(facts, doctype, Action.UPDATE, audiences(before, facts.parents), doc, before)
    if not granted.allowed:
        return granted
    return (
        _escape(facts, doctype, doc, before)
        or _modifier(facts, doc)
        or _field_rights(facts, doc, before)
        or _lands(facts, doctype, doc)
        or granted
    )


def _delete(facts: Facts, doctype: str, before: Mapping[str, Any]) -> Decision:
    visible = _read(facts, doctype, before)
    if not visible.allowed:
        return visible
    return _granted(facts, doctype, Action.DELETE, audiences(before, facts.parents), before, before)


def _roles(facts: Facts, doctype: str, action: Action) -> list[Role]:
    """The principal's roles that have some right to the action."""
    return [role for role in sorted(facts.principal.roles) if facts.matrix.rules(doctype, role, action)]


def _granted(
    facts: Facts,
    doctype: str,
    action: Action,
    found: tuple[Audience, ...],
    doc: Mapping[str, Any],
    before: Mapping[str, Any] | None,
) -> Decision:
    """Whether a role gives the right to the document with these audiences, within its limits."""
    refused: Decision | None = None
    roles = _roles(facts, doctype, action)
    for role in roles:
        rules = facts.matrix.rules(doctype, role, action)
        for audience in found:
            if audience.rule not in rules or not facts.belongs(audience):
                continue
            rule = f"{doctype}.{action}.{role}.{audience.rule}"
            narrowed = limit(doctype, role, action, audience.rule)
            why = _exceeds(facts, narrowed, doc, before) if narrowed is not None else None
            if why is None:
                return Decision(True, rule, f"{role} may {action} {doctype}: {audience.rule}.")
            refused = _no(rule, why)
    if refused is not None:
        return refused
    if not roles:
        return _no(f"{doctype}.{action}", f"None of your roles may {action} {doctype}.")
    rules_named = " or ".join(
        sorted({rule.value for role in roles for rule in facts.matrix.rules(doctype, role, action)})
    )
    return _no(f"{doctype}.{action}", f"You may {action} {doctype} only where it is: {rules_named}.")


def _exceeds(
    facts: Facts, limit: Limit, doc: Mapping[str, Any], before: Mapping[str, Any] | None
) -> str | None:
    """Why the right doesn't reach this far, None if it does."""
    if limit.statuses is not None:
        status = (before if before is not None else doc).get("status")
        if not isinstance(status, str) or status not in limit.statuses:
            return f"Only while its status is {' or '.join(sorted(limit.statuses))}; it is {_quote(status)}."
    if limit.only is not None and before is not None:
        more = sorted(
            field for field in {*doc, *before} - limit.only - _HOUSEKEEPING if changed(field, doc, before)
        )
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


def _escape(facts: Facts, doctype: str, doc: Mapping[str, Any], before: Mapping[str, Any]) -> Decision | None:
    if changed("createdBy", doc, before):
        return _no("escape.author", "createdBy never changes.", "createdBy")
    moved = tuple(field for field in (*FIXED, *FIXED_ALSO.get(doctype, ())) if changed(field, doc, before))
    if moved:
        text = f"A document keeps its place: no device changes {', '.join(moved)}. Ask the office to move it."
        return _no("escape.parent", text, *moved)
    for field, roles in OWNERS.get(doctype, {}).items():
        if changed(field, doc, before) and not roles & facts.principal.roles:
            text = f"{field} of {doctype} is changed by {_names(roles)} only."
            return _no("escape.owner", text, field)
    return None


def _lands(facts: Facts, doctype: str, doc: Mapping[str, Any]) -> Decision | None:
    """Refuses a new text that the writer could neither have made nor change afterwards."""
    after = audiences(doc, facts.parents)
    for role in facts.principal.roles:
        rules = facts.matrix.rules(doctype, role, Action.UPDATE) | facts.matrix.rules(
            doctype, role, Action.CREATE
        )
        if any(audience.rule in rules and facts.belongs(audience) for audience in after):
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
    base = key_of(doc.get(BASE_FIELD[doctype]))
    wanted = companion_id(doctype, base) if base is not None else None
    if wanted is not None and doc.get("_id") == wanted:
        return None
    field = BASE_FIELD[doctype]
    text = f"{field} must name the document it belongs to, and _id must be {wanted or 'made from it'}."
    return _no("companion.id", text, "_id", field)


def _field_rights(facts: Facts, doc: Mapping[str, Any], before: Mapping[str, Any] | None) -> Decision | None:
    wrong = misplaced(doc, before)
    if wrong:
        text = "; ".join(f"{doc['type']}.{field} belongs in {to}" for field, to in wrong.items())
        return _no("field.misplaced", text + ".", *wrong)
    refused = unwritable(doc, before, facts.principal.roles)
    if refused:
        text = "; ".join(
            f"{doc['type']}.{field} is written by {_names(roles) or 'the server alone'}"
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
    if docid is None:
        return False
    target = facts.parents.document(docid)
    wanted = TARGETS.get(field)
    if target is None or (wanted is not None and type_of(target) != wanted):
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


def _names(roles: frozenset[Role]) -> str:
    return " and ".join(sorted(roles))


def _quote(value: object) -> str:
    text = value if isinstance(value, str) else "none" if value is None else type(value).__name__
    return text if len(text) <= 80 else text[:77] + "..."
