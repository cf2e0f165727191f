"""Who gets files for the tax consultant, and what he may ask."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from kompass.accounting.datev.validating import validate
from kompass.exports import datev
from kompass.exports.books import read_books
from tests.exports.books.company import AGAIN, ANNA, BOOKS, BUCH, NOVEMBER, Company

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_they_are_for_gf_and_buch_and_told_in_the_chain(company: Company) -> None:
    paths: tuple[tuple[str, dict[str, str]], ...] = (
        ("datev/bookings", NOVEMBER),
        ("datev/accounts", {}),
        ("gobd/export", NOVEMBER),
    )
    for path, params in paths:
        assert (await company.ask(path, params, ANNA)).status_code == 403
        assert (await company.ask(path, params, None)).status_code == 401

    async def told() -> list[tuple[str, str, str]]:
        entries = (await company.ask("audit", {"user": "buch", "limit": "200"})).json()["entries"]
        return [(one["who"], one["rule"], one["until"]) for one in entries if one["action"] == "EXPORT"]

    before = len(await told())
    await company.ask("datev/bookings", {**NOVEMBER, "dry_run": "true"})
    await company.client.head("/api/v1/datev/accounts", auth=BUCH)
    assert len(await told()) == before, "nobody has taken anything out"
    for path, params in paths:
        assert (await company.ask(path, params)).status_code == 200
    today = datetime.now(UTC).date()
    found = await told()
    assert [one[:2] for one in found[:3]] == [
        ("buch", "gobd"),
        ("buch", "datev.accounts"),
        ("buch", "datev.bookings"),
    ]
    assert found[0][2] == found[2][2] == NOVEMBER["to"]
    assert abs((datetime.fromisoformat(found[1][2]).date() - today).days) <= 1
    verified = (await company.ask("audit/verification", {})).json()
    assert (verified["ok"], verified["findings"]) == (True, [])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "from must be a day"),
        ({"from": "2026-13-01", "to": "2026-12-01"}, "from must be a day"),
        ({"from": "20261101", "to": "2026-12-01"}, "from must be a day"),
        ({"from": "1899-01-01", "to": "1899-12-01"}, "from must be a day"),
        ({"from": "2026-12-01", "to": "2026-11-01"}, "from is before to"),
        ({"from": "2025-01-01", "to": "2026-11-01"}, "a year at most"),
        ({**NOVEMBER, "chart": "05"}, "SKR03"),
        ({**NOVEMBER, "final": "yes"}, "true or false"),
        ({**NOVEMBER, "colour": "red"}, "no parameter colour"),
    ],
)
async def test_a_question_that_can_not_be(company: Company, params: dict[str, str], said: str) -> None:
    answer = await company.ask("datev/bookings", params)
    assert (answer.status_code, said in answer.json()["detail"]) == (400, True), answer.text


async def test_a_file_that_is_not_sound_goes_to_nobody(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datev, "validate", lambda data: validate(data[:-2]))
    answer = await company.ask("datev/bookings", AGAIN)
    assert answer.status_code == 500
    assert "the last line has no CRLF" in answer.json()["detail"]


async def test_without_a_file_that_says_whose_books_there_are_none(
    company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "books.toml"
    for text, said in (
        (None, "Nobody has said whose books it is"),
        ("company = ", "says what can't be"),
        (BOOKS.replace("55003", "0"), "client"),
        (BOOKS + 'colour = "red"', "colour"),
        (BOOKS.replace("8337", "eight"), "untaxed_at_home"),
    ):
        if text is not None:
            file.write_text(text)
        asked = partial(read_books, None if text is None else file)
        monkeypatch.setattr("kompass.api.accounting.read_books", lambda _, asked=asked: asked())
        for path in ("datev/bookings", "datev/accounts", "gobd/export"):
            answer = await company.ask(path, {} if path == "datev/accounts" else NOVEMBER)
            assert (answer.status_code, said in answer.json()["detail"]) == (409, True), answer.text
