"""What of a document is searched: every type is decided about, every path leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from kompass.access.audiences import AUDIENCES
from kompass.access.companions import BASE_FIELD, BASE_OF, CARDS, expected_fields
from kompass.access.fields import BELONGS
from kompass.domain.registry import MODELS
from kompass.search.catalogue import FACETS, NOT_SEARCHED, SEARCHED, Searched, base_type

COMMON = {"notes", "_id", "createdBy"}


def paths(searched: Searched) -> Iterator[str]:
    yield from searched.texts
    yield from searched.subtitle
    yield from searched.exact
    yield from searched.amounts
    yield from searched.facets.values()
    if searched.value:
        yield searched.value


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


def leads_somewhere(model: type[BaseModel], path: str) -> bool:
    step, _, rest = path.partition(".")
    name, many, _ = step.partition("[]")
    known = {field.alias or key: field for key, field in model.model_fields.items()}
    if name not in known:
        return False
    field = known[name]
    if bool(many) != ("list[" in str(field.annotation)):
        return False
    return not rest or any(leads_somewhere(inner, rest) for inner in models(field.annotation))


def test_every_type_is_searched_or_deliberately_not() -> None:
    assert not SEARCHED.keys() & NOT_SEARCHED.keys()
    assert SEARCHED.keys() | NOT_SEARCHED.keys() == set(AUDIENCES) == set(MODELS)
    assert all(NOT_SEARCHED.values())


@pytest.mark.parametrize("doctype", SEARCHED)
def test_every_path_leads_to_a_field_of_the_type(doctype: str) -> None:
    wrong = [path for path in paths(SEARCHED[doctype]) if not leads_somewhere(MODELS[doctype], path)]
    assert wrong == []
    assert set(SEARCHED[doctype].facets) <= set(FACETS) - {"type"}


@pytest.mark.parametrize("doctype", SEARCHED)
def test_a_document_is_searched_by_its_own_fields_alone(doctype: str) -> None:
    """No field of a companion is looked for in its base, nor more in a card than the card has."""
    tops = {path.partition(".")[0].partition("[")[0] for path in paths(SEARCHED[doctype])}
    assert not tops & BELONGS.get(doctype, {}).keys()
    if doctype in BASE_OF:
        assert tops <= expected_fields(doctype) | COMMON


@pytest.mark.parametrize("base", [base for base, card in CARDS.items() if card.type not in NOT_SEARCHED])
def test_a_card_is_found_by_no_more_than_its_base(base: str) -> None:
    card = CARDS[base].type
    assert set(SEARCHED[card].texts) <= set(SEARCHED[base].texts)
    assert set(SEARCHED[card].exact) <= set(SEARCHED[base].exact)
    assert base_type(card) == base
    named = {path for path in SEARCHED[card].facets.values() if path == "_id"}
    assert named == set(), f"{card} stands for what {BASE_FIELD[card]} names"
