"""The tables of a database file, and how older files are brought up to date.

Everything the wire needs is stored ready for it, so that reading is copying:

- `docs` has one row per document, keyed by id: its winner, its latest sequence number, and `tree`. The tree
  of a document with one branch is the JSON value of `_revisions` itself; one with several leaves is
  a JSON list (`RevisionTree.to_json`). `num` is the document's first sequence number, its short name.
- `bodies` holds revisions' texts under the sequence number of the change that brought them.
- `revs` lists the stored bodies that are not the winner's: other leaves, and ancestors until they
  are compacted away.
- `changes` holds one row per document, at its latest sequence number, as the text of the feed.
- `attachments` and `chunks` hold bytes; `attachment_refs` ties them to bodies. An attachment without
  a reference is either being uploaded or left over.
- `purges` are the latest requests to purge: an id and a JSON list of revisions.
- `counters` has one row, rewritten by every commit that changes documents.
- `indexes` and `index_entries` belong to Mango and views: an index knows up to which change it has read, and
  how many entries it has. The entries of views carry the emitted key and the value. In indexes of partitions
  all keys begin with the document's partition. `row_partials` are reductions of rows side by side, from
  `(key, id, place)` up to `high`, that hold until one of the rows changes.
"""

from __future__ import annotations

import secrets
import time

import apsw

from replication.protocol.revision_tree import DEFAULT_REVS_LIMIT
from replication.protocol.sequences import new_epoch_name

VERSION = 4
CHUNK_BITS = 20
"""A chunk's rowid is the attachment's number shifted by this, plus the chunk's position."""
CHUNK_SIZE = 256 * 1024

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
CREATE TABLE epochs (first INTEGER NOT NULL, name TEXT NOT NULL UNIQUE);
CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    update_seq INTEGER NOT NULL,
    purge_seq INTEGER NOT NULL,
    doc_count INTEGER NOT NULL,
    deleted_count INTEGER NOT NULL,
    external_size INTEGER NOT NULL
);
CREATE TABLE docs (
    id TEXT PRIMARY KEY,
    num INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    rev TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    body INTEGER NOT NULL,
    leaves INTEGER NOT NULL,
    attached INTEGER NOT NULL,
    tree BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, text BLOB NOT NULL);
CREATE TABLE revs (
    doc INTEGER NOT NULL,
    rev TEXT NOT NULL,
    body INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    attached INTEGER NOT NULL,
    PRIMARY KEY (doc, rev)
) WITHOUT ROWID;
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    body INTEGER NOT NULL,
    winner BLOB NOT NULL,
    leaves BLOB
);
CREATE TABLE local (id TEXT PRIMARY KEY, rev INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE attachments (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,
    length INTEGER NOT NULL,
    stored_length INTEGER NOT NULL,
    encoding TEXT
);
CREATE TABLE chunks (num INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE attachment_refs (
    body INTEGER NOT NULL,
    name TEXT NOT NULL,
    attachment INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    revpos INTEGER NOT NULL,
    PRIMARY KEY (body, name)
) WITHOUT ROWID;
CREATE INDEX attachment_refs_by_attachment ON attachment_refs (attachment);
"""

_PURGE_TABLES = """
CREATE TABLE purges (num INTEGER PRIMARY KEY, id TEXT NOT NULL, revs TEXT NOT NULL, UNIQUE (id, revs));
INSERT INTO meta VALUES ('purge_requests_limit', 1000);
"""

_INDEX_TABLES = """
CREATE TABLE indexes (
    num INTEGER PRIMARY KEY,
    signature TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL,
    count INTEGER NOT NULL
);
CREATE TABLE index_entries (
    index_num INTEGER NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    place INTEGER NOT NULL,
    shown BLOB,
    value BLOB,
    PRIMARY KEY (index_num, key, id, place)
) WITHOUT ROWID;
CREATE INDEX index_entries_by_id ON index_entries (id, index_num);
"""

_PARTIAL_TABLES = """
CREATE TABLE row_partials (
    index_num INTEGER NOT NULL,
    reducer TEXT NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    place INTEGER NOT NULL,
    high_key BLOB NOT NULL,
    high_id TEXT NOT NULL,
    high_place INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    first_key BLOB NOT NULL,
    first_shown BLOB NOT NULL,
    last_key BLOB NOT NULL,
    last_shown BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (index_num, reducer, key, id, place)
) WITHOUT ROWID;
"""

_MIGRATIONS: dict[int, str] = {
    # Indexes are made again when they are next asked.
    1: f"DROP TABLE index_entries; DROP TABLE indexes; {_INDEX_TABLES}",
    2: _PURGE_TABLES,
    3: _PARTIAL_TABLES,
}
"""For each version but the latest, the SQL that leads to the next one."""


class UnknownSchemaError(Exception):
    """The file was written by a newer version of this program."""


def configure(connection: apsw.Connection) -> None:
    """What every connection needs."""
    connection.set_busy_timeout(10_000)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = 1")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA cache_size = -4000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = 0")


def create(connection: apsw.Connection, security: bytes, *, partitioned: bool) -> None:
    """Makes the tables of a new database, durable when it returns."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    configure(connection)
    with connection:
        connection.execute(_TABLES + _PURGE_TABLES + _INDEX_TABLES + _PARTIAL_TABLES)
        connection.execute("INSERT INTO counters VALUES (1, 0, 0, 0, 0, 0)")
        connection.execute("INSERT INTO epochs VALUES (0, ?)", (new_epoch_name(),))
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("uuid", secrets.token_hex(16)),
                ("created", int(time.time())),
                ("revs_limit", DEFAULT_REVS_LIMIT),
                ("security", security),
            ],
        )
        if partitioned:
            connection.execute("INSERT INTO meta VALUES ('partitioned', 1)")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def migrate(connection: apsw.Connection) -> None:
    """Brings a file that is no copy to the present version. Raises `UnknownSchemaError`."""
    configure(connection)
    upgrade(connection)


def upgrade(connection: apsw.Connection) -> None:
    """Each step in a transaction, or in the one that there is. Raises `UnknownSchemaError`."""
    version = connection.pragma("user_version")
    if version > VERSION or version < 1:
        raise UnknownSchemaError(f"the file has schema version {version}; this program knows 1 to {VERSION}")
    while version < VERSION:
        with connection:
            connection.execute(_MIGRATIONS[version])
            version += 1
            connection.execute(f"PRAGMA user_version = {version}")
