"""The file with the imports: who works on what, and for how long things are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kompass.imports.store import (
    CHUNK,
    KEPT_DAYS,
    LEASE_SECONDS,
    MOST_OPEN,
    PIECE,
    Import,
    ImportStore,
    LeaseLostError,
    NotNowError,
    Outcome,
    State,
    Work,
)

ONE = Import(
    id="one",
    person="innen1",
    type="customer",
    file="x.csv",
    sha256="0",
    made=1.0,
    changed=1.0,
    state=State.ARRIVING,
    work=Work.NONE,
    worker="",
    roles=(),
    told={},
    rows=0,
    done=0,
    reason="",
    lease="",
    until=0.0,
)
ROWS = [(line, [f"Hof {line}"]) for line in range(2, 2 + 2 * CHUNK + 1)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImportStore]:
    one = ImportStore(tmp_path)
    yield one
    one.close()


def begun(store: ImportStore, docid: str = "one", doctype: str = "customer", work: Work = Work.WRITE) -> None:
    store.add(replace(ONE, id=docid, type=doctype), b"x")
    store.keep_rows(docid, ROWS, {"headings": []}, 2.0)
    store.begin(docid, work, "innen1", ["INNEN"], {}, {}, 3.0)


def test_files_and_rows_come_back_as_they_were(store: ImportStore) -> None:
    data = bytes(range(256)) * (PIECE // 64)
    store.add(ONE, data)
    store.keep_rows("one", ROWS, {"headings": ["Firma"]}, 2.0)
    assert store.data("one") == data
    chunks = [store.chunk("one", num) for num in range(4)]
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 1, 0]
    assert [row for chunk in chunks for row in chunk] == ROWS


def test_who_lets_a_lease_run_out_has_lost_it(store: ImportStore) -> None:
    begun(store)
    first = store.claim("a", 10.0)
    assert first is not None
    assert store.claim("b", 10.0 + LEASE_SECONDS - 1) is None
    store.note("one", "a", [Outcome(2, "created", {})], 20.0, done=1)
    assert store.claim("b", 10.0 + LEASE_SECONDS + 1) is None
    second = store.claim("b", 20.0 + LEASE_SECONDS)
    assert second is not None
    with pytest.raises(LeaseLostError):
        store.note("one", "a", [Outcome(3, "created", {})], 60.0)
    with pytest.raises(LeaseLostError):
        store.finish("one", "a", State.DONE, "", 60.0)
    assert store.counts("one") == {"created": 1}
    store.finish("one", "b", State.DONE, "", 60.0)
    assert store.claim("c", 100.0) is None


def test_of_one_type_one_is_worked_on(store: ImportStore) -> None:
    for docid, doctype in (("one", "customer"), ("two", "customer"), ("three", "contact")):
        begun(store, docid, doctype)
    claimed = [store.claim(lease, 10.0) for lease in "abc"]
    assert sorted(one.type for one in claimed if one is not None) == ["contact", "customer"]
    store.finish("one", "a", State.DONE, "", 11.0)
    waiting = store.claim("d", 11.0)
    assert waiting is not None
    assert waiting.id == "two"


def test_nothing_is_begun_twice_or_in_between(store: ImportStore) -> None:
    begun(store)
    for work in Work:
        if work is not Work.NONE:
            with pytest.raises(NotNowError):
                store.begin("one", work, "x", [], {}, {}, 4.0)
    with pytest.raises(NotNowError):
        store.forget("one")
    assert store.claim("a", 5.0) is not None
    store.finish("one", "a", State.DONE, "", 6.0)
    with pytest.raises(NotNowError):
        store.begin("one", Work.WRITE, "x", [], {}, {}, 7.0)
    store.begin("one", Work.UNDO, "x", [], {}, {}, 7.0)


def test_somebody_s_files_are_so_many(store: ImportStore) -> None:
    for num in range(MOST_OPEN):
        store.add(replace(ONE, id=str(num)), b"x")
    with pytest.raises(NotNowError):
        store.add(ONE, b"x")
    store.add(replace(ONE, id="other", person="gf1"), b"x")


def test_what_is_old_goes_and_what_is_worked_on_stays(store: ImportStore) -> None:
    begun(store)
    store.add(replace(ONE, id="lost"), b"x")
    store.add(replace(ONE, id="old", state=State.DONE), b"x")
    store.clean(3_700.0)
    assert store.get("lost") is None
    assert store.get("old") is not None
    store.clean(KEPT_DAYS * 86_400 + 100.0)
    assert store.get("old") is None
    assert store.get("one") is not None
    assert store.rows("SELECT import FROM pieces") == [("one",)]
