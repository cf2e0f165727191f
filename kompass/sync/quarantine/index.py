"""Tables beside the entries: who has which work here, what it waits for, how much room it takes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import apsw

from kompass.sync.quarantine.entries import State
from replication.protocol import jsontext
from replication.protocol.revisions import format_rev, parse_revisions
from replication.store.sqlite import ChangedDocument, Extension, Writing

_TABLES = """
CREATE TABLE IF NOT EXISTS quarantine_entries (
    num INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    device TEXT,
    docid TEXT NOT NULL,
    rev TEXT NOT NULL,
    state TEXT NOT NULL,
    rule TEXT NOT NULL,
    reason TEXT NOT NULL,
    grund TEXT NOT NULL,
    received REAL NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS quarantine_by_document ON quarantine_entries (user, docid, rev);
CREATE INDEX IF NOT EXISTS quarantine_by_state ON quarantine_entries (state, received);
CREATE TABLE IF NOT EXISTS quarantine_parents (
    parent TEXT NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (parent, entry)
) WITHOUT ROWID;
"""


class QuarantineIndex(Extension):
    """Give it to `SqliteStore.open` for the quarantine's database."""

    def make_tables(self, connection: apsw.Connection) -> None:
        connection.execute(_TABLES)

    def prepare(self, writing: Writing) -> None:
        return

    def changed(self, writing: Writing, documents: Sequence[ChangedDocument]) -> None:
        for document in documents:
            self._forget(writing, document.num)
            if document.seq and not document.deleted:
                self._keep(writing, document)

    def committed(self, update_seq: int, notes: Sequence[object]) -> None:
        return

    def _forget(self, writing: Writing, num: int) -> None:
        writing.connection.execute("DELETE FROM quarantine_entries WHERE num = ?", (num,))
        writing.connection.execute("DELETE FROM quarantine_parents WHERE entry = ?", (num,))

    def _keep(self, writing: Writing, document: ChangedDocument) -> None:
        value: dict[str, Any] = jsontext.decode_request(document.text)
        if value.get("type") != "quarantine":
            return
        attached = value.get("_attachments") or {}
        size = len(document.text) + sum(one["length"] for one in attached.values())
        writing.connection.execute(
            "INSERT INTO quarantine_entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                document.num,
                document.id,
                value["user"],
                value["device"],
                value["docId"],
                format_rev(parse_revisions(value["revisions"]).leaf),
                value["state"],
                value["rule"],
                value["reason"],
                value["grund"],
                datetime.fromisoformat(value["received"]).timestamp(),
                size,
            ),
        )
        if value["state"] == State.WAITING:
            writing.connection.executemany(
                "INSERT OR IGNORE INTO quarantine_parents VALUES (?, ?)",
                [(parent, document.num) for parent in value["parents"]],
            )
