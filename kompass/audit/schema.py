"""The chain's tables, in the file of the documents it is about.

`audit_entries` is the chain: `text` is an entry's canonical form, `hash` its SHA-256; `at`, `user`, `doc` and
`key` repeat what the text says, to find it by. `sealed` has the values and salts that the text commits to,
encrypted with the key of that number: a nonce of 12 bytes, then AES-GCM.

`audit_keys` has a key for each subject, the number of the latest counting. `secret` is null once it has been
shredded. `audit_head` repeats where the chain ends. `audit_checkpoints` are signed statements of where it
was; see `checkpoints`. `audit_refusals` isn't part of the chain: it counts what was refused lately; see
`limits`.
"""

from __future__ import annotations

import apsw

from kompass.audit.canonical import GENESIS

_TABLES = """
CREATE TABLE audit_entries (
    num INTEGER PRIMARY KEY,
    hash BLOB NOT NULL,
    text BLOB NOT NULL,
    at INTEGER NOT NULL,
    user TEXT NOT NULL,
    doc TEXT NOT NULL,
    key INTEGER,
    sealed BLOB
);
CREATE INDEX audit_entries_by_user ON audit_entries (user);
CREATE INDEX audit_entries_by_time ON audit_entries (at);
CREATE INDEX audit_entries_by_key ON audit_entries (key);
CREATE TABLE audit_keys (num INTEGER PRIMARY KEY, subject TEXT NOT NULL, secret BLOB);
CREATE INDEX audit_keys_by_subject ON audit_keys (subject);
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    entries INTEGER NOT NULL,
    hash TEXT NOT NULL,
    checkpoint INTEGER NOT NULL
);
CREATE TABLE audit_checkpoints (num INTEGER PRIMARY KEY, text BLOB NOT NULL, signature BLOB NOT NULL);
"""

OF_DOCUMENT = "(substr(doc, -12) = substr(?1, -12) AND doc = ?1)"
"""A condition, with the document's id as the first parameter. What ids end with tells nearly all of them
apart, and an index of it has a third of the pages that one of whole ids has: each entry writes one of them.
"""

_BESIDE = """
DROP INDEX IF EXISTS audit_entries_by_doc;
CREATE TABLE IF NOT EXISTS audit_refusals (
    user TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    entered INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    more INTEGER NOT NULL
) WITHOUT ROWID;
"""

_INDEX = "CREATE INDEX IF NOT EXISTS audit_entries_by_end_of_doc ON audit_entries (substr(doc, -12))"


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there."""
    connection.execute(_BESIDE)
    if not exists(connection):
        connection.execute(_TABLES)
    connection.execute(_INDEX)


def begin(connection: apsw.Connection) -> bool:
    """Makes the chain's beginning; False if it has one."""
    connection.execute("INSERT OR IGNORE INTO audit_head VALUES (1, 0, ?, 0)", (GENESIS,))
    return connection.changes() > 0


def exists(connection: apsw.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_entries'").get
    return found is not None
