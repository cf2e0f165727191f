"""A document's text is put together from its body, and the body is found in it again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replication.protocol import jsontext
from replication.protocol.documents import body_of, parse_document, stored_text

ids = st.text(st.characters(min_codepoint=32, codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: text[0] != "_"
)
bodies = st.dictionaries(
    st.text(max_size=6).filter(lambda name: name[:1] != "_"),
    st.one_of(st.text(max_size=8), st.integers(-9, 9), st.just({"_rev": "no"}), st.none()),
    max_size=4,
)


@given(ids, st.booleans(), bodies)
def test_the_body_is_found_in_the_text_as_it_was_given(
    docid: str, deleted: bool, value: dict[str, Any]
) -> None:
    body = jsontext.encode(value)
    text = stored_text(jsontext.quote(docid), "1-a", deleted, body, b"")
    assert body_of(text, docid, "1-a", deleted) == body
    assert parse_document(jsontext.decode(text)).body == body


@given(ids, bodies)
def test_a_text_of_another_form_has_to_be_parsed(docid: str, value: dict[str, Any]) -> None:
    text = jsontext.encode({**value, "_id": docid, "_rev": "1-a", "last": 1})
    assert value == {} or body_of(text, docid, "1-a", False) is None
    spaced = b" " + stored_text(jsontext.quote(docid), "1-a", False, b"{}", b"")
    assert body_of(spaced, docid, "1-a", False) is None
