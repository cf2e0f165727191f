"""The file with the imports: who works on what, and for how long things are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from kompass.imports.states import Import, NotNowError, Outcome, State, Work
from kompass.imports.store import CHUNK, KEPT_DAYS, MOST_OPEN, PIECE, ImportStore
from kompass.kept import IMPORTS
from kompass.leases import Lease, LeaseLostError, release_all, take

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


def held(store: ImportStore, doctype: str = "customer") -> Lease:
    lease = take(store, f"import {doctype}")
    assert lease is not None
    return lease


def test_who_has_lost_the_lease_of_a_type_notes_nothing(store: ImportStore) -> None:
    begun(store)
    first = held(store)
    store.note("one", first, [Outcome(2, "created", {})], 20.0, done=1)
    release_all(store)
    second = held(store)
    with pytest.raises(LeaseLostError):
        store.note("one", first, [Outcome(3, "created", {})], 60.0)
    with pytest.raises(LeaseLostError):
        store.finish("one", first, State.DONE, "", 60.0)
    assert store.counts("one") == {"created": 1}
    store.finish("one", second, State.DONE, "", 60.0)
    assert store.waiting("customer") is None


def test_of_one_type_one_is_worked_on(store: ImportStore) -> None:
    for docid, doctype in (("one", "customer"), ("two", "customer"), ("three", "contact")):
        begun(store, docid, doctype)
    assert store.waiting_types() == ["contact", "customer"]
    first = store.waiting("customer")
    assert first is not None
    store.finish(first.id, held(store), State.DONE, "", 11.0)
    second = store.waiting("customer")
    assert second is not None
    assert {first.id, second.id} == {"one", "two"}


def test_imports_of_an_earlier_program_go_on(tmp_path: Path) -> None:
    """Its leases stood beside each import."""
    ImportStore(tmp_path).close()
    with closing(apsw.Connection(str(tmp_path / IMPORTS))) as earlier:
        earlier.execute(
            "DROP TABLE leases; DROP INDEX imports_by_work;"
            " ALTER TABLE imports ADD COLUMN lease TEXT NOT NULL DEFAULT '';"
            " ALTER TABLE imports ADD COLUMN until REAL NOT NULL DEFAULT 0;"
            " CREATE INDEX imports_by_work ON imports (work, until) WHERE work <> ''; PRAGMA user_version = 1"
        )
    with closing(ImportStore(tmp_path)) as store:
        begun(store)
        store.finish("one", held(store), State.DONE, "", 5.0)
        assert store.waiting_types() == []


def test_nothing_is_begun_twice_or_in_between(store: ImportStore) -> None:
    begun(store)
    for work in Work:
        if work is not Work.NONE:
            with pytest.raises(NotNowError):
                store.begin("one", work, "x", [], {}, {}, 4.0)
    with pytest.raises(NotNowError):
        store.forget("one")
    store.finish("one", held(store), State.DONE, "", 6.0)
    with pytest.raises(NotNowError):
        store.begin("one", Work.WRITE, "x", [], {}, {}, 7.0)
    store.begin("one", Work.UNDO, "x", [], {}, {}, 7.0)


def test_a_file_is_not_read_again_while_it_is_executed(store: ImportStore) -> None:
    begun(store)
    store.note("one", held(store), [Outcome(2, "created", {})], 4.0)
    with pytest.raises(NotNowError):
        store.keep_rows("one", ROWS[:1], {"headings": ["Ort"]}, 5.0, again=True)
    assert (len(store.chunk("one", 1)), store.counts("one")) == (CHUNK, {"created": 1})


def test_nothing_is_kept_of_an_import_that_was_removed_while_it_arrived(store: ImportStore) -> None:
    store.add(ONE, b"x")
    store.forget("one")
    with pytest.raises(NotNowError):
        store.keep_rows("one", ROWS, {"headings": []}, 2.0)
    assert store.rows("SELECT import FROM chunks") == []


def test_a_mapping_of_what_was_read_otherwise_meanwhile_does_not_count(store: ImportStore) -> None:
    store.add(ONE, b"x")
    store.keep_rows("one", ROWS, {"headings": ["Firma"]}, 2.0)
    known = store.get("one")
    assert known is not None
    store.keep_rows("one", ROWS, {"headings": ["Ort"]}, 3.0, again=True)
    with pytest.raises(NotNowError):
        store.tell(known, {"headings": ["Firma"]}, 4.0)


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
