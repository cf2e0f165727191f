"""The tables of the business in the operational database's own file.

What can be worked out from the documents, and is when `VERSION` changes:

- `business_docs`: what of a document is in the next two, by its number, so that it can be taken out again.
- `business_refs`: which document names which, by type and field. `business_keys`: values that others may
  share.
- `business_parts`: what a document adds to sums of others, in ten-thousandths.

What is a record of its own and stays:

- `business_numbers`: every number of every series, with what became of it; `business_counters`: the last
  one of each prefix; `business_skipped`: numbers below an imported one that nobody was given here;
  `business_twice`: documents that came with a number of another.
- `business_effects`: what has followed from a document, so that it doesn't again.
"""

from __future__ import annotations

import apsw

VERSION = 5

_TABLES = """
CREATE TABLE IF NOT EXISTS business_meta (name TEXT PRIMARY KEY, value ANY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS business_counters (
    prefix TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    last INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS business_numbers (
    number TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    prefix TEXT,
    value INTEGER,
    doc TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    given INTEGER NOT NULL,
    ended INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS business_numbers_by_doc ON business_numbers (doc);
CREATE INDEX IF NOT EXISTS business_numbers_by_value ON business_numbers (prefix, value);
CREATE INDEX IF NOT EXISTS business_numbers_folded ON business_numbers (upper(number));
CREATE TABLE IF NOT EXISTS business_skipped (
    prefix TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    doc TEXT NOT NULL,
    noted INTEGER NOT NULL,
    PRIMARY KEY (prefix, first)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS business_twice (
    doc TEXT PRIMARY KEY,
    number TEXT NOT NULL,
    noted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS business_effects (
    doc TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (doc, name)
) WITHOUT ROWID;
"""

_DERIVED = """
DROP TABLE IF EXISTS business_docs;
DROP TABLE IF EXISTS business_refs;
DROP TABLE IF EXISTS business_keys;
DROP TABLE IF EXISTS business_parts;
CREATE TABLE business_docs (num INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, named BLOB NOT
NULL); CREATE TABLE business_refs (
    target TEXT NOT NULL,
    doctype TEXT NOT NULL,
    field TEXT NOT NULL,
    doc INTEGER NOT NULL,
    PRIMARY KEY (target, doctype, field, doc)
) WITHOUT ROWID;
CREATE TABLE business_keys (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    doc INTEGER NOT NULL,
    PRIMARY KEY (key, value, doc)
) WITHOUT ROWID;
CREATE TABLE business_parts (
    doc INTEGER NOT NULL,
    target TEXT NOT NULL,
    measure TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (doc, target, measure)
) WITHOUT ROWID;
CREATE INDEX business_sums ON business_parts (target, measure, amount);
"""


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there. Those of another version that follow from documents are made anew, and empty."""
    connection.execute(_TABLES)
    if not _are_filled(connection):
        clear(connection)


def begin(connection: apsw.Connection) -> bool:
    """Whether what follows from documents has to be worked out. Says so once."""
    if _are_filled(connection):
        return False
    connection.execute("INSERT OR REPLACE INTO business_meta VALUES ('version', ?)", (VERSION,))
    return True


def _are_filled(connection: apsw.Connection) -> bool:
    version = connection.execute("SELECT value FROM business_meta WHERE name = 'version'").get
    return bool(version == VERSION)


def clear(connection: apsw.Connection) -> None:
    """Empties what follows from documents."""
    connection.execute(_DERIVED)
