"""Names of partitions, and the ids and keys that belong to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.protocol.collation import above, sort_key
from replication.protocol.errors import ProtocolError
from replication.protocol.partitions import (
    check_asked_id,
    check_partition,
    check_partitioned_id,
    id_range,
    key_prefix,
    key_prefix_of,
)

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
NAMES = _TEXT.filter(lambda name: name[0] != "_" and ":" not in name)
KEYS = _TEXT.filter(lambda key: key[0] != "_")


def refused(check: object, value: object) -> tuple[str, str]:
    assert callable(check)
    with pytest.raises(ProtocolError) as caught:
        check(value)
    assert caught.value.status == 400
    return caught.value.error, caught.value.reason


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (5, "Partition must be a string"),
        ("", "Partition must not be empty"),
        ("_p", "Partition must not start with an underscore"),
        ("p:q", "Partition must not contain a colon"),
        ("\ud800", "Partition must be valid UTF-8"),
    ],
)
def test_names_that_no_partition_has(name: object, reason: str) -> None:
    assert refused(check_partition, name) == ("illegal_partition", reason)


@pytest.mark.parametrize(
    ("docid", "error"),
    [
        ("x", ("illegal_docid", "Doc id must be of form partition:id")),
        (":x", ("illegal_partition", "Partition must not be empty")),
        ("x:", ("illegal_docid", "Document id must not be empty")),
        ("x:_x", ("illegal_docid", "Only reserved document ids may start with underscore.")),
        ("x:_local/", ("illegal_docid", "Illegal document id `_local/`")),
    ],
)
def test_ids_that_no_document_of_a_partition_has(docid: str, error: tuple[str, str]) -> None:
    assert refused(check_partitioned_id, docid) == error


@pytest.mark.parametrize("docid", ["_design/x", "_local/x", "p:x", "p::", "p:_design/x"])
def test_ids_in_a_partitioned_database(docid: str) -> None:
    check_partitioned_id(docid)
    check_asked_id(docid)


def test_only_an_id_that_names_no_partition_may_not_be_asked_for() -> None:
    assert refused(check_asked_id, "x") == ("illegal_docid", "Doc id must be of form partition:id")
    for docid in (":x", "x:", "x:_x", "_x"):
        check_asked_id(docid)


def test_design_documents_are_in_no_partition() -> None:
    assert key_prefix_of("_design/a:b") is None
    assert key_prefix_of("x") is None


@given(NAMES, KEYS, NAMES)
def test_the_ids_of_a_partition_lie_in_its_range_and_no_others(name: str, key: str, other: str) -> None:
    docid = f"{name}:{key}"
    check_partitioned_id(docid)
    low, high = (bound.encode() for bound in id_range(other))
    assert (low <= docid.encode() < high) == (name == other)


@given(NAMES, NAMES, KEYS, st.none() | st.booleans() | st.integers() | _TEXT | st.lists(st.integers()))
def test_the_keys_of_a_partition_lie_behind_its_prefix_and_no_others(
    name: str, other: str, key: str, value: object
) -> None:
    prefix = key_prefix_of(f"{name}:{key}")
    assert prefix == key_prefix(name)
    wanted = key_prefix(other)
    assert (wanted <= prefix + sort_key(value) < above(wanted)) == (name == other)
