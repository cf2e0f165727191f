"""Pieces of texts with what was asked for."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.search.asking import question
from kompass.search.embedded.schema import stem
from kompass.search.highlighting import LENGTH, Highlighter, within


def piece(asked: str, text: str) -> str | None:
    return Highlighter(question(asked), stem).piece(text)


@pytest.mark.parametrize(
    ("asked", "text", "marked"),
    [
        ("mueller", "Hofladen Müller GmbH", "Hofladen <mark>Müller</mark> GmbH"),
        ("regal", "Zwei Kühlregale, ein Regal", "Zwei <mark>Kühlregale</mark>, ein <mark>Regal</mark>"),
        ("hoflaedn", "Hofladen Müller", "<mark>Hofladen</mark> Müller"),
        ("haupt", "Hauptstraße 5", "<mark>Hauptstraße</mark> 5"),
        ("Bauernladen", "Der Hofladen", "Der <mark>Hofladen</mark>"),
        (
            "hof",
            "<b onclick='x'>Hof</b> & \"Markt\"",
            "&lt;b onclick=&#x27;x&#x27;&gt;<mark>Hof</mark>&lt;/b&gt; &amp; &quot;Markt&quot;",
        ),
        ("gut", "a\u202egut\x00b\ngut", "a <mark>gut</mark> b <mark>gut</mark>"),
        ("fehlt", "Hofladen", None),
        ("", "Hofladen", None),
    ],
)
def test_what_was_asked_for_is_marked(asked: str, text: str, marked: str | None) -> None:
    assert piece(asked, text) == marked


def test_of_a_long_text_the_part_with_most_of_it_is_shown() -> None:
    text = "Regal am Anfang. " + "Fülltext ohne Belang " * 100 + "Regal und Theke und Regal. " + "Ende " * 200
    found = piece("Regal Theke", text)
    assert found is not None
    assert found.count("<mark>") == 3
    assert found.startswith("…")
    assert found.endswith("…")
    assert len(unescape(re.sub("</?mark>", "", found))) < 3 * LENGTH


@pytest.mark.parametrize(
    ("asked", "marked"),
    [("K-000", True), ("K-00012", True), ("00012", True), ("K-00013", False), ("Hof", False)],
)
def test_numbers_are_marked_whole(asked: str, marked: bool) -> None:
    found = Highlighter(question(asked), stem).number("K-00012")
    assert found == ("<mark>K-00012</mark>" if marked else None)


anything = st.text(alphabet=st.characters(codec=None), max_size=400)


@given(anything, anything)
def test_nothing_but_marks_is_markup(asked: str, text: str) -> None:
    for found in (piece(asked, text), Highlighter(question(asked), stem).number(text)):
        if found is not None:
            left = re.sub("</?mark>", "", found)
            assert "<" not in left
            assert ">" not in left
            assert '"' not in left


def test_long_texts_cost_little() -> None:
    marking = Highlighter(question("aaaaaaaaaaaaaaaaaaaaaaab bbbbbbbbbbbbbbbbbbbbbbba " * 5), stem)
    letter = Highlighter(question("a"), stem)
    texts = ("aaaaaaaaaaaaaaaaaaaaaaaa " * 40_000, "a" * 1_000_000, "<" * 1_000_000, "a-" * 500_000)
    for text in (*texts, "a " * 500_000):
        for one in (marking, letter):
            began = time.perf_counter()
            one.piece(text)
            one.number(text)
            assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("one", "other", "most", "answer"),
    [
        ("hofladen", "hofladen", 0, True),
        ("hofladen", "hoflaedn", 1, True),
        ("hofladen", "hofladn", 1, True),
        ("hofladen", "hoflden", 1, True),
        ("hofladen", "hohlaten", 1, False),
        ("hofladen", "hohlaten", 2, True),
        ("ab", "ba", 1, True),
        ("abc", "x", 1, False),
    ],
)
def test_how_far_two_words_are_apart(one: str, other: str, most: int, answer: bool) -> None:
    assert within(one, other, most) is answer
    assert within(other, one, most) is answer
