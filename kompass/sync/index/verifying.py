"""Does the index say what the rules say? Everything is worked out again from the documents and compared.

A read trusts the stored channels. They follow from the documents in the transactions that write them, so a
difference is a defect, or somebody changed the file by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from kompass.access.channels import Relation, RelationKind
from kompass.access.principals import known_roles
from kompass.sync.index.feed_index import FeedIndex
from kompass.sync.index.keeping import Step
from replication.store.sqlite import Reading, SqliteDatabase, Writing


class Difference(NamedTuple):
    """Channels that are stored and shouldn't be, and the other way round."""

    document: str | None
    """The document they are of, or None."""
    user: str | None
    """The person who holds them, or None."""
    surplus: tuple[str, ...]
    absent: tuple[str, ...]

    def __str__(self) -> str:
        whose = f"document {self.document} is in" if self.document is not None else f"{self.user} holds"
        parts = []
        if self.surplus:
            parts.append(f"{', '.join(self.surplus)} and should not")
        if self.absent:
            parts.append(f"not {', '.join(self.absent)} and should")
        return f"{whose} {'; '.join(parts)}"


def differences(reading: Reading, index: FeedIndex) -> Iterator[Difference]:
    """Every document and every person whose channels aren't what the rules say. Reads the whole database."""
    rules, parents = index.rules(reading), index.parents(reading)
    rows: Any = reading.connection.execute(
        "SELECT docs.id, text FROM docs CROSS JOIN bodies ON bodies.seq = body"
        " WHERE NOT docs.deleted ORDER BY id"
    )
    for docid, text in rows:
        wanted = rules.document_channels(orjson.loads(text), parents)
        yield from _compared(docid, None, frozenset(index.channels_of(reading, docid)), wanted)
    people: Any = reading.connection.execute("SELECT name, roles FROM access_users ORDER BY name")
    for name, roles in people.fetchall():
        stated: Any = reading.connection.execute(
            "SELECT DISTINCT kind, key FROM access_relations WHERE user = ?", (name,)
        )
        facts = [Relation(name, RelationKind(kind), key) for kind, key in stated]
        wanted = rules.principal_channels(name, known_roles(roles.split()), facts) if roles else frozenset()
        yield from _compared(None, name, frozenset(index.channels_held(reading, name)), wanted)


def _compared(
    document: str | None, user: str | None, stored: frozenset[str], wanted: frozenset[str]
) -> Iterator[Difference]:
    if stored != wanted:
        yield Difference(document, user, tuple(sorted(stored - wanted)), tuple(sorted(wanted - stored)))


async def repair(database: SqliteDatabase, index: FeedIndex, found: list[Difference]) -> None:
    """Gives documents and people the channels they should have. Devices learn of it as of a grant now."""

    def run(writing: Writing) -> None:
        step = Step(writing, index.rules(writing))
        for one in found:
            if one.document is not None:
                step.rederive(one.document)
            elif one.user is not None:
                step.hold(one.user)
        writing.tell(step.touched)

    await database.transact(run)
