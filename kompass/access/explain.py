"""Why somebody may or may not do something: for administrators, who look at a decision after the fact.

An explanation names channels, owners and teams. It is not for the person it is about: a refusal's reason is.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kompass.access.audiences import Audience, Channel, NoParents, Parents, audiences, type_of
from kompass.access.channels import Relation, holds
from kompass.access.matrix import DEFAULT, Matrix
from kompass.access.policy import Decision, decide
from kompass.access.principals import Principal, Role
from kompass.access.rules import Action, Rule

_NO_RELATIONS: frozenset[Relation] = frozenset()
_NO_PARENTS = NoParents()


@dataclass(frozen=True, slots=True)
class RoleNeed:
    """What one role gives for the action, and what it asks of a person."""

    role: Role
    has: bool
    """He has the role."""
    rules: tuple[Rule, ...]
    """The cell of the matrix; empty if the role has no right at all."""
    needs: tuple[str, ...]
    """For each rule what makes it fit this document, in words."""
    allowed: bool
    """What the decision would be with this role alone."""


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    channels: tuple[Channel, ...]
    """All channels of the document (for a write: of the stored one, if there is one)."""
    held: tuple[Channel, ...]
    """Those of them that he holds: because of one of these he reads it."""
    relations: tuple[Relation, ...]
    """Facts about him that make him hold them."""
    roles: tuple[RoleNeed, ...]
    """Every role there is."""


def explain(
    principal: Principal,
    doc: Mapping[str, Any],
    *,
    action: Action = Action.READ,
    before: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    relations: AbstractSet[Relation] = _NO_RELATIONS,
    parents: Parents = _NO_PARENTS,
    matrix: Matrix = DEFAULT,
    now: datetime | None = None,
    received: datetime | None = None,
) -> Explanation:
    """The decision that `decide` makes of the same arguments, with everything it rests on."""

    def judged(person: Principal) -> Decision:
        return decide(
            person,
            action,
            doc,
            before=before,
            base=base,
            relations=relations,
            parents=parents,
            matrix=matrix,
            now=now,
            received=received,
        )

    stored = before if before is not None else doc
    found = audiences(stored, parents)
    channels = sorted({channel for audience in found for channel in audience.channels})
    held = tuple(
        channel for channel in channels if holds(principal.name, principal.roles, relations, matrix, channel)
    )
    # A fact counts if without it he would hold less.
    facts = tuple(
        relation
        for relation in sorted(relations)
        if relation.user == principal.name
        and any(
            not holds(principal.name, principal.roles, relations - {relation}, matrix, channel)
            for channel in held
        )
    )
    doctype = type_of(stored) or ""
    roles = tuple(
        RoleNeed(
            role,
            role in principal.roles,
            rules := tuple(sorted(matrix.rules(doctype, role, action))),
            tuple(_need(rule, found) for rule in rules),
            judged(Principal(principal.name, frozenset({role}), principal.device)).allowed,
        )
        for role in Role
    )
    return Explanation(judged(principal), tuple(channels), held, facts, roles)


_WORDS: Mapping[Rule, str] = {
    Rule.ALL: "nothing more",
    Rule.OWN: "to be {}",
    Rule.OWN_CUSTOMER: "to own {}",
    Rule.ASSIGNED_PROJECT: "to be assigned to {}",
    Rule.ACCEPTED_OFFER: "to be assigned to the project that came from {}",
    Rule.PARENT: "to read {}",
    Rule.SELF: "to be {}",
}


def _need(rule: Rule, found: tuple[Audience, ...]) -> str:
    for audience in found:
        if audience.rule is rule:
            return _WORDS[rule].format(audience.key)
    return f"doesn't fit: this document is for no {rule}"
