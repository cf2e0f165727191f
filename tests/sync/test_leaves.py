"""What leaves a document had after each change, kept in little room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompass.sync.index import leaves, schema

LEAVES = [f"{generation}-{name:032x}" for name in range(12) for generation in (2, 3)]


@pytest.fixture(scope="module")
def connection() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    schema.make_tables(connection)
    assert schema.begin(connection)
    yield connection
    connection.close()


@given(st.lists(st.lists(st.sampled_from(LEAVES), min_size=1, unique=True), min_size=1, max_size=30))
def test_each_change_is_read_as_it_was_kept(connection: apsw.Connection, history: list[list[str]]) -> None:
    connection.execute("DELETE FROM access_leaves")
    leaves.keep(connection.execute, 1, 7, ["9-other"])
    for place, revs in enumerate(history, 10):
        leaves.keep(connection.execute, 2, place, revs)
        leaves.keep(connection.execute, 2, place, revs)  # as when a change is told again
    assert leaves.after(connection.execute, 2, 9) == []
    for place, revs in enumerate(history, 10):
        found = leaves.after(connection.execute, 2, place)
        assert found[0] == revs[0]
        assert sorted(found) == sorted(revs)
    assert leaves.after(connection.execute, 2, 1000)[0] == history[-1][0]


def kept(connection: apsw.Connection, history: Sequence[Sequence[str]]) -> int:
    """Bytes that a history takes."""
    connection.execute("DELETE FROM access_leaves")
    for place, revs in enumerate(history):
        leaves.keep(connection.execute, 1, place, revs)
    return int(connection.execute("SELECT sum(length(revs)) FROM access_leaves").get)


def test_branches_take_room_for_themselves_alone(connection: apsw.Connection) -> None:
    winner = f"9-{'f' * 32}"
    branches = [f"3-{number:032x}" for number in range(1000)]
    history = [[winner, *branches[:count]] for count in range(len(branches))]
    few, many = kept(connection, history[:250]), kept(connection, history)
    assert many < 6 * few
    assert many < 200 * len(branches)


def test_rows_of_the_first_version_are_read_still(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM access_leaves")
    connection.execute("DROP INDEX access_docs_by_place")
    connection.execute("DROP INDEX access_users_by_version")
    connection.execute("UPDATE access_meta SET value = 1 WHERE name = 'version'")
    revs = LEAVES[:20]
    connection.execute("INSERT INTO access_leaves VALUES (1, 5, ?)", (" ".join(revs),))
    schema.make_tables(connection)
    assert not schema.begin(connection)
    assert connection.execute("SELECT value FROM access_meta WHERE name = 'version'").get == schema.VERSION
    leaves.keep(connection.execute, 1, 6, [LEAVES[20], *revs[1:]])
    assert leaves.after(connection.execute, 1, 5) == revs
    assert leaves.after(connection.execute, 1, 6) == [LEAVES[20], *revs[1:]]
