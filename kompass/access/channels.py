"""Channels: what a document has, what a person holds. He may read it if and only if the two sets meet.

    document --(its fields, its parents)--> channels <--(roles, matrix, facts about him)-- person

`document_channels` and `principal_channels` are the two faces; `holds` answers for one channel without
listing all of them. All three are pure and total: whatever a document contains, they answer and never
raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Any, NamedTuple

from kompass.access.audiences import (
    AUDIENCES,
    PERSONAL,
    SHARED,
    Channel,
    Parents,
    audiences,
    key_of,
    type_of,
)
from kompass.access.matrix import Matrix
from kompass.access.principals import Role
from kompass.access.rules import Rule


class RelationKind(StrEnum):
    OWNS_CUSTOMER = "owns_customer"
    """Key: the customer's id."""
    ASSIGNED_PROJECT = "assigned_project"
    """Key: the project's id."""
    ASSIGNED_OFFER = "assigned_offer"
    """Key: the id of the offer that a project he is assigned to came from."""


class Relation(NamedTuple):
    """A fact that a document states about a person."""

    user: str
    kind: RelationKind
    key: str


RELATION_OF: Mapping[Rule, RelationKind] = {
    Rule.OWN_CUSTOMER: RelationKind.OWNS_CUSTOMER,
    Rule.ASSIGNED_PROJECT: RelationKind.ASSIGNED_PROJECT,
    Rule.ACCEPTED_OFFER: RelationKind.ASSIGNED_OFFER,
}
"""The fact that makes somebody whose role has the rule belong to a shared audience."""

_SHARED_BY_KIND = {kind: (rule, SHARED[rule]) for rule, kind in RELATION_OF.items()}
_SHARED_BY_CLASS = {
    prefix.partition(":")[0]: (rule, len(prefix), RELATION_OF[rule]) for rule, prefix in SHARED.items()
}


def document_channels(doc: Mapping[str, Any], parents: Parents) -> frozenset[Channel]:
    """The channels of a live document.

    Empty (nobody) for an unknown type, for a field that feeds a channel and is malformed, and for a deleted
    body: who stores a tombstone keeps the last channels beside it.
    """
    return frozenset(channel for audience in audiences(doc, parents) for channel in audience.channels)


def parent_ids(doc: Mapping[str, Any]) -> tuple[str, ...]:
    """The documents whose change may change this document's channels, each once."""
    found: dict[str, None] = {}
    for face in AUDIENCES.get(type_of(doc) or "", ()):
        name = face.key if face.rule is Rule.PARENT else face.through
        if name and (key := key_of(doc.get(name))) is not None:
            found[key] = None
    return tuple(found)


def relations(doc: Mapping[str, Any]) -> frozenset[Relation]:
    """What the document states about people. A deleted document states nothing."""
    doctype = type_of(doc)
    docid = key_of(doc.get("_id")) if doctype is not None else None
    if docid is None or doc.get("_deleted"):
        return frozenset()
    if doctype == "customer":
        owner = key_of(doc.get("owner"))
        return frozenset({Relation(owner, RelationKind.OWNS_CUSTOMER, docid)} if owner else ())
    if doctype != "project":
        return frozenset()
    team = doc.get("teamMemberIds")
    people = [doc.get("projectManagerId"), *(team if isinstance(team, list) else ())]
    offer = key_of(doc.get("offerId"))
    stated = set()
    for person in people:
        name = key_of(person)
        if name is not None:
            stated.add(Relation(name, RelationKind.ASSIGNED_PROJECT, docid))
            if offer is not None:
                stated.add(Relation(name, RelationKind.ASSIGNED_OFFER, offer))
    return frozenset(stated)


def principal_channels(
    name: str, roles: frozenset[Role], relations: Iterable[Relation], matrix: Matrix
) -> frozenset[Channel]:
    """All channels a person holds. Relations of other people among `relations` count for nothing."""
    reading = matrix.reading(roles)
    held = {PERSONAL + name, *reading.whole, *(f"own:{doctype}:{name}" for doctype in reading.own)}
    for user, kind, key in relations:
        rule, prefix = _SHARED_BY_KIND[kind]
        if user == name and rule in reading.shared:
            held.add(prefix + key)
    return frozenset(held)


def holds(
    name: str, roles: frozenset[Role], relations: AbstractSet[Relation], matrix: Matrix, channel: Channel
) -> bool:
    """Whether the channel is among `principal_channels` of the same arguments."""
    reading = matrix.reading(roles)
    kind, _, rest = channel.partition(":")
    if kind == "all":
        return channel in reading.whole
    if kind == "own":
        doctype, _, key = rest.partition(":")
        return key == name and doctype in reading.own
    shared = _SHARED_BY_CLASS.get(kind)
    if shared is None:
        return channel == PERSONAL + name
    rule, length, relation = shared
    return rule in reading.shared and Relation(name, relation, channel[length:]) in relations
