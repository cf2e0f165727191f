"""JSON comes out as it went in, whichever of two decoders reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from replication.protocol import jsontext
from replication.protocol.errors import ProtocolError

_numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 2**64, 10**40, 0]),
    st.floats(allow_nan=False, allow_infinity=False),
)
_values = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, st.text(max_size=30), st.text("0123456789-:", min_size=17)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
_spaces = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])


@given(_values, _spaces, _spaces, st.booleans())
@example(2**64, "", "", True)
@example([-(2**64)], " ", "", True)
@example({"a": -(2**64)}, "\t", "\r\n", True)
def test_integers_of_any_size_stay_what_they_are(
    value: Any, before: str, after: str, ascii_only: bool
) -> None:
    separators = (f"{before},{after}", f"{after}:{before}")
    text = before + json.dumps(value, ensure_ascii=ascii_only, separators=separators) + after
    found = jsontext.decode(text.encode("utf-8"))
    assert found == value
    assert repr(found) == repr(json.loads(text))


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "1e999", "-1e999", '"\\ud800"', '{"a":"\\udc00"}', "[1,]", "", "01", "\ufeff1"],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        jsontext.decode(text.encode())
    assert caught.value.status == 400


def test_revisions_are_no_large_integers() -> None:
    """Else a batch of them would be read the slow way."""
    revs = {"_rev": f"1-{'1234567890' * 3}12", "_revisions": {"start": 1, "ids": ["9" * 32]}}
    assert not jsontext._has_large_integers(json.dumps(revs).encode())
    assert jsontext._has_large_integers(b'{"a": -%d}' % 2**64)
