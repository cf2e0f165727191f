"""Looking for a person is quick about texts that don't have him, and misses none that do."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kompass.domain.traces import Finder, Replacer, Traces, pattern
from kompass.privacy.finding import spoken
from replication.protocol import jsontext

LETTERS = 'aAbBiIıİsSſßkKäÄöÜ \t\n.-()/+049"\\é'
VALUES = st.text(LETTERS, min_size=4, max_size=12).filter(str.strip).map(str.strip)
NUMBERS = st.from_regex(r"(\+49 ?|0049|0)[1-9][0-9 /\-]{5,9}", fullmatch=True)


@given(st.lists(VALUES | NUMBERS, min_size=1, max_size=4), st.text(LETTERS, max_size=8), st.data())
def test_what_a_pattern_matches_is_found(values: list[str], around: str, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(values))
    written = data.draw(
        st.sampled_from([value, value.upper(), value.lower(), value.swapcase(), "\u00a0".join(value.split())])
    )
    for text in (written, f"{around} {written} {around}", around + written, around):
        wanted = any(re.search(pattern(one), text, re.IGNORECASE) is not None for one in values)
        assert Finder(values).found(text) is wanted
        replaced = Replacer(Traces(dict.fromkeys(values, "•")), near=False).text(text)
        assert (replaced != text) is wanted


@given(st.text(), st.text())
def test_escapes_of_json_hide_nothing(before: str, after: str) -> None:
    value = 'Hofladen "Zur Linde" Müller'
    text = f"{before} {value}\n{after}"
    for encoded in (jsontext.encode({"a": [text]}).decode(), f'{{"a":["{_escaped(text)}"]}}'):
        assert Finder([value]).found(spoken(encoded))


def _escaped(text: str) -> str:
    """As programs write JSON that want nothing but ASCII."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
