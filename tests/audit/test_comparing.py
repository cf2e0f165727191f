"""What counts as a change: another text in canonical form, and nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kompass.audit.canonical import value_text
from kompass.audit.comparing import differences

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1.5, 10**30, "", "1", "true", "null"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=6)


@given(DOCUMENTS, DOCUMENTS)
def test_what_has_another_text_is_a_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    expected: dict[str, bytes] = {}
    for name in before.keys() | after.keys():
        parts = []
        if name in after:
            parts.append(b'"new":' + value_text(after[name]))
        if name in before:
            parts.append(b'"old":' + value_text(before[name]))
        if len(parts) < 2 or value_text(after[name]) != value_text(before[name]):
            expected[name] = b"{" + b",".join(parts) + b"}"
    assert differences(before, after) == expected
