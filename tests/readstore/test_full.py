"""A PostgreSQL that can write no more: nothing is lost or passed over, and it goes on when there is room."""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest

from kompass.feed.sink import Batch, Change, Checkpoint, SinkUnavailableError
from kompass.readstore.embedded import EmbeddedPostgres
from kompass.readstore.place import Server
from kompass.readstore.sink import PostgresSink
from tests.needs import require

MOST_BYTES = 20_000_000
"""Of a file. PostgreSQL's own log has files of 16 MiB from the first, and must not be what fails."""

ALL = frozenset({"all:customer"})


@pytest.fixture
def directory() -> Iterator[Path]:
    require("postgres")
    # Not below pytest's own directory: nobody but its user may enter, and as root PostgreSQL is another one.
    directory = Path(tempfile.mkdtemp(prefix="kompass-test-pg-"))
    directory.chmod(0o711)
    yield directory / "pg"
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(directory: Path, most_bytes: int | None = None) -> Iterator[str]:
    """Its address. `most_bytes`: no file of its may be longer; it is told so as of a disk that is full."""
    postgres = EmbeddedPostgres(directory, fsync=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes or soft, hard))  # its processes inherit it
    try:
        dsn = postgres.start().dsn
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    try:
        yield dsn
    finally:
        postgres.stop()


def batch(first: int, last: int, text: str = "short") -> Batch:
    changes = []
    for number in range(first, last):
        docid = f"customer-00000000-0000-4000-8000-{number:012d}"
        doc = {"_id": docid, "_rev": "1-a", "type": "customer", "companyName": "Hofladen", "notes": text}
        changes.append(Change(docid, number + 1, "1-a", doc, ALL))
    return Batch(changes, Checkpoint("e", str(last), last))


async def position(sink: PostgresSink) -> int:
    checkpoint = await sink.checkpoint()
    assert checkpoint is not None
    return checkpoint.position


def stored(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM kompass_data.customer").fetchone()
        assert row is not None
        return int(row[0])


@pytest.mark.slow
async def test_what_finds_no_room_is_stored_when_there_is_some(directory: Path) -> None:
    large = batch(5, 25, Random(5).randbytes(1_500_000).hex())
    with running(directory, MOST_BYTES) as dsn:
        sink = PostgresSink(Server(dsn))
        await sink.open()
        await sink.apply(batch(0, 5))
        for _ in range(2):
            with pytest.raises(SinkUnavailableError, match="PostgreSQL can't now"):
                await sink.apply(large)
            assert (await position(sink), stored(dsn)) == (5, 5)
        # What is small enough is still stored.
        await sink.apply(batch(2, 7))
        assert (await position(sink), stored(dsn)) == (7, 7)
        await sink.close()
    with running(directory) as dsn:
        sink = PostgresSink(Server(dsn))
        await sink.open()
        await sink.apply(large)
        assert (await position(sink), stored(dsn)) == (25, 25)
        await sink.close()
