"""The rules speak of fields and states that the models have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest

from kompass.access.fields import BELONGS
from kompass.domain.approvals import SIGNATURES
from kompass.domain.corrections import EVIDENCE, MONEY
from kompass.domain.crossing import _CHAINS, _PEOPLE
from kompass.domain.freezing import COMPANION_OF_FINAL, FREEZES, HOUSEKEEPING
from kompass.domain.guards import GUARDS
from kompass.domain.machines import MACHINES
from kompass.domain.references import REFERENCES
from kompass.domain.registry import MODELS
from kompass.domain.registry import references as named_by_models
from kompass.domain.storno import COPIED


def fields_of(doctype: str) -> set[str]:
    return {field.alias or name for name, field in MODELS[doctype].model_fields.items()}


def used() -> Iterator[tuple[str, str, str]]:
    """Where, type, field."""
    for doctype, machine in MACHINES.items():
        yield "machines", doctype, machine.field
        for edge in machine.edges:
            yield from (("needs", doctype, need.field) for need in edge.needs)
    for doctype, rows in FREEZES.items():
        for row in rows:
            for field in (row.locked or frozenset()) | row.allowed | row.once | ({row.link} - {""}):
                yield "freezing", doctype, field
            yield from (("uses", use.type, use.field) for use in row.uses)
    for table in (MONEY, EVIDENCE):
        for doctype, fields in table.items():
            yield from (("irreparable", doctype, field) for field in fields)
    for doctype, found in REFERENCES.items():
        for reference in found:
            yield "references", doctype, reference.field
            for own, there in reference.same:
                yield "references", doctype, own
                yield "references", reference.to, there
    for guards in GUARDS.values():
        yield from (("guards", guard.type, guard.field) for guard in guards)
    for doctype, copied in COPIED.items():
        yield from (("storno", doctype, field) for field in (*copied, "stornoOf", "stornoReason"))
    for (doctype, field), signature in SIGNATURES.items():
        yield from (("signatures", doctype, one) for one in (field, *signature.covers))
    yield from (("chains", doctype, field) for doctype, field in _CHAINS.items())
    yield from (("people", doctype, field) for doctype, pairs in _PEOPLE.items() for field, _ in pairs)
    yield from (("companions", doctype, field) for doctype, (field, _) in COMPANION_OF_FINAL.items())


def test_every_field_is_in_a_model() -> None:
    unknown = {
        (where, doctype, field)
        for where, doctype, field in used()
        if field not in fields_of(doctype) and field not in BELONGS.get(doctype, {})
    }
    assert unknown == set()
    assert fields_of("contract") | {"_rev"} >= HOUSEKEEPING


def choices(annotation: Any) -> set[str]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {choice for inner in get_args(annotation) for choice in choices(inner)}


@pytest.mark.parametrize("doctype", MACHINES)
def test_states_are_those_of_the_models(doctype: str) -> None:
    machine = MACHINES[doctype]
    field = MODELS[doctype].model_fields[machine.field]
    assert choices(field.annotation) == set(machine.states) - {machine.unset}


def test_states_in_other_tables_are_those_of_the_graphs() -> None:
    for doctype, rows in FREEZES.items():
        for row in rows:
            assert row.states <= set(MACHINES[doctype].states if doctype in MACHINES else ())
            for use in row.uses:
                assert use.except_in <= set(MACHINES[use.type].states)
    for guards in GUARDS.values():
        for guard in guards:
            assert guard.states <= set(MACHINES[guard.type].states if guard.states else ())
    for found in REFERENCES.values():
        for reference in found:
            assert reference.states <= set(MACHINES[reference.to].states if reference.states else ())


def test_references_lead_where_the_models_say() -> None:
    for doctype, found in REFERENCES.items():
        paths = named_by_models(doctype)
        for reference in found:
            targets = paths.get(reference.field, paths.get(f"{reference.field}[]"))
            assert targets is not None, (doctype, reference.field)
            assert not targets or reference.to in targets, (doctype, reference.field)


def test_every_reference_at_the_top_is_looked_at() -> None:
    """A type that people write has no reference that nobody follows, but those listed here."""
    left = {
        (doctype, path)
        for doctype, found in REFERENCES.items()
        for path, targets in named_by_models(doctype).items()
        if "[]." not in path and "." not in path and targets
        if path.removesuffix("[]") not in {reference.field for reference in found}
    }
    assert sorted(left) == sorted(UNFOLLOWED)


UNFOLLOWED = {
    ("contact", "isPrimaryContactForLocations[]"),  # is part of assignedLocationIds
    ("expense", "stornoOf"),
    ("project_cost", "stornoOf"),
    ("time_entry", "stornoOf"),
}
