"""The tables of the feed index. They lie in the database's own file, beside its documents.

People hold channels, documents are in channels, and both change at numbers of the database's own count of
changes. What is so now and what was so before are kept apart, because every read asks for the
former and few ask for the latter:

- `access_docs`: a document under its short number, and its *place*: the latest change that concerns its
  readers, which is its own latest one or a later one of a parent that moved it to other channels.
- `access_entries` / `access_left`: document in channel, since when; and, left, until when.
- `access_holdings` / `access_lost`: person holds channel, since when; and until when.
- `access_leaves`: the leaves of a document from each change on: what a revocation froze (`leaves`).
- `access_relations`: what documents say about people; with a person's roles they make his channels.
- `access_parents`: whose change may move which documents to other channels.
- `access_users`: roles by the `user` documents. `version` changes with everything about a person that isn't
  a document's.
- `access_refused`: revisions that were refused and are in quarantine.
- `access_purged`: the revision trees of documents that were purged, for devices that hold some of it.
- `access_touches`: what the toucher has still to look at.
"""

from __future__ import annotations

import secrets

import apsw

VERSION = 3
_KNOWN = (1, 2, VERSION)
"""1: every row of `access_leaves` had all leaves, as some have now. 2: without `_FOLLOWING`."""

_FOLLOWING = """
CREATE INDEX access_docs_by_place ON access_docs (place);
CREATE INDEX access_users_by_version ON access_users (version);
"""
"""For those who ask what has changed: `following`."""

_TABLES = """
CREATE TABLE access_meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
CREATE TABLE access_channels (num INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE access_docs (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    place INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    lineage BLOB NOT NULL
);
CREATE INDEX access_docs_by_id ON access_docs (id, num);
CREATE TABLE access_entries (
    channel INTEGER NOT NULL,
    place INTEGER NOT NULL,
    doc INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (channel, place, doc)
) WITHOUT ROWID;
CREATE INDEX access_entries_by_doc ON access_entries (doc, channel);
CREATE TABLE access_left (
    channel INTEGER NOT NULL,
    until INTEGER NOT NULL,
    doc INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (channel, until, doc)
) WITHOUT ROWID;
CREATE INDEX access_left_by_doc ON access_left (doc);
CREATE TABLE access_leaves (
    doc INTEGER NOT NULL,
    since INTEGER NOT NULL,
    revs TEXT NOT NULL,
    PRIMARY KEY (doc, since)
) WITHOUT ROWID;
CREATE TABLE access_parents (
    child INTEGER NOT NULL,
    parent TEXT NOT NULL,
    PRIMARY KEY (child, parent)
) WITHOUT ROWID;
CREATE INDEX access_children ON access_parents (parent, child);
CREATE TABLE access_relations (
    doc INTEGER NOT NULL,
    user TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (doc, user, kind, key)
) WITHOUT ROWID;
CREATE INDEX access_relations_by_user ON access_relations (user, kind, key);
CREATE TABLE access_users (
    name TEXT PRIMARY KEY,
    roles TEXT NOT NULL,
    active INTEGER NOT NULL,
    version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE access_holdings (
    user TEXT NOT NULL,
    channel INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (user, channel)
) WITHOUT ROWID;
CREATE INDEX access_holders ON access_holdings (channel, user);
CREATE TABLE access_lost (
    user TEXT NOT NULL,
    until INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (user, until, channel)
) WITHOUT ROWID;
CREATE INDEX access_lost_by_channel ON access_lost (channel, user);
CREATE TABLE access_refused (
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    rev TEXT NOT NULL,
    path TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (user, id, rev)
) WITHOUT ROWID;
CREATE INDEX access_refused_by_id ON access_refused (id, rev);
CREATE TABLE access_purged (doc INTEGER PRIMARY KEY, tree BLOB NOT NULL);
CREATE TABLE access_touches (num INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT, channel INTEGER, doc INTEGER);
"""


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'access_meta'").get
    if found is not None:
        version = connection.execute("SELECT value FROM access_meta WHERE name = 'version'").get
        if version not in _KNOWN:
            raise RuntimeError(
                f"The feed index has version {version}, this program knows {VERSION}:"
                " use the program that wrote it."
            )
        if version != VERSION:
            connection.execute(_FOLLOWING)
            connection.execute("UPDATE access_meta SET value = ? WHERE name = 'version'", (VERSION,))
        return
    connection.execute(_TABLES + _FOLLOWING)
    connection.execute("INSERT INTO access_meta VALUES ('version', ?)", (VERSION,))


def begin(connection: apsw.Connection) -> bool:
    """Whether the tables are new, and empty. Says so once."""
    connection.execute("INSERT OR IGNORE INTO access_meta VALUES ('key', ?)", (secrets.token_bytes(32),))
    return connection.changes() > 0


def key(connection: apsw.Connection) -> bytes:
    """The key of this database's tombstones, for good."""
    return bytes(connection.execute("SELECT value FROM access_meta WHERE name = 'key'").get)
