"""Who may see and write what: pure rules, no I/O. docs/access.md has the tables."""

from kompass.access.audiences import Channel, NoParents, Parents
from kompass.access.channels import (
    Relation,
    RelationKind,
    document_channels,
    holds,
    parent_ids,
    principal_channels,
    relations,
)
from kompass.access.matrix import DEFAULT, Matrix, MatrixError
from kompass.access.policy import Decision, decide, may_read
from kompass.access.principals import Principal, Role, known_roles
from kompass.access.rules import Action, Rule

__all__ = [
    "DEFAULT",
    "Action",
    "Channel",
    "Decision",
    "Matrix",
    "MatrixError",
    "NoParents",
    "Parents",
    "Principal",
    "Relation",
    "RelationKind",
    "Role",
    "Rule",
    "decide",
    "document_channels",
    "holds",
    "known_roles",
    "may_read",
    "parent_ids",
    "principal_channels",
    "relations",
]
