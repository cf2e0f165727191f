"""The active permission matrix: the static table, or the table with what a stored document overrides.

An override replaces the record rules of cells; limits, field rights, escapes, server-written types and
companions can't be overridden. Documents keep their channels whatever the matrix says, so an audience that
several types share (`sales:customer:<id>`) can only be granted or withdrawn for all of them together: a
role that reads one of these types through the audience reads each of them through it, or as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from kompass.access.audiences import AUDIENCES, SHARED
from kompass.access.principals import Role
from kompass.access.rules import Action, Rule
from kompass.access.table import COMPANIONS, DEFAULT_CELLS, SERVER_WRITTEN, Cells, Limit, Rules, limit

OVERRIDABLE = frozenset(AUDIENCES) - SERVER_WRITTEN - COMPANIONS - {"comment"}
"""Types whose cells a matrix document may change."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong in a matrix document."""

    path: str
    """Where, as in `overrides.offer.ADM.read[0]`."""
    text: str


class MatrixError(ValueError):
    """A matrix document can't be used; nothing of it is. `problems` has everything that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{each.path}: {each.text}" for each in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a set of roles reads, without regard to a person."""

    whole: frozenset[str]
    """Channels `all:<type>`."""
    own: frozenset[str]
    """Types of which he reads his own."""
    shared: frozenset[Rule]
    """Audiences he belongs to if a document says so."""


class Grant(NamedTuple):
    """One right out of a cell."""

    role: Role
    rule: Rule
    limit: Limit | None


@dataclass(frozen=True, eq=False)
class Matrix:
    """The table that is in force. Immutable."""

    version: str
    cells: Cells
    _readings: dict[frozenset[Role], Reading] = field(default_factory=dict, repr=False)
    _grants: dict[tuple[str, Action, frozenset[Role]], tuple[Grant, ...]] = field(
        default_factory=dict, repr=False
    )

    def rules(self, doctype: str, role: Role, action: Action) -> Rules:
        """The record rules of a cell; empty means denied."""
        return self.cells.get((doctype, role, action), frozenset())

    def grants(self, doctype: str, action: Action, roles: frozenset[Role]) -> tuple[Grant, ...]:
        """The rights of all the roles together."""
        key = (doctype, action, roles)
        known = self._grants.get(key)
        if known is None:
            known = self._grants[key] = tuple(
                Grant(role, rule, limit(doctype, role, action, rule))
                for role in sorted(roles)
                for rule in sorted(self.rules(doctype, role, action))
            )
        return known

    def reading(self, roles: frozenset[Role]) -> Reading:
        """What the roles read together."""
        known = self._readings.get(roles)
        if known is None:
            known = self._readings[roles] = self._read(roles)
        return known

    def _read(self, roles: frozenset[Role]) -> Reading:
        whole: set[str] = set()
        own: set[str] = set()
        shared: set[Rule] = set()
        for (doctype, role, action), rules in self.cells.items():
            if action is not Action.READ or role not in roles:
                continue
            if Rule.ALL in rules:
                whole.add(f"all:{doctype}")
            if Rule.OWN in rules:
                own.add(doctype)
            shared |= rules & SHARED.keys()
        return Reading(frozenset(whole), frozenset(own), frozenset(shared))


DEFAULT = Matrix("static", MappingProxyType(dict(DEFAULT_CELLS)))
"""What holds as long as no matrix document is active."""


def load(doc: Mapping[str, Any]) -> Matrix:
    """The matrix that a `permission_matrix` document describes.

    The document has `matrixVersion`, a text, and `overrides`: {type: {role: {action: [record rule, ...]}}}.
    An empty list denies. Raises `MatrixError` with every problem, path and allowed values included.
    """
    problems: list[Problem] = []
    version = doc.get("matrixVersion")
    if not isinstance(version, str) or not version:
        problems.append(Problem("matrixVersion", "must be a text such as 1.2.0"))
        version = ""
    cells = dict(DEFAULT_CELLS)
    for doctype, role, action, rules in _overrides(doc.get("overrides"), problems):
        if rules:
            cells[doctype, role, action] = rules
        else:
            cells.pop((doctype, role, action), None)
    if not problems:
        problems.extend(_torn(cells))
    if problems:
        raise MatrixError(problems)
    return Matrix(version, MappingProxyType(cells))


def _overrides(value: object, problems: list[Problem]) -> Iterator[tuple[str, Role, Action, Rules]]:
    roles = {role.value: role for role in Role if role is not Role.ADMIN}
    actions = {action.value: action for action in Action}
    types = {doctype: doctype for doctype in OVERRIDABLE}
    for doctype, type_path, by_role in _entries(value, "overrides", types, problems):
        for role, role_path, by_action in _entries(by_role, type_path, roles, problems):
            for action, path, names in _entries(by_action, role_path, actions, problems):
                rules = {
                    face.rule.value: face.rule
                    for face in AUDIENCES[doctype]
                    if face.reads or action is not Action.READ
                }
                if not isinstance(names, list):
                    problems.append(Problem(path, f"must be a list of {_choice(rules)}"))
                    continue
                chosen = set()
                for index, name in enumerate(names):
                    if isinstance(name, str) and name in rules:
                        chosen.add(rules[name])
                    else:
                        problems.append(Problem(f"{path}[{index}]", f"must be one of {_choice(rules)}"))
                yield doctype, role, action, frozenset(chosen)


def _entries(
    value: object, path: str, allowed: Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[Any, str, object]]:
    if not isinstance(value, Mapping):
        problems.append(Problem(path, "must be an object"))
        return
    for name, inner in value.items():
        if isinstance(name, str) and name in allowed:
            yield allowed[name], f"{path}.{name}", inner
        else:
            problems.append(Problem(f"{path}.{name}", f"can't be overridden; allowed are {_choice(allowed)}"))


def _choice(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))


def _torn(cells: Cells) -> Iterator[Problem]:
    """Shared audiences that a role would hold for some of their types only."""
    for rule in SHARED:
        types = [doctype for doctype, faces in AUDIENCES.items() if any(face.rule is rule for face in faces)]
        for role in Role:
            read = {doctype: cells.get((doctype, role, Action.READ), frozenset()) for doctype in types}
            if not any(rule in rules for rules in read.values()):
                continue
            left_out = [doctype for doctype, rules in read.items() if not rules & {rule, Rule.ALL}]
            for doctype in left_out:
                yield Problem(
                    f"overrides.{doctype}.{role.value}.read",
                    f"{role.value} reads {', '.join(t for t in types if rule in read[t])} as {rule.value}, "
                    f"which covers {doctype} too: add {rule.value} or all here, or take it from the others",
                )
