"""`python -m tests.cluster.newer …`: the program with one more version of its tables than it has today.

The made-up step changes tables of the core's and of an extension's, and fills what it has made. With
`KOMPASS_TEST_STOP` a process stops where that says, for whoever kills it there.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from kompass.cli.app import main
from kompass.cluster import schema
from kompass.sync import opening, serving
from replication.store.sqlite import ChangedDocument, Extension, Several, Writing

VERSION = schema.VERSION + 1


def _stop(where: str) -> None:
    if os.environ.get("KOMPASS_TEST_STOP") == where:
        Path(os.environ["KOMPASS_TEST_STOPPED"]).touch()
        time.sleep(600)


class Made(Extension):
    """Counts how often each document was changed, in a table that the version before hasn't."""

    def make_tables(self, connection: apsw.Connection) -> None:
        columns: Any = connection.execute("SELECT name FROM pragma_table_info('conflicts')").fetchall()
        if ("note",) not in columns:
            connection.execute("ALTER TABLE conflicts ADD COLUMN note TEXT")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS made (id TEXT PRIMARY KEY, changes INTEGER NOT NULL, word TEXT);"
            "CREATE INDEX IF NOT EXISTS made_by_changes ON made (changes)"
        )

    def prepare(self, writing: Writing) -> None:
        if writing.connection.execute("SELECT 1 FROM made WHERE id = ''").get is None:
            _stop("filling")
            writing.connection.execute("INSERT INTO made SELECT id, 1, NULL FROM docs")
            # Not the same in any other process.
            writing.connection.execute("INSERT INTO made VALUES ('', 0, ?)", (os.urandom(8).hex(),))

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            writing.connection.execute(
                "INSERT INTO made VALUES (?, 1, NULL) ON CONFLICT (id) DO UPDATE SET changes = changes + 1",
                (document.id,),
            )

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return


_raise_version = schema.raise_version


def extensions(*args: Any, **kwargs: Any) -> Mapping[str, Extension]:
    made = dict(opening.extensions(*args, **kwargs))
    several = made[opening.DATABASE]
    assert isinstance(several, Several)
    return {**made, opening.DATABASE: Several(*several.extensions, Made())}


def raise_version(connection: Any) -> None:
    _stop("raising")
    _raise_version(connection)


if __name__ == "__main__":
    schema.VERSION = VERSION
    schema._STEPS[VERSION - 1] = "CREATE TABLE kompass_cluster.made (one integer)"
    schema.raise_version = raise_version
    vars(serving)["extensions"] = extensions
    main()
