"""Why somebody can see a document or can't, and who would gain or lose if something were changed.

For administrators: what is told here names owners, teams and channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from kompass.access.explain import Explanation, explain
from kompass.access.matrix import load
from kompass.access.principals import Principal
from kompass.sync.index import FeedIndex
from kompass.sync.index.rules import MATRIX_PREFIX
from kompass.sync.positions import split
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.sqlite import Reading, SqliteDatabase, Writing

MOST_SHOWN = 20
"""Ids that a dry run names for each person; all are counted."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A channel that a person and a document share."""

    channel: str
    document_since: int
    """The change that put the document there."""
    person_since: int
    """The change that gave him the channel."""
    because: tuple[str, ...]
    """Documents that say so, besides his roles."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Why, by the stored channels, which are what a read checks, and by the rules they come from."""

    user: str
    known: bool
    """Whether there is a record of him that is active."""
    roles: tuple[str, ...]
    document: str
    exists: bool
    deleted: bool
    type: str | None
    visible: bool
    since: int | None
    """The change from which on he has seen it without a break."""
    grants: tuple[Grant, ...]
    lost_at: int | None
    """The change that took it from him, if he saw it before and doesn't now."""
    refused: tuple[str, ...]
    """His revisions of it that are in quarantine or were released from there."""
    tombstones: tuple[str, ...]
    rules: Explanation | None
    """What the rules say; None without a document or a person."""
    agree: bool
    """Whether the rules and the stored channels say the same. If not, that is a defect."""


def answer(reading: Reading, index: FeedIndex, user: str, docid: str) -> Answer:
    """Why `user` may read the document or not, in this state."""
    execute = reading.connection.execute
    roles = index.roles(reading, user)
    winner = reading.winner(docid)
    visible = docid in index.sees(reading, user, [docid])
    row = index.row_of(reading, user, docid)
    held = index.channels_held(reading, user)
    grants = tuple(
        Grant(channel, since, held[channel], _because(reading, user, channel))
        for channel, since in sorted(index.channels_of(reading, docid).items())
        if channel in held
    )
    body: Mapping[str, Any] = jsontext.decode_request(winner.text) if winner is not None else {}
    rules: Explanation | None = None
    agree = True
    if winner is not None and not winner.deleted and roles is not None:
        rules = explain(
            Principal(user, roles),
            body,
            relations=index.relations(reading, user),
            parents=index.parents(reading),
            matrix=index.matrix(reading),
        )
        agree = rules.decision.allowed == visible
    refused: Any = execute(
        "SELECT rev FROM access_refused WHERE user = ? AND id = ? ORDER BY place", (user, docid)
    )
    return Answer(
        user=user,
        known=roles is not None,
        roles=tuple(sorted(roles or ())),
        document=docid,
        exists=winner is not None,
        deleted=winner is not None and winner.deleted,
        type=body.get("type") if isinstance(body.get("type"), str) else None,
        visible=visible,
        since=min((max(one.document_since, one.person_since) for one in grants), default=None),
        grants=grants,
        lost_at=split(row.position)[0] if row is not None and not row.visible and not row.winner else None,
        refused=tuple(rev for (rev,) in refused),
        tombstones=row.tombstones if row is not None else (),
        rules=rules,
        agree=agree,
    )


def _because(reading: Reading, user: str, channel: str) -> tuple[str, ...]:
    """The documents whose word about him gives him this channel: those that name what the channel is for."""
    key = channel.rpartition(":")[2]
    rows: Any = reading.connection.execute(
        "SELECT DISTINCT d.id FROM access_relations r CROSS JOIN access_docs d ON d.num = r.doc"
        " WHERE r.user = ? AND r.key = ? ORDER BY d.id",
        (user, key),
    )
    return tuple(docid for (docid,) in rows)


# -- what if ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change would do to one person."""

    user: str
    gains: int
    loses: int
    gained: tuple[str, ...]
    """Some of them, by id."""
    lost: tuple[str, ...]


class _Undo(Exception):
    """Takes the outcome of a dry run out of the transaction that is undone."""

    def __init__(self, effects: list[Effect]) -> None:
        super().__init__()
        self.effects = effects


async def dry_run(
    database: SqliteDatabase, index: FeedIndex, changes: Mapping[str, Mapping[str, Any]]
) -> list[Effect]:
    """Who would gain and lose which documents if these documents said something else.

    `changes`: by id, the members to change; None takes one away. A document that isn't there would be made,
    such as a permission matrix, and isn't counted. Everything is done as a write would do it and then
    undone, so the answer is what a write would bring, cards included. Writers wait meanwhile. People whom
    nothing changes are left out.
    """

    def run(writing: Writing) -> None:
        before = _seen(writing)
        made = {docid for docid in changes if writing.winner(docid) is None}
        for docid, members in changes.items():
            winner = writing.winner(docid)
            there = winner is not None and not winner.deleted
            stored = jsontext.decode_request(winner.text) if winner is not None and there else {}
            body = {key: value for key, value in stored.items() if key[:1] != "_"}
            body.update(members)
            text = orjson.dumps({key: value for key, value in body.items() if value is not None})
            parent = parse_rev(winner.rev) if winner is not None and there else None
            (outcome,) = writing.write([DocumentWrite(docid, False, text, parent)])
            if isinstance(outcome, ProtocolError):
                raise outcome
        writing.settle()
        raise _Undo(_effects(before, _seen(writing), made))

    try:
        await database.transact(run)
    except _Undo as done:
        return done.effects
    raise AssertionError("a dry run is undone")


def matrix_change(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The changes of `dry_run` for a permission matrix that came into force. Raises `MatrixError`."""
    body = {**document, "type": "permission_matrix", "active": True}
    load(body)
    return {f"{MATRIX_PREFIX}dry-run": body}


def _seen(reading: Reading) -> dict[str, frozenset[str]]:
    """What everybody sees that is alive."""
    people: Any = reading.connection.execute("SELECT name FROM access_users ORDER BY name")
    return {
        name: frozenset(
            docid
            for (docid,) in reading.connection.execute(
                "SELECT DISTINCT d.id FROM access_holdings h"
                " CROSS JOIN access_entries e ON e.channel = h.channel"
                " CROSS JOIN access_docs d ON d.num = e.doc WHERE h.user = ? AND NOT d.deleted",
                (name,),
            )
        )
        for (name,) in people.fetchall()
    }


def _effects(
    before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]], made: set[str]
) -> list[Effect]:
    effects = []
    for name in sorted(before.keys() | after.keys()):
        had, has = before.get(name, frozenset()), after.get(name, frozenset())
        gained, lost = has - had - made, had - has
        if gained or lost:
            effects.append(Effect(name, len(gained), len(lost), _some(gained), _some(lost)))
    return effects


def _some(docids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(docids)[:MOST_SHOWN])
