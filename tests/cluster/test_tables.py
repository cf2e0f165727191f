"""The number of the tables grows with every change to them: copies of two programs fit only then."""

from __future__ import annotations

from pathlib import Path

import apsw

from kompass.cluster import schema
from kompass.cluster.process import NEEDED
from kompass.sync.opening import extensions, feed_index
from replication.store.sqlite import SqliteStore

KNOWN = Path(__file__).parent / "tables"
"""What each version has, in a file called by its number."""


async def test_tables_are_those_of_the_version(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path, extensions=extensions(feed_index()))
    for name in sorted(NEEDED):
        await store.create(name)
    await store.close()
    found = "".join(f"{name}\n{_described(tmp_path / f'{name}.sqlite')}" for name in sorted(NEEDED))
    known = KNOWN / f"{schema.VERSION}.txt"
    assert known.read_text("utf-8") == found, (
        "Tables have changed. Processes of a cluster have copies of them: raise the number in"
        " `kompass.cluster.schema` by one, keep what the new version has in a file beside this"
        " one, and say it in the changelog."
    )


def _described(path: Path) -> str:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        lines = []
        names = connection.execute(
            "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"
            " ORDER BY tbl_name, type, name"
        ).fetchall()
        for kind, name, table in names:
            query = "SELECT name, type, pk FROM pragma_table_info(?)"
            if kind == "index":
                query = "SELECT coalesce(name, '()'), '', 0 FROM pragma_index_info(?)"
            columns = [
                " ".join(part for part in (column, typed, f"key {key}" if key else "") if part)
                for column, typed, key in connection.execute(query, (name,))
            ]
            on = f" on {table}" if kind == "index" else ""
            lines.append(f"  {kind} {name}{on}: {', '.join(columns)}\n")
        return "".join(lines)
    finally:
        connection.close()
