"""The tables of erasures, tickets and consent, in the operational database's own file.

- `privacy_counters`: the last number of each kind of pseudonym.
- `privacy_erasures`: what was erased, when, by whom and why. No name of anybody is in it.
- `privacy_subjects`: the documents that were about an erased person themselves.
- `privacy_documents`: every document that an erasure has rewritten, with the revision it made. What doesn't
  follow that one may still have what was erased.
- `privacy_pending`: erasures of which bytes may still lie in the quarantine or in files, with what has to be
  looked for there as long as that is needed.
- `privacy_due`: people who were erased on another server, and are to be erased here.
- `privacy_identities`: digests of the ids that erased users have in Keycloak.
- `privacy_tickets`: what devices and consumers of the feed have to remove; `privacy_acknowledged`: who has.
- `privacy_consumers`: who has to, besides devices, and after which ticket.
- `privacy_consents`: what a customer agreed to and withdrew, entry by entry; nothing is ever changed there
  but names in wordings.
"""

from __future__ import annotations

from typing import Any

import apsw

_TABLES = """
CREATE TABLE IF NOT EXISTS privacy_counters (doctype TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_erasures (
    num INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    reason TEXT NOT NULL,
    subjects TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS privacy_subjects (
    id TEXT PRIMARY KEY,
    doctype TEXT NOT NULL,
    number INTEGER NOT NULL,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_documents (
    id TEXT PRIMARY KEY,
    rev TEXT NOT NULL,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_pending (erasure INTEGER PRIMARY KEY, sweep BLOB);
CREATE TABLE IF NOT EXISTS privacy_due (subject TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_identities (
    digest TEXT PRIMARY KEY,
    erasure INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_tickets (
    num INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    purpose TEXT,
    at INTEGER NOT NULL,
    documents TEXT NOT NULL,
    seq INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS privacy_consumers (
    name TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    after INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_acknowledged (
    ticket INTEGER NOT NULL,
    consumer TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (ticket, consumer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS privacy_consents (
    num INTEGER PRIMARY KEY,
    doc TEXT NOT NULL,
    purpose TEXT NOT NULL,
    granted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    rev TEXT NOT NULL,
    wording TEXT
);
CREATE INDEX IF NOT EXISTS privacy_consents_by_doc ON privacy_consents (doc, purpose, num);
"""

_ADDED = {
    "privacy_consumers": ("after", "INTEGER NOT NULL DEFAULT 0"),
    "privacy_tickets": ("seq", "INTEGER NOT NULL DEFAULT 0"),
}
"""Columns that tables of earlier versions lack."""


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there."""
    connection.execute(_TABLES)
    for table, (name, kind) in _ADDED.items():
        rows: Any = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        if name not in {one for (one,) in rows}:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
