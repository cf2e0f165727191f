"""docs/conflicts.md says what the table of merging says."""

from __future__ import annotations

import re

from kompass.access.table import SERVER_WRITTEN
from kompass.domain.merge_rules import AMOUNTS, COMMON, DEFAULTS, GROUPS, KEYS, RULES, Default, Rule
from tests.needs import ROOT

PAGE = (ROOT / "docs" / "conflicts.md").read_text()


def rows(*heading: str) -> list[list[str]]:
    """The cells of the table with these column titles."""
    start = f"\n| {' | '.join(heading)} |\n"
    assert PAGE.count(start) >= 1, heading
    table = PAGE.split(start, 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def words(default: Default) -> str:
    if default.statuses is None:
        return default.rule.value
    return f"{default.rule} while {', '.join(sorted(default.statuses))}, else {default.otherwise}"


def names(cell: str) -> list[str]:
    return cell.split(", ")


def test_every_rule_is_explained() -> None:
    explained = dict(rows("rule", "what becomes of the field"))
    assert set(explained) == {rule.value for rule in Rule}
    assert re.findall(r"`(\w+)`", explained["items"]) == list(KEYS)
    for group in GROUPS:
        assert all(f"`{name}`" in PAGE for name in group)


def test_types() -> None:
    documented = dict(rows("type", "rule"))
    assert documented == {
        doctype: words(default) for doctype, default in DEFAULTS.items() if doctype not in SERVER_WRITTEN
    }
    assert {DEFAULTS[doctype].rule for doctype in SERVER_WRITTEN} == {Rule.DERIVED}


def test_fields_of_every_type() -> None:
    documented = {name: rule for rule, fields in rows("rule", "fields") for name in names(fields)}
    assert documented == {name: rule.value for name, rule in COMMON.items()}


def test_fields_of_one_type() -> None:
    documented = {
        (doctype, name): rule
        for doctype, rule, fields in rows("type", "rule", "fields")
        for name in names(fields)
    }
    assert documented == {
        (doctype, name): rule.value for doctype, table in RULES.items() for name, rule in table.items()
    }


def test_amounts() -> None:
    table = PAGE.partition("## From 50,000 EUR on")[2]
    found = re.findall(r"^\| ([a-z_]+) \| ([A-Za-z, ]+) \|$", table.partition("\n## ")[0], re.MULTILINE)
    documented = {doctype: tuple(names(fields)) for doctype, fields in found if doctype != "type"}
    assert documented == dict(AMOUNTS)
