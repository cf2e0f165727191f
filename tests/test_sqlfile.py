"""Files of what runs beside the server: their tables change from version to version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import apsw
import pytest

from kompass.shared_files import SharedFiles
from kompass.sqlfile import SqlFile

FIRST = "CREATE TABLE notes (num INTEGER PRIMARY KEY, text TEXT NOT NULL)"
THIRD = "CREATE TABLE notes (num INTEGER PRIMARY KEY, text TEXT NOT NULL, kind TEXT NOT NULL DEFAULT '')"
STEPS = ("ALTER TABLE notes ADD COLUMN kind TEXT NOT NULL DEFAULT ''", "UPDATE notes SET kind = 'old'")


class UnusableError(Exception):
    """The file can't be used."""


def first(path: Path, shared: SharedFiles | None = None) -> SqlFile:
    return SqlFile(path, FIRST, failure=UnusableError, shared=shared)


def third(path: Path, shared: SharedFiles | None = None) -> SqlFile:
    return SqlFile(path, THIRD, failure=UnusableError, steps=STEPS, shared=shared)


def note(file: SqlFile, text: str) -> None:
    with file.writing() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def notes(file: SqlFile) -> list[tuple[str, str]]:
    return [(text, kind) for text, kind in file.rows("SELECT text, kind FROM notes ORDER BY num")]


def test_a_file_of_before_is_brought_to_what_this_program_knows(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    file = first(path)
    note(file, "a")
    file.close()
    file = third(path)
    note(file, "b")
    assert notes(file) == [("a", "old"), ("b", "")]
    file.close()
    file = third(path)
    assert notes(file) == [("a", "old"), ("b", "")], "once"
    file.close()
    with pytest.raises(UnusableError, match=r"notes\.sqlite is of a newer version"):
        first(path)


def test_a_new_file_has_the_tables_of_today(tmp_path: Path) -> None:
    file = third(tmp_path / "notes.sqlite")
    note(file, "a")
    assert notes(file) == [("a", "")]
    file.close()


def test_several_make_a_file_at_once(tmp_path: Path) -> None:
    together = Barrier(4)

    def opened(path: Path) -> SqlFile:
        together.wait(30)
        return third(path)

    with ThreadPoolExecutor(4) as pool:
        for number in range(150):
            path = tmp_path / f"{number}.sqlite"
            files = list(pool.map(opened, [path] * 4))
            for one in files:
                note(one, "a")
            assert notes(files[0]) == [("a", "")] * 4
            for one in files:
                one.close()


def test_who_finds_it_locked_for_good_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    with closing(apsw.Connection(str(path))) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnusableError, match="locked"):
            SqlFile(path, FIRST, failure=UnusableError, busy=0.1)
        other.execute("COMMIT")
    note(first(path), "a")


def test_several_open_a_file_of_before_at_once(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    file = first(path)
    note(file, "a")
    file.close()
    with ThreadPoolExecutor(8) as pool:
        for one in pool.map(lambda _: third(path), range(8)):
            assert notes(one) == [("a", "old")]
            one.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    first(path).close()
    with pytest.raises(UnusableError, match="no such table"):
        SqlFile(path, THIRD, failure=UnusableError, steps=(STEPS[0], "UPDATE missing SET a = 1"))
    file = first(path)
    note(file, "a")
    assert file.rows("SELECT * FROM notes") == [(1, "a")]
    file.close()
