"""What people do with imports: over REST and on the command line. See docs/imports.md.

`told` of an import has what was detected (`kind`, `findings`, `sheets`, `sheet`, `header`, `decimal`,
`day`, `from1904`, `scales`, `notes`), the `headings`, the mapping (`columns`: a match for each heading),
`values` for empty cells, and `duplicates`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from kompass.access.matrix import Matrix
from kompass.access.principals import Principal, Role
from kompass.access.rules import Action
from kompass.imports import mapping
from kompass.imports.arriving import name_notes, names_of, taken_apart
from kompass.imports.drafts import Draft, Plan, check_shape, drafts, has, members_of, told_problem
from kompass.imports.mapping import How, Match
from kompass.imports.states import Import, Kind, NotNowError, State, Work
from kompass.imports.store import ImportStore
from kompass.imports.tables.reader import Reader, Table
from kompass.imports.targets import Kind as FieldKind
from kompass.imports.targets import Target, name_key, targets
from kompass.imports.values import Form, Scale
from kompass.kept import IMPORTS
from kompass.leases import release_all
from kompass.shared_files import SharedFiles
from kompass.sqlfile import Late

SEES_ALL = frozenset({Role.GF, Role.BUCH, Role.ADMIN})
"""Who sees that others import, and what became of it as numbers."""
UNDOES_ALL = frozenset({Role.GF})


class MappingError(ValueError):
    """A mapping that can't be. `place`: in `columns` or `values`, the heading or field that is wrong."""

    def __init__(self, said: str, *place: str) -> None:
        super().__init__(said)
        self.place = place


class ImportDesk:
    """Of one data directory, or of a cluster. Everything but `read` is blocking and short."""

    def __init__(
        self,
        directory: Path,
        *,
        shared: SharedFiles | None = None,
        now: Callable[[], float] = time.time,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """`wake`: there is work to do."""
        self._is_alone = shared is None
        self._late = Late(directory / IMPORTS, partial(ImportStore, directory, shared=shared), shared)
        self._now = now
        self.wake = wake
        self.reader = Reader()

    @property
    def store(self) -> ImportStore | None:
        """None as long as there were no imports. Raises `ImportStoreError`."""
        return self._late.there()

    def opened(self) -> ImportStore:
        """Makes the file where it isn't there. Raises `ImportStoreError`."""
        return self._late.opened()

    def take_over(self) -> None:
        """Goes on at once with what this server was at when it died: of a directory there is one."""
        if self._is_alone and self.store is not None:
            release_all(self.store)

    async def close(self) -> None:
        await self.reader.close()
        self._late.close()

    # -- a file --------------------------------------------------------------------------------

    async def read(self, doctype: str, data: bytes, said: Mapping[str, Any]) -> Table:
        """Raises `UnreadableError`, and `OSError` if no process can be started."""
        columns = names_of(targets()[doctype])
        return await self.reader.read(data, columns, said)

    def add(
        self,
        person: str,
        doctype: str,
        file: str,
        data: bytes,
        table: Table,
        said: Mapping[str, Any],
        matrix: Matrix,
        roles: frozenset[Role],
    ) -> Import:
        """A file that was read, with its mapping guessed. Raises `UnreadableError` and `NotNowError`."""
        now = self._now()
        told, rows = self._taken_apart(person, doctype, table, said, may_write(matrix, roles, doctype))
        told["notes"] = [*name_notes(file, table), *told["notes"]]
        one = Import(
            id=str(uuid4()),
            person=person,
            type=doctype,
            file=file,
            sha256=hashlib.sha256(data).hexdigest(),
            made=now,
            changed=now,
            state=State.ARRIVING,
            work=Work.NONE,
            worker="",
            roles=(),
            told={},
            rows=0,
            done=0,
            reason="",
        )
        store = self.opened()
        store.add(one, data)
        store.keep_rows(one.id, rows, told, now)
        return self._there(one.id)

    def read_again(
        self, one: Import, table: Table, said: Mapping[str, Any], matrix: Matrix, roles: frozenset[Role]
    ) -> Import:
        """The same file, otherwise. Raises `UnreadableError` and `NotNowError`."""
        told, rows = self._taken_apart(one.person, one.type, table, said, may_write(matrix, roles, one.type))
        self.opened().keep_rows(one.id, rows, told, self._now(), again=True)
        return self._there(one.id)

    def _there(self, docid: str) -> Import:
        found = self.opened().get(docid)
        assert found is not None
        return found

    def _taken_apart(
        self, person: str, doctype: str, table: Table, said: Mapping[str, Any], writable: frozenset[str]
    ) -> tuple[dict[str, Any], list[tuple[int, Sequence[Any]]]]:
        store = self.store

        def remembered(source: str) -> dict[str, str | None] | None:
            return store.remembered(person, source) if store is not None else None

        return taken_apart(targets()[doctype], table, said, writable, remembered)

    # -- mapping -------------------------------------------------------------------------------

    def map(
        self,
        one: Import,
        columns: Mapping[str, str | None],
        values: Mapping[str, str],
        matrix: Matrix,
        roles: frozenset[Role],
    ) -> Import:
        """What each heading means, and what empty cells say; headings that aren't named stay as they are.
        Remembered for the next file with these headings. Raises `MappingError` and `NotNowError`.
        """
        target = targets()[one.type]
        headings: list[str] = one.told["headings"]
        writable = may_write(matrix, roles, one.type)
        for heading, field in columns.items():
            if heading not in headings:
                raise MappingError(f"The file has no column {heading[:80]!r}.", "columns", heading)
            _check_field(field, target, writable, "columns", heading)
        for field in values:
            _check_field(field, target, writable, "values", field)
        matches = [
            _chosen(columns[heading]) if heading in columns else Match(**match)
            for heading, match in zip(headings, one.told["columns"], strict=True)
        ]
        taken: dict[str, str] = {}
        for heading, match in zip(headings, matches, strict=True):
            if match.field is not None:
                if match.field in taken:
                    said = f"{match.field} is {taken[match.field]!r} already."
                    raise MappingError(said, "columns", heading)
                taken[match.field] = heading
        store = self.opened()
        told = {**one.told, "columns": [asdict(match) for match in matches], "values": dict(values)}
        store.tell(one, told, self._now())
        keys = {name_key(heading): match.field for heading, match in zip(headings, matches, strict=True)}
        store.remember(one.person, mapping.source_of(one.type, headings), keys, self._now())
        return self._there(one.id)

    # -- looking -------------------------------------------------------------------------------

    def preview(self, one: Import, limit: int) -> list[dict[str, Any]]:
        """The first rows as documents, with what is wrong in which cell. What they name of others isn't
        looked at.
        """
        plan = plan_of(one)
        store = self.opened()
        found: list[dict[str, Any]] = []
        num = 0
        while len(found) < limit and (chunk := store.chunk(one.id, num)):
            found += [_previewed(draft, plan) for draft in drafts(plan, chunk[: limit - len(found)])]
            num += 1
        return found

    def find(self, docid: str, principal: Principal) -> Import | None:
        """One's own; anybody's for `SEES_ALL`."""
        store = self.store
        one = store.get(docid) if store is not None else None
        if one is None or not (one.person == principal.name or principal.roles & SEES_ALL):
            return None
        return one

    def listed(self, principal: Principal, limit: int) -> list[Import]:
        store = self.store
        if store is None:
            return []
        return store.listed(None if principal.roles & SEES_ALL else principal.name, limit)

    def may_undo(self, one: Import, matrix: Matrix, roles: frozenset[Role]) -> bool:
        """Whether somebody with these roles could take anything back: what it has made he has to delete."""
        if any(matrix.rules(one.type, role, Action.DELETE) for role in roles):
            return True
        made = self.opened().counts(one.id).keys()
        return Kind.CREATED not in made or not made.isdisjoint(_PERHAPS_UPDATED)

    def begin(
        self, one: Import, work: Work, principal: Principal, duplicates: str, decisions: Mapping[int, str]
    ) -> Import:
        """Raises `NotNowError`, also while somebody has to decide about duplicates."""
        options = {} if work is Work.UNDO else {"duplicates": duplicates}
        if work is Work.WRITE and duplicates == "ask":
            store = self.opened()
            if one.state is State.READ:
                raise NotNowError("Duplicates are asked about after a dry run: begin with one.")
            undecided = {row.line for row in store.outcomes(one.id, kinds=(Kind.UNDECIDED,))}
            undecided -= {*store.decisions(one.id), *decisions}
            if undecided:
                lines = ", ".join(map(str, sorted(undecided)[:20]))
                raise NotNowError(f"Duplicates wait for a decision, in lines {lines}.")
        roles = sorted(str(role) for role in principal.roles)
        begun = self.opened().begin(one.id, work, principal.name, roles, options, decisions, self._now())
        self.wake()
        return begun


def plan_of(one: Import) -> Plan:
    told = one.told
    columns = {match["field"]: place for place, match in enumerate(told["columns"]) if match["field"]}
    form = Form(told["decimal"], told["day"], told["from1904"])
    return Plan(
        target=targets()[one.type],
        columns=columns,
        headings=told["headings"],
        form=form,
        values=told["values"],
        scales={int(place): Scale(scale) for place, scale in told["scales"].items()},
        strict=told["kind"] == "csv",
    )


def may_write(matrix: Matrix, roles: frozenset[Role], doctype: str) -> frozenset[str]:
    """Of a target's types those that somebody with these roles may make."""
    types = (doctype, *targets()[doctype].companions)
    return frozenset(one for one in types if any(matrix.rules(one, role, Action.CREATE) for role in roles))


def _chosen(field: str | None) -> Match:
    return Match(field, How.CHOSEN, 1.0)


def _check_field(field: str | None, target: Target, writable: frozenset[str], *place: str) -> None:
    if field is None:
        return
    one = target.fields.get(field)
    if one is None:
        raise MappingError(f"{target.type} has no field {field[:80]!r} that can be imported.", *place)
    if one.document not in writable:
        raise MappingError(f"You may not write {field}.", *place)


def _previewed(draft: Draft, plan: Plan) -> dict[str, Any]:
    members = members_of(draft, plan.target, plan.target.type, new=True)
    named = {one.path for one in plan.target.fields.values() if one.kind in _NAMED}
    if not any(one.rule.startswith("row.") for one in draft.problems):
        # Who isn't named yet may follow from who imports.
        check_shape(draft, plan, plan.target.type, members, besides=named)
        for companion in plan.target.companions:
            if has(draft, plan.target, companion):
                part = members_of(draft, plan.target, companion, new=True)
                check_shape(draft, plan, companion, part, besides={"customerId"})
                members |= part
    return {
        "line": draft.line,
        "document": members,
        "problems": [told_problem(one) for one in draft.problems],
        "notes": [told_problem(one) for one in draft.notes],
    }


_PERHAPS_UPDATED = frozenset({Kind.PLANNED, Kind.UPDATED, Kind.PARTLY, Kind.KEPT})
_NAMED = frozenset({FieldKind.PERSON, FieldKind.CUSTOMER, FieldKind.CONTACT, FieldKind.SUPPLIER})
