"""Puts what a database has into an index at once, as a follower would bit by bit."""

from __future__ import annotations

from pathlib import Path

from kompass.feed.sink import Batch, Change, Checkpoint, Sink
from kompass.search.embedded.sink import EmbeddedSink
from kompass.server import Product
from kompass.sync.index import following
from kompass.sync.opening import DATABASE
from replication.protocol import jsontext
from replication.store.sqlite import SqliteDatabase


def database_of(product: Product) -> SqliteDatabase:
    database = product.documents.server.store.get(DATABASE)
    assert isinstance(database, SqliteDatabase)
    return database


async def follow(product: Product, sink: Sink, *, most: int = 1000) -> None:
    """Everything that the sink hasn't got yet."""
    checkpoint = await sink.checkpoint()
    since = 0 if checkpoint is None else checkpoint.position
    with database_of(product).reading() as reading:
        ids = following.concerned(reading, since, 1_000_000)
        standings = following.standings(reading, ids)
        winners = reading.winners(ids)
        upto, epochs = reading.update_seq, reading.epochs
        changes = []
        for docid, standing in standings.items():
            winner = winners.get(docid)
            there = winner is not None and not winner.deleted and standing.rev is not None
            doc = jsontext.decode(winner.text) if winner is not None and there else None
            changes.append(Change(docid, standing.place, standing.rev or "", doc, standing.channels))
    here = Checkpoint(epochs.current, f"{epochs.format(upto)}~{upto}.what-a-follower-needs", upto)
    for at in range(0, len(changes), most):
        await sink.apply(Batch(changes[at : at + most], here))
    if not changes:
        await sink.apply(Batch([], here))


async def fill(product: Product, directory: Path) -> None:
    """A new index for a server on this directory."""
    sink = EmbeddedSink(directory)
    await sink.open()
    await follow(product, sink)
    await sink.close()
