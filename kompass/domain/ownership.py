"""Whose a document is: its owner, its assignee, or whoever made it."""

from __future__ import annotations

from kompass.access.audiences import AUDIENCES, key_of
from kompass.access.rules import Rule
from kompass.domain.changes import Body, Facts


def owner(body: Body, facts: Facts) -> str | None:
    """The person that the record rule `own` of the access rules means; where a type has none, its author."""
    for face in AUDIENCES.get(str(body.get("type")), ()):
        if face.rule is not Rule.OWN:
            continue
        name = None
        if face.through:
            reference = key_of(body.get(face.through))
            parent = facts.document(reference) if reference is not None else None
            if parent is not None and parent.get("type") == face.parent:
                name = key_of(parent.get(face.key))
        else:
            name = key_of(body.get(face.key))
        return name or key_of(body.get(face.otherwise or "createdBy"))
    return key_of(body.get("createdBy"))
