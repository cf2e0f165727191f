"""What the index asks the access rules. They are pure; the index knows none of them by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import structlog

from kompass.access import channels, companions, matrix
from kompass.access.audiences import Parents
from kompass.access.channels import Relation
from kompass.access.matrix import Matrix
from kompass.access.policy import decide
from kompass.access.principals import Principal, Role
from kompass.access.rules import Action

MATRIX_PREFIX = "permission-matrix-"

log = structlog.get_logger(__name__)


class Rules(Protocol):
    """The access rules as they are at one time."""

    def document_channels(self, doc: Mapping[str, Any], parents: Parents) -> frozenset[str]: ...

    def parent_ids(self, doc: Mapping[str, Any]) -> Iterable[str]:
        """Documents whose change may change this one's channels."""

    def relations(self, doc: Mapping[str, Any]) -> frozenset[Relation]:
        """What a document says about people."""

    def principal_channels(
        self, name: str, roles: frozenset[Role], relations: Iterable[Relation]
    ) -> frozenset[str]: ...

    def may_read(
        self,
        name: str,
        roles: frozenset[Role],
        doc: Mapping[str, Any],
        relations: AbstractSet[Relation],
        parents: Parents,
    ) -> bool:
        """Whether somebody reads a live document, by the rules alone."""

    def cards(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Documents that the server keeps beside a live one, whole with their `_id`."""

    def changed_by(self, docid: str, doc: Mapping[str, Any] | None) -> Rules | None:
        """Other rules, if this document sets rules; None if not. `doc` is None for a deleted document."""


class MatrixRules:
    """The product's rules with the matrix that is in force."""

    def __init__(self, in_force: Matrix = matrix.DEFAULT, source: str = "") -> None:
        """`source`: the document that set the matrix; empty for the static one."""
        self.matrix = in_force
        self._source = source

    def document_channels(self, doc: Mapping[str, Any], parents: Parents) -> frozenset[str]:
        return channels.document_channels(doc, parents)

    def parent_ids(self, doc: Mapping[str, Any]) -> Iterable[str]:
        return channels.parent_ids(doc)

    def relations(self, doc: Mapping[str, Any]) -> frozenset[Relation]:
        return channels.relations(doc)

    def principal_channels(
        self, name: str, roles: frozenset[Role], relations: Iterable[Relation]
    ) -> frozenset[str]:
        return channels.principal_channels(name, roles, relations, self.matrix)

    def may_read(
        self,
        name: str,
        roles: frozenset[Role],
        doc: Mapping[str, Any],
        relations: AbstractSet[Relation],
        parents: Parents,
    ) -> bool:
        who = Principal(name, roles)
        return decide(who, Action.READ, doc, relations=relations, parents=parents, matrix=self.matrix).allowed

    def cards(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        return companions.cards(doc)

    def changed_by(self, docid: str, doc: Mapping[str, Any] | None) -> MatrixRules | None:
        if not docid.startswith(MATRIX_PREFIX):
            return None
        if doc is None or doc.get("type") != "permission_matrix" or doc.get("active") is not True:
            return MatrixRules() if docid == self._source else None
        try:
            return MatrixRules(matrix.load(doc), docid)
        except matrix.MatrixError as error:
            log.error(
                "a permission matrix can't be used; the one before stays in force", id=docid, why=str(error)
            )
            return None
