"""Does the index say what the rules say? Everything is worked out again from the documents and compared.

What a read shows goes by the stored channels. They follow from the documents in the transactions that write
them, so a difference is a defect, or somebody changed the file by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from kompass.access.channels import Relation, RelationKind
from kompass.access.principals import Role, known_roles
from kompass.sync.index import cards
from kompass.sync.index.feed_index import FeedIndex
from kompass.sync.index.keeping import USER_PREFIX, Step, record_of
from replication.protocol import jsontext
from replication.store.sqlite import Reading, SqliteDatabase, Writing


class Difference(NamedTuple):
    """What is stored and shouldn't be, and the other way round: channels, roles, statements."""

    document: str | None
    """The document they are of, or None."""
    user: str | None
    """The person who holds them, or None."""
    surplus: tuple[str, ...]
    absent: tuple[str, ...]
    states: bool = False
    """Whether it is about what the document states of people."""
    card: str | None = None
    """The id of the document's card that isn't as it should be; nothing else counts then."""

    def __str__(self) -> str:
        if self.card is not None:
            return f"document {self.document} has a card, {self.card}, that is missing or out of date"
        verb = "counts as saying that" if self.states else "is in"
        whose = f"document {self.document} {verb}" if self.document is not None else f"{self.user} holds"
        parts = []
        if self.surplus:
            parts.append(f"{', '.join(self.surplus)} and should not")
        if self.absent:
            parts.append(f"not {', '.join(self.absent)} and should")
        return f"{whose} {'; '.join(parts)}"


def differences(reading: Reading, index: FeedIndex) -> Iterator[Difference]:
    """Every document and every person whose channels, or cards, aren't what the rules say. Reads the whole
    database.
    """
    rules, parents = index.rules(reading), index.parents(reading)
    rows: Any = reading.connection.execute(
        "SELECT docs.id, text FROM docs CROSS JOIN bodies ON bodies.seq = body"
        " WHERE NOT docs.deleted ORDER BY id"
    )
    for docid, text in rows:
        body = orjson.loads(text)
        wanted = rules.document_channels(body, parents)
        yield from _compared(docid, None, frozenset(index.channels_of(reading, docid)), wanted)
        facts = frozenset(f"{user} {kind} {key}" for user, kind, key in rules.relations(body))
        yield from _compared(docid, None, _stored_facts(reading, docid), facts, states=True)
        for card in cards.differing(reading, jsontext.decode_request(text), rules):
            yield Difference(docid, None, (), (), card=card["_id"])
        if docid.startswith(USER_PREFIX) and body.get("type") == "user":
            name = docid.removeprefix(USER_PREFIX)
            record = record_of(name, body)
            if record is not None:
                roles = index.roles(reading, name) or frozenset()
                stated = record.roles if record.active else frozenset()
                yield from _compared(None, name, _named(roles), _named(stated))
    people: Any = reading.connection.execute("SELECT name, roles, active FROM access_users ORDER BY name")
    for name, text, active in people.fetchall():
        found: Any = reading.connection.execute(
            "SELECT DISTINCT kind, key FROM access_relations WHERE user = ?", (name,)
        )
        relations = [Relation(name, RelationKind(kind), key) for kind, key in found]
        channels: frozenset[str] = frozenset()
        if text or active:
            channels = rules.principal_channels(name, known_roles(text.split()), relations)
        yield from _compared(None, name, frozenset(index.channels_held(reading, name)), channels)


def _stored_facts(reading: Reading, docid: str) -> frozenset[str]:
    rows: Any = reading.connection.execute(
        "SELECT r.user, r.kind, r.key FROM access_docs d CROSS JOIN access_relations r ON r.doc = d.num"
        " WHERE d.id = ?",
        (docid,),
    )
    return frozenset(f"{user} {kind} {key}" for user, kind, key in rows)


def _named(roles: frozenset[Role]) -> frozenset[str]:
    return frozenset(f"the role {role}" for role in roles)


def _compared(
    document: str | None,
    user: str | None,
    stored: frozenset[str],
    wanted: frozenset[str],
    *,
    states: bool = False,
) -> Iterator[Difference]:
    if stored != wanted:
        surplus, absent = tuple(sorted(stored - wanted)), tuple(sorted(wanted - stored))
        yield Difference(document, user, surplus, absent, states)


async def repair(database: SqliteDatabase, index: FeedIndex, found: list[Difference]) -> None:
    """Gives documents and people the channels and cards they should have. Devices learn of it as of a
    grant now.
    """

    def run(writing: Writing) -> None:
        # A number of its own, so that whoever follows the changes learns of it, too.
        writing.next_seq()
        rules = index.rules(writing)
        for docid in dict.fromkeys(one.document for one in found if one.card is not None):
            if docid is not None:
                cards.put_right(writing, docid, rules, index.tombstones)
        others = [one for one in found if one.card is None]
        step = Step(writing, rules)
        for one in others:
            if one.states and one.document is not None:
                step.restate(one.document)
            elif one.document is not None:
                step.rederive(one.document)
            elif one.user is not None:
                step.record(one.user)
        step.hold_again(one.user for one in others if one.user is not None)
        index.follow(writing, step)

    await database.transact(run)
