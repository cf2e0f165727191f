"""The tables of conflicts, in the documents' own file: written with the branch, closed with the decision.

`conflicts` has every branch that didn't go together with the winner by itself, settled ones included: that is
the history. `conflict_notices` says whom a document on his feed tells of it; they go when it is settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import apsw
import orjson

from kompass.domain.merge_results import FieldConflict
from kompass.domain.stamps import moment, stamp
from kompass.sync.conflicts.record import MANAGEMENT, Conflict, State, decode_fields, encode_fields
from replication.protocol import jsontext
from replication.protocol.revisions import format_rev, parse_rev
from replication.store.sqlite import Reading, Writing, id_list

_TABLES = """
CREATE TABLE IF NOT EXISTS conflicts (
    num INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    doc TEXT NOT NULL,
    doctype TEXT NOT NULL,
    state TEXT NOT NULL,
    escalated INTEGER NOT NULL,
    author TEXT NOT NULL,
    device TEXT,
    other TEXT NOT NULL,
    base TEXT,
    branch TEXT NOT NULL,
    server TEXT NOT NULL,
    stayed TEXT NOT NULL,
    opened INTEGER NOT NULL,
    mine_at INTEGER NOT NULL,
    theirs_at INTEGER NOT NULL,
    fields TEXT NOT NULL,
    decided TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    text TEXT,
    resolution TEXT
);
CREATE INDEX IF NOT EXISTS conflicts_by_doc ON conflicts (doc, state);
CREATE INDEX IF NOT EXISTS conflicts_by_state ON conflicts (state, num);
CREATE TABLE IF NOT EXISTS conflict_notices (
    reader TEXT NOT NULL,
    conflict TEXT NOT NULL,
    whole INTEGER NOT NULL,
    PRIMARY KEY (reader, conflict)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conflict_notices_by_conflict ON conflict_notices (conflict);
CREATE TABLE IF NOT EXISTS conflict_clock (at INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
"""

_COLUMNS = (
    "num, id, doc, doctype, state, escalated, author, device, other, base, branch, server, stayed, opened,"
    " mine_at, theirs_at, fields, decided, deleted, text, resolution"
)


_ESCALATED = (
    "CASE state WHEN 'open' THEN EXISTS (SELECT 1 FROM conflict_notices n"
    " WHERE n.conflict = conflicts.id AND n.reader = :management) ELSE escalated END"
)
"""Whether management decides, or has."""


def make_tables(connection: apsw.Connection) -> None:
    """Unless they are there."""
    connection.execute(_TABLES)


def add(writing: Writing, conflict: Conflict) -> None:
    """Keeps a new one; its number is given here. One that is known stays as it is."""
    writing.connection.execute(
        f"INSERT OR IGNORE INTO conflicts ({_COLUMNS})"
        " VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            conflict.id,
            conflict.docid,
            conflict.doctype,
            conflict.state.value,
            conflict.escalated,
            conflict.author,
            conflict.device,
            conflict.other,
            conflict.base,
            conflict.branch,
            conflict.server,
            format_rev(conflict.stayed),
            stamp(conflict.opened),
            stamp(conflict.mine_at),
            stamp(conflict.theirs_at),
            encode_fields(conflict.fields),
            jsontext.encode(list(conflict.decided)).decode(),
            conflict.deleted,
            None if conflict.text is None else jsontext.encode(conflict.text).decode(),
            None,
        ),
    )


def find(reading: Reading, conflict: str) -> Conflict | None:
    found = list(_rows(reading, "WHERE id = ?", (conflict,)))
    return found[0] if found else None


def open_about(reading: Reading, docids: Iterable[str]) -> dict[str, list[Conflict]]:
    """Document -> its open conflicts."""
    found: dict[str, list[Conflict]] = {}
    for one in _rows(
        reading,
        "WHERE state = 'open' AND doc IN (SELECT value FROM json_each(?)) ORDER BY num",
        (id_list(docids),),
    ):
        found.setdefault(one.docid, []).append(one)
    return found


def open_escalated(reading: Reading) -> list[Conflict]:
    """Those that management decides as long as it may read them."""
    return list(_rows(reading, "WHERE state = 'open' AND escalated ORDER BY num", ()))


def any_open(reading: Reading) -> bool:
    """Whether there is anything to look for."""
    return reading.connection.execute("SELECT 1 FROM conflicts WHERE state = 'open' LIMIT 1").get is not None


def page(
    reading: Reading,
    *,
    user: str | None,
    states: Sequence[State],
    doctype: str | None,
    docid: str | None,
    escalated: bool | None,
    before: int | None,
    limit: int,
) -> list[Conflict]:
    """The latest first. `user`: those that he sent or is told of; None: everybody's."""
    clauses = ["state IN (SELECT value FROM json_each(:states))"]
    if user is not None:
        clauses.append(
            "(author = :user OR EXISTS (SELECT 1 FROM conflict_notices n"
            " WHERE n.conflict = conflicts.id AND n.reader = :user))"
        )
    clauses += [
        f"{column} = :{column}"
        for column, value in (("doctype", doctype), ("doc", docid))
        if value is not None
    ]
    if escalated is not None:
        clauses.append(f"({_ESCALATED}) = :escalated")
    if before is not None:
        clauses.append("num < :before")
    return list(
        _rows(
            reading,
            f"WHERE {' AND '.join(clauses)} ORDER BY num DESC LIMIT :limit",
            {
                "states": orjson.dumps([state.value for state in states]).decode(),
                "user": user,
                "doctype": doctype,
                "doc": docid,
                "escalated": escalated,
                "management": MANAGEMENT,
                "before": before,
                "limit": limit,
            },
        )
    )


def settle(
    writing: Writing,
    conflict: Conflict,
    *,
    by: str,
    at: datetime,
    strategy: str,
    choices: Any,
    rev: str | None,
) -> None:
    """Closes it, with who decided, when, how, and which revision came of it."""
    resolution = {"by": by, "at": stamp(at), "strategy": strategy, "choices": choices, "rev": rev}
    writing.connection.execute(
        "UPDATE conflicts SET state = 'resolved', resolution = ? WHERE id = ? AND state = 'open'",
        (jsontext.encode(resolution).decode(), conflict.id),
    )


def change_fields(writing: Writing, conflict: Conflict, fields: Sequence[FieldConflict]) -> Conflict:
    """Some of it is settled, the rest stays open."""
    writing.connection.execute(
        "UPDATE conflicts SET fields = ? WHERE id = ?", (encode_fields(fields), conflict.id)
    )
    return replace(conflict, fields=tuple(fields))


# -- who is told -----------------------------------------------------------------------------------


def tell(writing: Writing, conflict: str, reader: str, *, whole: bool) -> None:
    """`whole`: he is shown what others wrote."""
    writing.connection.execute(
        "INSERT OR REPLACE INTO conflict_notices VALUES (?, ?, ?)", (reader, conflict, whole)
    )


def forget(writing: Writing, conflict: str, reader: str) -> None:
    writing.connection.execute(
        "DELETE FROM conflict_notices WHERE conflict = ? AND reader = ?", (conflict, reader)
    )


def readers(reading: Reading, conflict: str) -> list[str]:
    """Who is told of it, `MANAGEMENT` included."""
    rows: Any = reading.connection.execute(
        "SELECT reader FROM conflict_notices WHERE conflict = ? ORDER BY reader", (conflict,)
    )
    return [reader for (reader,) in rows]


def told_whole(reading: Reading, users: Iterable[str], docids: Iterable[str]) -> list[tuple[str, str, str]]:
    """(conflict, document, person) of those who are told of what others wrote, among these people or about
    these documents.
    """
    rows: Any = reading.connection.execute(
        "SELECT c.id, c.doc, n.reader FROM json_each(?) CROSS JOIN conflict_notices n ON n.reader = value"
        " CROSS JOIN conflicts c ON c.id = n.conflict WHERE whole"
        " UNION SELECT c.id, c.doc, n.reader FROM json_each(?) CROSS JOIN conflicts c ON c.doc = value"
        " AND c.state = 'open' CROSS JOIN conflict_notices n ON n.conflict = c.id"
        " WHERE whole AND n.reader != ''",
        (id_list(users), id_list(docids)),
    ).fetchall()
    return list(rows)


def _rows(reading: Reading, where: str, args: Any) -> Iterable[Conflict]:
    rows: Any = reading.connection.execute(f"SELECT {_COLUMNS} FROM conflicts {where}", args).fetchall()
    for row in rows:
        (
            num, id_, doc, doctype, state, escalated, author, device, other, base, branch, server, stayed,
            opened, mine_at, theirs_at, fields, decided, deleted, text, resolution,
        ) = row  # fmt: skip
        yield Conflict(
            num, id_, doc, doctype, State(state), bool(escalated), author, device, other, base, branch,
            server, parse_rev(stayed), moment(opened), moment(mine_at), moment(theirs_at),
            decode_fields(fields),
            tuple(jsontext.decode(decided)), bool(deleted), None if text is None else jsontext.decode(text),
            None if resolution is None else jsontext.decode(resolution),
        )  # fmt: skip


# -- erasing people --------------------------------------------------------------------------------


class Texts(NamedTuple):
    """What a conflict says about documents, as it is stored: JSON."""

    id: str
    docid: str
    texts: tuple[str | None, ...]
    """The columns of `_TEXTS`."""


_TEXTS = ("fields", "decided", "text", "resolution")


def texts(reading: Reading, docid: str | None = None) -> Iterator[Texts]:
    """Of all conflicts, settled ones included; of those about one document if it is named. Read as they are
    asked for.
    """
    rows: Any = reading.connection.execute(
        f"SELECT id, doc, {', '.join(_TEXTS)} FROM conflicts WHERE ?1 IS NULL OR doc = ?1", (docid,)
    )
    for id_, doc, *told in rows:
        yield Texts(id_, doc, tuple(told))


def rewrite(writing: Writing, conflict: str, told: Sequence[str | None]) -> None:
    """Exchanges what it says."""
    writing.connection.execute(
        f"UPDATE conflicts SET {', '.join(f'{name} = ?' for name in _TEXTS)} WHERE id = ?", (*told, conflict)
    )


def erase(writing: Writing, conflict: str, at: datetime) -> None:
    """It is settled, and says nothing any more."""
    resolution = {"by": "", "at": stamp(at), "strategy": "erased", "choices": None, "rev": None}
    rewrite(writing, conflict, ("[]", "[]", None, jsontext.encode(resolution).decode()))
    writing.connection.execute("UPDATE conflicts SET state = 'resolved' WHERE id = ?", (conflict,))
    writing.connection.execute("DELETE FROM conflict_notices WHERE conflict = ?", (conflict,))
