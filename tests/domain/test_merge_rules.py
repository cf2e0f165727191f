"""The table of merging: every field of every type has a rule, and every rule is about a field."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from kompass.access.audiences import AUDIENCES
from kompass.access.table import SERVER_WRITTEN
from kompass.domain.field_names import FIELDS
from kompass.domain.labels import label, name_of
from kompass.domain.merge_rules import AMOUNTS, COMMON, DEFAULTS, GROUPS, RULES, Rule, declared, rule_of
from kompass.domain.registry import MODELS

WRITTEN = sorted(set(MODELS) - SERVER_WRITTEN)
"""Types that people write."""


@cache
def fields(doctype: str) -> dict[str, Any]:
    """Path -> annotation, of every field down to the last."""
    return dict(_fields(MODELS[doctype], ""))


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        if path[:1] != "_":
            yield path, field.annotation
            yield from _inside(field.annotation, path)


def _inside(annotation: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _fields(annotation, f"{path}.")
        return
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _inside(arguments[0], path)
        return
    for argument in arguments:
        yield from _inside(argument, f"{path}[]" if get_origin(annotation) is list else path)


def kinds(annotation: Any) -> set[Any]:
    """The plain types that a value may have."""
    if get_origin(annotation) is Annotated:
        return kinds(get_args(annotation)[0])
    if get_origin(annotation) is list:
        return {list}
    arguments = get_args(annotation)
    if arguments and get_origin(annotation) is not dict:
        return {kind for argument in arguments for kind in kinds(argument)}
    return {annotation}


def test_every_type_has_a_default() -> None:
    assert DEFAULTS.keys() == AUDIENCES.keys()
    assert MODELS.keys() <= DEFAULTS.keys()


@pytest.mark.parametrize("doctype", sorted(MODELS))
def test_every_field_has_a_rule_that_can_decide_about_it(doctype: str) -> None:
    for path, annotation in fields(doctype).items():
        rule = rule_of(doctype, path)
        assert rule in Rule
        found = kinds(annotation)
        if rule is Rule.YES:
            assert bool in found, path
        elif rule is Rule.APPEND:
            assert str in found, path
        elif rule in (Rule.UNION, Rule.ITEMS):
            assert list in found, path


def test_every_rule_is_about_a_field() -> None:
    everything = {path for doctype in MODELS for path in fields(doctype)}
    assert set(COMMON) <= everything
    for table in (RULES, AMOUNTS):
        for doctype, paths in table.items():
            assert set(paths) <= set(fields(doctype)), doctype
    members = {path.rpartition(".")[2] for path in everything}
    assert {name for group in GROUPS for name in group} <= members


LATER = {"time_entry", "project_cost", "expense", "mileage_log", "tour"}
"""Of these the later change counts, of amounts as well (or they are no amounts)."""


@pytest.mark.parametrize("doctype", sorted(set(WRITTEN) - LATER))
def test_amounts_are_not_overwritten(doctype: str) -> None:
    for path in fields(doctype):
        name = path.rpartition(".")[2]
        if name.endswith("Eur") or name in ("creditLimit", "budget", "contractValue", "estimatedValue"):
            assert rule_of(doctype, path, "sent") in (Rule.STORED, Rule.DERIVED), path


@pytest.mark.parametrize("doctype", WRITTEN)
def test_a_list_of_objects_is_merged_object_by_object(doctype: str) -> None:
    """But for the stops of a route, whose order is what it says, and what the server writes."""
    for path in fields(doctype):
        outer, inner, _ = path.partition("[].")
        if inner and declared(doctype, outer) is not Rule.DERIVED and outer != "plannedRoute":
            assert rule_of(doctype, outer) is Rule.ITEMS, path


OF_THE_PROTOCOL = {"type", "schemaVersion", "createdBy", "createdAt", "modifiedBy", "modifiedAt", "version"}


@pytest.mark.parametrize("doctype", WRITTEN)
def test_every_field_that_people_are_asked_about_has_a_german_name(doctype: str) -> None:
    for path in fields(doctype):
        name = path.rpartition(".")[2]
        if declared(doctype, path.partition("[]")[0].partition(".")[0]) is Rule.DERIVED:
            continue
        assert name in OF_THE_PROTOCOL or name in FIELDS, path


def test_every_name_is_of_a_field() -> None:
    names = {path.rpartition(".")[2] for doctype in WRITTEN for path in fields(doctype)}
    assert set(FIELDS) - {""} <= names


def test_what_people_are_shown() -> None:
    assert label(("deliveryAddress", "street")) == "Lieferadresse › Straße"
    assert label(("lineItems", ("position", 3), "quantity")) == "Positionen › 3 › Menge"
    assert label(()) == "Dokument"
    assert label(("somethingElse",)) == "Something else"
    assert name_of({"type": "contact", "firstName": "Rike", "lastName": "Behn"}) == "Rike Behn"
    assert name_of({"type": "customer_finance", "creditLimit": Decimal(5)}) == "Zahlungsdaten des Kunden"
    assert name_of({"type": 5}) == ""
