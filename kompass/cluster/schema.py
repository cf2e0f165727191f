"""The tables in PostgreSQL that the processes of a cluster have in common.

- `databases` has one row for each: its name, the number and mark of its last entry (`head`, `mark`), and its
  `lineage`, another one whenever its journal begins anew. The row's lock is the turn to append.
- `entries` are the journals, as `replication.store.sqlite.journal` has them.
- `bases` are saved files: a new copy begins with one and plays the entries after it. Their bytes are in
  `base_pieces`, compressed.
- `texts` are small things that a data directory has in files: the server's name and secret, settings.

Their version is a number, and counts for the tables of the copies as well: it grows by one with every
change to any of them, and `kompass upgrade` leads from one to the next (`upgrading`).
"""

from __future__ import annotations

from typing import Any

import psycopg

from kompass.cluster.errors import ClusterSchemaError

VERSION = 1
"""That of all tables that processes have in common, these and the ones of copies."""
_STEPS: dict[int, str] = {}
"""For each version but the latest the SQL that leads to the next one, which may be nothing. Processes of
the version before may still run while it does."""
_KEY = 0x6B6F6D7061737331
"""Of the lock under which tables are made."""

_TABLES = """
CREATE SCHEMA IF NOT EXISTS kompass_cluster;
CREATE TABLE kompass_cluster.version (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), number integer NOT NULL);
INSERT INTO kompass_cluster.version (number) VALUES (1);
CREATE TABLE kompass_cluster.databases (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    lineage text NOT NULL,
    head bigint NOT NULL DEFAULT 0,
    mark text NOT NULL DEFAULT '',
    made timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE kompass_cluster.entries (
    database integer NOT NULL REFERENCES kompass_cluster.databases ON DELETE CASCADE,
    num bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    changes bytea NOT NULL,
    told bytea NOT NULL,
    mark text NOT NULL DEFAULT '',
    after text NOT NULL DEFAULT '',
    PRIMARY KEY (database, num)
);
ALTER TABLE kompass_cluster.entries ALTER changes SET STORAGE EXTERNAL;
CREATE TABLE kompass_cluster.bases (
    database integer NOT NULL REFERENCES kompass_cluster.databases ON DELETE CASCADE,
    num bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (database, num)
);
CREATE TABLE kompass_cluster.base_pieces (
    database integer NOT NULL,
    num bigint NOT NULL,
    place integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (database, num, place),
    FOREIGN KEY (database, num) REFERENCES kompass_cluster.bases ON DELETE CASCADE
);
ALTER TABLE kompass_cluster.base_pieces ALTER data SET STORAGE EXTERNAL;
CREATE VIEW kompass_cluster.known AS
    SELECT d.id AS number, d.name, d.lineage, d.head, b.num AS base, b.sha256,
        min(b.num) OVER (PARTITION BY d.id) AS kept
    FROM kompass_cluster.databases AS d JOIN kompass_cluster.bases AS b ON b.database = d.id;
CREATE TABLE kompass_cluster.texts (name text PRIMARY KEY, content bytea NOT NULL);
"""
_ADDED = """
ALTER TABLE kompass_cluster.databases ADD COLUMN IF NOT EXISTS mark text NOT NULL DEFAULT '';
ALTER TABLE kompass_cluster.entries ADD COLUMN IF NOT EXISTS mark text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS after text NOT NULL DEFAULT '';
"""
"""What the first tables of this version hadn't, and programs that don't know it don't miss."""


def prepare(connection: psycopg.Connection[Any]) -> bool:
    """Makes the tables; False if they are there, maybe of an earlier version. Raises `ClusterSchemaError` if
    they are of a later one."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_KEY,))
        if _version(connection) is not None:
            is_raised(connection)
            connection.execute(_ADDED.encode("ascii"))
            return False
        connection.execute(_TABLES.encode("ascii"))
        connection.execute("UPDATE kompass_cluster.version SET number = %s", (VERSION,))
    return True


def check(connection: psycopg.Connection[Any]) -> None:
    """Raises `ClusterSchemaError` if the tables aren't there, or are those of another version."""
    if not is_raised(connection):
        raise ClusterSchemaError(
            f"The tables of the cluster have version {_version(connection)}, this program knows {VERSION}:"
            " `kompass upgrade` leads there. Until then use the program of before."
        )


def is_raised(connection: psycopg.Connection[Any]) -> bool:
    """Whether the tables have this version; False for an earlier one. Raises `ClusterSchemaError` if they
    aren't there, or are of a later one."""
    found = _version(connection)
    if found is None:
        raise ClusterSchemaError("The tables of the cluster aren't there: run `kompass init` first.")
    if found > VERSION:
        raise ClusterSchemaError(
            f"The tables of the cluster have version {found}, this program knows {VERSION}: the cluster has"
            " gone on to a newer version of the program. Start that one here."
        )
    return found == VERSION


def raise_version(connection: psycopg.Connection[Any]) -> None:
    """To this one. Raises as `check` does."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_KEY,))
        while not is_raised(connection):
            found = _version(connection)
            assert found is not None
            connection.execute(_STEPS.get(found, "").encode("ascii"))
            connection.execute("UPDATE kompass_cluster.version SET number = %s", (found + 1,))


def _version(connection: psycopg.Connection[Any]) -> int | None:
    there = connection.execute("SELECT to_regclass(%s)", ("kompass_cluster.version",)).fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT number FROM kompass_cluster.version").fetchone()
    return None if row is None else int(row[0])
