"""What a status graph is: states, edges between them, and what an edge asks of whoever takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kompass.access.principals import Role
from kompass.domain.changes import Body
from kompass.domain.settings import BusinessSettings

PEOPLE = frozenset(Role) - {Role.ADMIN}
"""Whoever the access rules let change the document at all."""

SERVER: frozenset[Role] = frozenset()
"""Nobody: the server takes the edge."""


class Approval(StrEnum):
    """Which limits the taker of an edge has to keep; `kompass.domain.approvals` has them."""

    OFFER = "offer"
    EXPENSE = "expense"
    PROJECT_COST = "project_cost"
    PURCHASE_ORDER = "purchase_order"
    SUPPLIER_CONTRACT = "supplier_contract"
    SUPPLIER_INVOICE = "supplier_invoice"


@dataclass(frozen=True, slots=True)
class Condition:
    """When something is needed."""

    english: str
    german: str
    holds: Callable[[Body, BusinessSettings], bool]


@dataclass(frozen=True, slots=True)
class Need:
    """What a document must have to come into a state."""

    field: str
    length: int = 1
    """Characters, if it is a text."""
    positive: bool = False
    """It is a number above zero."""
    attachment: str | None = None
    """An attachment whose name ends like this (any case) does as well; empty: any attachment."""
    when: Condition | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    start: str
    to: str
    roles: frozenset[Role] = SERVER
    """Who takes it on whatever document of the type he may change."""
    owner: bool = False
    """Whoever the document is of takes it, too, whatever his role."""
    others: bool = False
    """Nobody takes it on a document of his own but GF: it is an approval."""
    needs: tuple[Need, ...] = ()
    approval: Approval | None = None
    passing: bool = False
    """A device sends the last of its versions only. Edges like this may be gone several at a time, and by a
    new document; nothing is decided, paid or frozen by them."""

    @property
    def by_server(self) -> bool:
        return not self.roles and not self.owner


@dataclass(frozen=True, slots=True)
class Machine:
    """The life of a type of documents."""

    type: str
    english: str
    """With its article, at the beginning of a sentence."""
    german: str
    """In the nominative, with its article."""
    states: tuple[str, ...]
    initial: tuple[str, ...]
    edges: tuple[Edge, ...]
    deletable: frozenset[str]
    """The states in which it may be deleted, as far as nothing else forbids it."""
    field: str = "status"
    unset: str | None = None
    """The state of a document without the field."""
    closed: frozenset[str] = frozenset()
    """States in which nothing else of the document changes either."""

    def state(self, body: Body) -> str:
        """The document's, as it is written there; empty if that is no text."""
        value = body.get(self.field)
        if value is None:
            return self.unset or ""
        return value if isinstance(value, str) else ""

    def edge(self, start: str, to: str) -> Edge | None:
        for edge in self.edges:
            if edge.start == start and edge.to == to:
                return edge
        return None

    def leaving(self, state: str) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.start == state)

    def terminal(self) -> frozenset[str]:
        """States that nothing leaves."""
        return frozenset(self.states) - {edge.start for edge in self.edges}

    def routes(self, start: str, to: str) -> Iterator[tuple[Edge, ...]]:
        """Ways along edges that may be passed, the shortest first, none through a state twice."""
        ways: list[tuple[Edge, ...]] = [(edge,) for edge in self.leaving(start) if edge.passing]
        while ways:
            yield from (way for way in ways if way[-1].to == to)
            ways = [
                (*way, edge)
                for way in ways
                if way[-1].to != to
                for edge in self.leaving(way[-1].to)
                if edge.passing and edge.to != start and all(edge.to != one.to for one in way)
            ]

    def kept(self, state: str) -> tuple[Need, ...]:
        """What every edge into the state asks for: a document in that state never loses it."""
        into = [edge.needs for edge in self.edges if edge.to == state]
        return tuple(need for need in into[0] if all(need in needs for needs in into)) if into else ()


def edges(
    start: str | tuple[str, ...],
    to: str | tuple[str, ...],
    *roles: Role,
    people: bool = False,
    owner: bool = False,
    others: bool = False,
    needs: tuple[Need, ...] = (),
    approval: Approval | None = None,
    passing: bool = False,
) -> tuple[Edge, ...]:
    """One edge for each pair of states; `people`: any role that may change the document."""
    starts = (start,) if isinstance(start, str) else start
    ends = (to,) if isinstance(to, str) else to
    who = PEOPLE if people else frozenset(roles)
    return tuple(
        Edge(one, other, who, owner, others, needs, approval, passing)
        for one in starts
        for other in ends
        if one != other
    )


def by_type(*machines: Machine) -> Mapping[str, Machine]:
    return {machine.type: machine for machine in machines}
