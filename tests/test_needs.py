from __future__ import annotations

from pathlib import Path

import pytest

from tests import needs


def _nothing_there() -> Path:
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
    with pytest.raises(pytest.UsageError, match="chromium, clients, keycloak, node"):
        needs.required_names()
