"""Texts in pieces, and passages of documents."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.examples import full
from kompass.search.catalogue import SEARCHED
from kompass.vectors.chunks import OVERLAP, TOKENS, chunked
from kompass.vectors.packing import packed, unpacked
from kompass.vectors.passages import passages
from tests.vectors.embedded import embedder


def words(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer(r"\S+", text)]


def test_a_long_text_is_cut_with_an_overlap() -> None:
    text = " ".join(f"wort{number}" for number in range(1200))
    pieces = [piece.split() for piece in chunked(text, words)]
    assert [len(piece) for piece in pieces] == [512, 512, 276]
    assert all(one[-OVERLAP:] == other[:OVERLAP] for one, other in pairwise(pieces))


@given(st.integers(0, 3 * TOKENS))
def test_every_token_is_in_a_piece_and_none_is_only_overlap(number: int) -> None:
    text = " ".join(f"wort{at}" for at in range(number))
    pieces = [piece.split() for piece in chunked(text, words)]
    assert {word for piece in pieces for word in piece} == set(text.split())
    assert all(len(piece) <= TOKENS for piece in pieces)
    assert all(len(piece) > OVERLAP for piece in pieces[1:])


@given(st.text(max_size=300))
def test_whatever_a_text_is_the_model_takes_its_pieces(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    for piece in chunked(text, embedder().spans):
        assert piece in text


async def test_a_vector_keeps_its_direction_as_bytes() -> None:
    (vector,) = await embedder().question("Kühltheke mit Glasaufsatz")
    stored = packed(vector)
    assert stored is not None
    length = float((vector**2).sum()) ** 0.5
    cosine = sum(float(one) * other for one, other in zip(vector, unpacked(stored), strict=True)) / length
    assert cosine > 0.999
    assert packed(vector * 0) is None


def test_what_is_searched_is_what_is_embedded() -> None:
    for doctype, searched in SEARCHED.items():
        found = " ".join(text for _, text in passages(full(doctype), searched))
        assert "@" not in found
        assert "://" not in found
        for path in searched.exact:
            if path not in searched.texts:
                assert str(full(doctype).get(path, "\0")) not in found.split(), (doctype, path)
