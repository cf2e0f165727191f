"""One moment of a cluster: how far each journal is, and what the small texts say.

It is a transaction of PostgreSQL that reads one state of all tables. A commit is a transaction too, so
whatever was acknowledged before another commit is there if that is; and nobody waits for a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from kompass.cluster.connections import Connections
from kompass.cluster.journal import entries_since
from replication.store.sqlite import Entered, Entry


class Moment(NamedTuple):
    """What was there. `since` may be asked as long as the moment lasts."""

    entered: Mapping[str, Entered]
    """Databases and other files, as the catalogue has them."""
    since: Mapping[str, Callable[[int, str], list[Entry]]]
    """For each what comes after an entry, up to its last one, or the first of it; see `Journal.since`."""
    texts: Mapping[str, bytes]


@contextmanager
def moment(connections: Connections) -> Iterator[Moment]:
    """Let it be short: meanwhile PostgreSQL keeps all that was there. Raises `ProtocolError`, 503."""
    with connections.use() as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        rows = connection.execute("SELECT DISTINCT name, lineage, kept, head, number FROM known").fetchall()
        texts = connection.execute("SELECT name, content FROM texts", binary=True).fetchall()
        entered = {row[0]: Entered(*row[:4]) for row in rows}
        yield Moment(
            entered,
            {
                name: partial(entries_since, connection, number, head=entered[name].head)
                for name, *_, number in rows
            },
            {name: bytes(content) for name, content in texts},
        )
        connection.execute("COMMIT")
