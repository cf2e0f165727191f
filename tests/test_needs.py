from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests import needs
from tests.conftest import some_cases


def _nothing_there() -> str:
    raise needs.Missing("no such program: install it")


def test_what_is_missing_skips_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.NEEDS, "node", _nothing_there)
    monkeypatch.delenv("KOMPASS_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="install it"):
        needs.require("node")


def test_what_is_required_and_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.NEEDS, "node", _nothing_there)
    monkeypatch.setenv("KOMPASS_TEST_REQUIRE", "chromium, node")
    with pytest.raises(pytest.fail.Exception, match="KOMPASS_TEST_REQUIRE"):
        needs.require("node")


def test_a_misspelt_requirement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOMPASS_TEST_REQUIRE", "chrome")
    with pytest.raises(pytest.UsageError, match=", ".join(sorted(needs.NEEDS))):
        needs.required_names()


@dataclass
class Case:
    """What is needed of a test."""

    nodeid: str


def test_of_a_table_some_cases_are_run() -> None:
    table = [Case(f"a.py::test_table[{number}]") for number in range(10)]
    alone = Case("a.py::test_alone")
    items: Any = [*table, alone]
    assert [item.nodeid for item in some_cases(items, 4)] == [
        "a.py::test_table[0]",
        "a.py::test_table[3]",
        "a.py::test_table[6]",
        "a.py::test_table[9]",
        "a.py::test_alone",
    ]
    assert some_cases(items, 100) == items
    few: Any = some_cases(items, 1)
    assert few == [table[0], alone]
