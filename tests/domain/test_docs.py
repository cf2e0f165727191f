"""docs/domain.md says what the models say."""

from __future__ import annotations

import re

import pytest

from kompass.domain.registry import LABELS, MODELS
from kompass.domain.upcasting import UPCASTERS
from tests.domain.documented import PAGE, page

TEXT = PAGE.read_text()


def test_the_tables_are_those_of_the_models() -> None:
    assert page() == TEXT, "run: python -m tests.domain.documented"


@pytest.mark.parametrize("doctype", MODELS)
def test_every_type_has_its_place(doctype: str) -> None:
    assert f"\n### {doctype}: {LABELS[doctype]}\n" in TEXT


def test_every_part_that_a_table_leads_to_is_there() -> None:
    places = {title.lower() for title in re.findall(r"^#### (\w+)$", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", TEXT)) <= places


def test_older_forms_are_told() -> None:
    table = TEXT.partition("## Older apps")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| ([a-z_]+) \| [`a-z]", table, re.MULTILINE)) - {"type"} == set(UPCASTERS)
