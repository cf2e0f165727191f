"""Putting the gate of the operational database together."""

from __future__ import annotations

from collections.abc import Mapping

from kompass.sync.gate import Gate
from kompass.sync.index import FeedIndex
from kompass.sync.quarantine import DATABASE, Quarantine, QuarantineIndex, Quota
from replication.store.interface import Store
from replication.store.sqlite import Extension, SqliteDatabase


def extensions(index: FeedIndex) -> Mapping[str, Extension]:
    """What `SqliteStore.open` must be given, by database: the documents' index and the quarantine's."""
    return {index.database_name: index, DATABASE: QuarantineIndex()}


async def open_gate(store: Store, index: FeedIndex, quota: Quota | None = None) -> Gate:
    """The gate of the database that `index` belongs to, which exists. Makes what it needs beside it.

    Whoever serves with it runs `Gate.keep_house` for as long.
    """
    database = store.get(index.database_name)
    assert isinstance(database, SqliteDatabase)
    gate = Gate(database, index, await Quarantine.open(store, quota))
    await gate.prepare()
    return gate
