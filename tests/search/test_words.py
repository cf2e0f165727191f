"""German words and numbers as an index compares them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.search.words import amount, asked_amount, codes, fold, joined, spans, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "Mueller"),
        ("Müller", "muller"),
        ("MÜLLER", "müller"),
        ("Mu\u0308ller", "M\u00fcller"),
        ("Straße", "Strasse"),
        ("Straße", "Str."),
        ("Hauptstraße", "Hauptstr."),
        ("Käse", "Kaese"),
        ("Höfe", "Hoefe"),
        ("Café", "cafe"),
        ("ﬁrma", "firma"),
    ],
)
def test_spellings_of_one_word_are_the_same(one: str, other: str) -> None:
    assert list(words(one)) == list(words(other))


@pytest.mark.parametrize(("one", "other"), [("Bauer", "Baur"), ("neue", "neu"), ("quer", "qur")])
def test_ue_stands_for_an_umlaut_only_where_it_can(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_words_of_an_address() -> None:
    assert list(words("info@hofladen-mueller.example, Hauptstr. 5a")) == [
        "info", "hofladen", "muller", "example", "hauptstrasse", "5a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("R-2024-00456", "R-2024-00456"),
        ("R-2024-00456", "r202400456"),
        ("R-2024-00456", "00456"),
        ("+49 30 23125 017", "03023125017"),
        ("+49 30 23125 017", "030"),
        ("+49 30 23125 017", "+493023125017"),
        ("0049 (0)721 1234", "07211234"),
        ("DE912345678", "de912345678"),
        ("K-00012", "k-00012"),
    ],
)
def test_a_number_is_found_in_every_form_it_is_written_in(stored: str, asked: str) -> None:
    assert joined(asked) in codes(stored)


def test_a_number_is_not_found_by_another_one() -> None:
    assert joined("R-2024-00457") not in codes("R-2024-00456")
    assert joined("2024-0045") not in codes("R-2024-00456")


@pytest.mark.parametrize(
    ("stored", "asked"),
    [(63046, "63.046,00"), (63046.0, "63046,00"), (63046.5, "63046.50"), (63046, "63046"), (12.5, "12,5 €")],
)
def test_a_sum_is_found_as_people_write_it(stored: float, asked: str) -> None:
    assert amount(stored) == asked_amount(asked) is not None


@pytest.mark.parametrize("nothing", [True, None, "12", float("nan"), float("inf"), 1e300, [], {}])
def test_what_is_no_sum_has_no_form(nothing: object) -> None:
    assert amount(nothing) is None


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_any_text_has_words_and_places(text: str) -> None:
    assert all(word for word in words(text))
    codes(text)
    asked_amount(text)
    for start, end, _ in spans(text):
        assert 0 <= start < end <= len(text)
