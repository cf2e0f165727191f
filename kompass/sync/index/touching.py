"""Touches: what was closed on somebody's devices and is his again comes back as a child that says the same.

On a device a closed revision can only come back as something that follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kompass.audit import Cause
from kompass.sync.index.feed import FeedReader
from kompass.sync.index.people import person
from kompass.sync.tombstones import Tombstones
from replication.protocol import jsontext
from replication.protocol.attachments import parse_attachments
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path, Rev
from replication.store.sqlite import Reading, Writing
from replication.store.values import Document

TOUCH = Cause("touch")


def touch(writing: Writing, tombstones: Tombstones, docid: str) -> bool:
    """Writes a child of the live winner that says the same. False if there is none."""
    winner = writing.winner(docid)
    state = writing.revisions(docid)
    if winner is None or state is None or state.deleted:
        return False
    body, attachments = _body(winner)
    name = tombstones.keyed_revision(docid, state.winner, body)
    path = state.tree.path(state.winner)
    outcome = writing.write(
        [
            DocumentWrite(
                docid,
                False,
                body,
                path=Path(path.start + 1, [name, *path.ids]),
                attachments=parse_attachments(attachments) if attachments else {},
                note=TOUCH,
            )
        ],
        replicated=True,
    )[0]
    if isinstance(outcome, ProtocolError):
        raise outcome
    return True


def touch_shadowed(writing: Writing, tombstones: Tombstones, docid: str, users: Iterable[str]) -> None:
    """Touches a document if its winner was closed on a device of one of these people."""
    if any(_shadowed(writing, tombstones, user, docid) for user in users):
        touch(writing, tombstones, docid)


def touch_closed(writing: Writing, tombstones: Tombstones, docid: str, tombstone: Rev) -> None:
    """Touches a document if this tombstone of ours closes its winner."""
    state = writing.revisions(docid)
    if state is not None and tombstones.closes(docid, tombstone, state.winner):
        touch(writing, tombstones, docid)


def touch_some(writing: Writing, tombstones: Tombstones, most: int) -> int:
    """Works on what grants have left to touch. Returns how much it looked at; 0 when nothing is left."""
    looked = 0
    while looked < most:
        row = writing.connection.execute(
            "SELECT num, user, channel, doc FROM access_touches ORDER BY num LIMIT 1"
        ).fetchone()
        if row is None:
            break
        num, user, channel, doc = row
        if doc is not None:
            looked += _touch_for_all(writing, tombstones, doc)
            done = True
        else:
            count, done = _touch_channel(writing, tombstones, num, user, channel, most - looked)
            looked += count
        if done:
            writing.connection.execute("DELETE FROM access_touches WHERE num = ?", (num,))
        looked += 1
    return looked


def _touch_for_all(writing: Writing, tombstones: Tombstones, doc: int) -> int:
    docid = writing.connection.execute("SELECT id FROM access_docs WHERE num = ?", (doc,)).get
    users = [
        user
        for (user,) in writing.connection.execute(
            "SELECT DISTINCT h.user FROM access_entries e"
            " CROSS JOIN access_holdings h ON h.channel = e.channel"
            " WHERE e.doc = ?",
            (doc,),
        )
    ]
    if docid is not None:
        touch_shadowed(writing, tombstones, docid, users)
    return len(users)


def _touch_channel(
    writing: Writing, tombstones: Tombstones, num: int, user: str, channel: int, most: int
) -> tuple[int, bool]:
    """Touches what a grant shows again, going on where the last call ended."""
    key = f"touched {num}"
    after = writing.connection.execute("SELECT value FROM access_meta WHERE name = ?", (key,)).get or 0
    upto = writing.connection.execute("SELECT value FROM access_meta WHERE name = ?", (f"{key} upto",)).get
    if upto is None:
        upto = writing.update_seq
        writing.connection.execute("INSERT INTO access_meta VALUES (?, ?)", (f"{key} upto", upto))
    held = writing.connection.execute(
        "SELECT 1 FROM access_holdings WHERE user = ? AND channel = ?", (user, channel)
    ).get
    documents: list[tuple[int, str]] = []
    if held is not None:
        rows: Any = writing.connection.execute(
            "SELECT e.place, d.id FROM access_entries e CROSS JOIN access_docs d ON d.num = e.doc"
            " WHERE e.channel = ? AND e.place > ? AND e.place <= ? ORDER BY e.place LIMIT ?",
            (channel, after, upto, max(most, 1)),
        )
        documents = list(rows)
    who = person(writing, user)
    feed = FeedReader(writing, who, tombstones)
    for place, docid in documents:
        after = place
        if feed.shadowed(docid):
            touch(writing, tombstones, docid)
    done = len(documents) < max(most, 1)
    if done:
        writing.connection.execute("DELETE FROM access_meta WHERE name IN (?, ?)", (key, f"{key} upto"))
    else:
        writing.connection.execute("INSERT OR REPLACE INTO access_meta VALUES (?, ?)", (key, after))
    return len(documents), done


def _shadowed(reading: Reading, tombstones: Tombstones, user: str, docid: str) -> bool:
    who = person(reading, user)  # not the remembered one: this transaction may have changed him
    return FeedReader(reading, who, tombstones).shadowed(docid)


def _body(document: Document) -> tuple[bytes, dict[str, Any] | None]:
    """What a document says, without the members of the protocol, and its attachments' stubs."""
    value = jsontext.decode(document.text)  # exact: a touch changes nothing
    attachments = value.get("_attachments")
    return jsontext.encode({key: one for key, one in value.items() if key[:1] != "_"}), attachments
