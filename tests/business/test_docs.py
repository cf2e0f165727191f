"""The page says what the code does."""

from __future__ import annotations

from collections.abc import Iterator

from kompass.domain.derivations import STAMPS
from kompass.domain.effects import WITH_EFFECTS
from kompass.domain.series import SERIES, provisional_label
from kompass.domain.sums import TARGETS
from tests.needs import ROOT

PAGE = (ROOT / "docs/business-server.md").read_text()


def series() -> Iterator[str]:
    for one in SERIES:
        where = f"{one.type}.{one.field}" if one.type else "entries of changeLog"
        none = ", ".join(sorted(one.unnumbered))
        aliases = ", ".join(f"`{alias.text}`" for alias in one.aliases)
        void = ", ".join(sorted(one.void))
        yield f"| {one.name} | `{one.pattern.text}` | {where} | {none} | {void} | {aliases} |"


def test_every_series_is_on_the_page() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| ") and "{number" in line]
    assert table == list(series())


def test_every_time_is_on_the_page() -> None:
    for doctype, states in STAMPS.items():
        for status, fields in states.items():
            names = ", ".join(name for name in fields if name is not None)
            assert f"| {doctype} | {status} | {names} |" in PAGE


def test_every_sum_and_effect_is_on_the_page() -> None:
    for doctype, derived in TARGETS.items():
        assert f"| {derived} | {doctype} |" in PAGE
    words = PAGE.partition("## Effects")[2]
    for doctype in WITH_EFFECTS:
        assert doctype.rpartition("_")[2] in words


def test_a_draft_has_a_label() -> None:
    assert provisional_label({"type": "customer", "_id": "customer-9b3f2a"}) == "Entwurf K-neu-3f2a"
    assert provisional_label({"type": "supplier_contract", "_id": "x"}) == "Entwurf SC-neu-x"
    assert provisional_label({"type": "activity", "_id": "activity-1"}) == ""
