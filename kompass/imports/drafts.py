"""What the rows of a table would be as documents, and what is wrong with them: without looking at others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kompass.accounting.problems import CellError, Problem
from kompass.domain.base import GERMANY
from kompass.domain.labels import label
from kompass.domain.models import faults
from kompass.imports.targets import IN_LISTS, REFERENCES, Field, Kind, Target
from kompass.imports.values import Cell, Form, Scale, is_empty, shown, value, with_zero

Members = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of a file become documents."""

    target: Target
    columns: Mapping[str, int]
    """Field -> place of its column, from 0."""
    headings: Sequence[str]
    form: Form
    values: Mapping[str, str]
    """Field -> what empty cells of it say, and files that have no column of it."""
    scales: Mapping[int, Scale]
    """Place of a column -> what its numbers mean if they are percent; `POINTS` for others."""
    strict: bool
    """Whether each row has to have as many cells as there are headings, as in text files."""


@dataclass(slots=True)
class Draft:
    """One row."""

    line: int
    said: dict[str, Any] = field(default_factory=dict)
    """Field -> value, of cells that aren't empty. References are what the cell says of them."""
    filled: set[str] = field(default_factory=set)
    """Fields of which the file says nothing, and the plan does."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.problems


def drafts(plan: Plan, rows: Sequence[tuple[int, Sequence[Cell]]]) -> Iterator[Draft]:
    """One for each row that has anything in it. `rows`: line and cells."""
    for line, cells in rows:
        if not all(is_empty(cell) for cell in cells):
            yield _draft(plan, line, cells)


def _draft(plan: Plan, line: int, cells: Sequence[Cell]) -> Draft:
    draft = Draft(line)
    if isinstance(cells[0], dict) and "problem" in cells[0]:
        draft.problems.append(Problem(**cells[0]["problem"]))
        return draft
    width = len(plan.headings)
    if len(cells) > width and not all(is_empty(cell) for cell in cells[width:]):
        draft.problems.append(_width(len(cells), width, line))
        return draft
    if plan.strict and len(cells) < width:
        draft.problems.append(_width(len(cells), width, line))
        return draft
    for path, one in plan.target.fields.items():
        place = plan.columns.get(path)
        cell = cells[place] if place is not None and place < len(cells) else None
        heading = one.label if place is None else plan.headings[place]
        if is_empty(cell):
            cell = plan.values.get(path)
            if is_empty(cell):
                continue
            draft.filled.add(path)
        form = plan.form
        if one.kind is Kind.PERCENT and place is not None:
            form = replace(form, scale=plan.scales.get(place, Scale.POINTS))
        _put(draft, one, cell, heading, form)
    _mend_zip(draft, plan)
    return draft


def _put(draft: Draft, one: Field, cell: Cell, heading: str, form: Form) -> None:
    try:
        read = value(cell, one, form)
    except CellError as error:
        draft.problems.append(error.problem.at(draft.line, heading, shown(cell)))
        return
    if read.value in ("", []):
        return
    draft.said[one.path] = read.value
    if read.note is not None:
        draft.notes.append(read.note.at(draft.line, heading, shown(cell)))


def _mend_zip(draft: Draft, plan: Plan) -> None:
    path = "billingAddress.zipCode"
    found = draft.said.get(path)
    country = draft.said.get("billingAddress.country", plan.target.defaults.get("billingAddress.country"))
    if isinstance(found, str) and len(found) == 4 and found.isdigit() and country in GERMANY:
        read = with_zero(found)
        draft.said[path] = read.value
        assert read.note is not None
        draft.notes.append(read.note.at(draft.line, heading_of(plan, path), found))


def _width(has: int, wanted: int, line: int) -> Problem:
    return Problem(
        "row.width",
        f"has {has} cells, and the headings are {wanted}",
        f"hat {has} Felder, und es gibt {wanted} Überschriften",
        line,
    )


def heading_of(plan: Plan, path: str) -> str:
    """What people call a field of this file: its column, or its label."""
    place = plan.columns.get(path)
    if place is not None:
        return plan.headings[place]
    one = plan.target.fields.get(path)
    return one.label if one is not None else label(tuple(path.split(".")))


# -- documents -------------------------------------------------------------------------------------


def members_of(draft: Draft, target: Target, doctype: str, *, new: bool) -> Members:
    """The members of the document of that type that the row says, and of a new one what the plan fills in and
    its defaults. Numbers of the server aren't among them.
    """
    said: dict[str, Any] = dict(target.defaults) if new and doctype == target.type else {}
    for path, found in draft.said.items():
        one = target.fields[path]
        if one.document == doctype and one.kind is not Kind.KEY and (new or path not in draft.filled):
            said[path] = found
    members: Members = {}
    for path, found in said.items():
        _set(members, path, found)
    return members


def _set(members: Members, path: str, found: Any) -> None:
    first, _, rest = path.partition(".")
    if not rest:
        members[first] = found
        return
    if first in IN_LISTS:
        inner = members.setdefault(first, [{}])[0]
    else:
        inner = members.setdefault(first, {})
    _set(inner, rest, found)


def has(draft: Draft, target: Target, doctype: str) -> bool:
    """Whether the row says anything of a document of that type."""
    return any(target.fields[path].document == doctype for path in draft.said)


_MARKS = {
    "createdBy": "x",
    "createdAt": "2026-01-01T00:00:00.000Z",
    "modifiedBy": "x",
    "modifiedAt": "2026-01-01T00:00:00.000Z",
    "version": 1,
}
"""What a document has besides when its shape is looked at."""


def check_shape(
    draft: Draft, plan: Plan, doctype: str, members: Mapping[str, Any], besides: Collection[str] = ()
) -> None:
    """Adds what is wrong with the shape of a document, cell by cell, but for the fields `besides`."""
    body = {**members, **_MARKS, "_id": f"{doctype}-x", "type": doctype}
    told = {problem.column for problem in draft.problems}
    for path, words in faults(body):
        steps = tuple(part.partition("[")[0] for part in path.split("."))
        bare = ".".join(steps)
        if not bare or bare in ("_id", "type") or bare in besides:
            continue
        heading = heading_of(plan, bare)
        if heading in told:
            continue
        given = draft.said.get(bare)
        problem = Problem("cell.value", words.reason, words.grund)
        draft.problems.append(problem.at(draft.line, heading, "" if given is None else shown(given)))


def references(draft: Draft, target: Target) -> Iterator[tuple[Field, str]]:
    """What the row names of other documents and of people, as it says it."""
    for path, found in draft.said.items():
        if target.fields[path].kind in REFERENCES:
            yield target.fields[path], str(found)


def with_problem(draft: Draft, plan: Plan, path: str, problem: Problem) -> None:
    given = draft.said.get(path)
    column = heading_of(plan, path) if path else ""
    placed = problem.at(draft.line, column, "" if given is None else shown(given))
    draft.problems.append(replace(placed, line=draft.line))


def told_problem(one: Problem | Mapping[str, Any]) -> dict[str, Any]:
    """As people are shown it."""
    told = asdict(one) if isinstance(one, Problem) else dict(one)
    return {name: told[name] for name in ("line", "column", "rule", "value", "reason", "grund")}
