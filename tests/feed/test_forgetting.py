"""An erasure is confirmed when a sink's files have dropped what was erased, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from kompass.feed import confirming
from kompass.feed.confirming import Confirming
from kompass.feed.registry import SINKS
from kompass.feed.sink import Batch, Forgetting, Sink, SinkUnavailableError
from kompass.feed.source import Source, SourceUnavailableError, Tickets
from kompass.feed.steady import SteadySink
from kompass.readstore.sink import PostgresSink
from kompass.search.embedded.sink import EmbeddedSink
from tests.feed.changes import batch, change
from tests.feed.reference import ReferenceSink
from tests.readstore import harness

WORD = b"zwetschgenbaron"


class Waiting:
    """A server with one ticket; at its confirmation it is looked whether the word is in a file."""

    def __init__(self, directory: Path, *, erases: bool = True, withdrawn: str = "aiProcessing") -> None:
        self._directory, self._erases, self._withdrawn = directory, erases, frozenset({withdrawn})
        self.confirmed: list[bool] = []

    async def enrol(self, consumer: str) -> None: ...

    async def tickets(self, consumer: str) -> Tickets:
        return Tickets([] if self.confirmed else [1], 2, self._erases, self._withdrawn)

    async def confirm(self, consumer: str, tickets: Sequence[int]) -> None:
        self.confirmed.append(said(self._directory))


def said(directory: Path) -> bool:
    return any(WORD in file.read_bytes().lower() for file in directory.rglob("*") if file.is_file())


async def erased(sink: Sink) -> Batch:
    """A name that was there, and is no more."""
    await sink.open()
    await sink.apply(batch(change(1, 1, "Hofladen Zwetschgenbaron"), change(2, 1, "Hofladen Rest")))
    clean = batch(change(1, 2, "Anonymer Kunde", anonymized=True))
    await sink.apply(clean)
    return clean


async def test_the_index_forgets_before_it_confirms(tmp_path: Path) -> None:
    sink = SteadySink(EmbeddedSink(tmp_path))
    clean = await erased(sink)
    assert said(tmp_path)
    server = Waiting(tmp_path)
    tickets = Confirming("search", cast(Source, server), sink.forget)
    await tickets.look(1)
    await tickets.look(1)
    assert server.confirmed == []
    await tickets.look(2)
    assert server.confirmed == [False]
    assert await sink.checkpoint() == clean.checkpoint
    await sink.close()


async def test_a_withdrawal_rewrites_nothing(tmp_path: Path) -> None:
    sink = SteadySink(EmbeddedSink(tmp_path))
    await erased(sink)
    server = Waiting(tmp_path, erases=False)
    tickets = Confirming("search", cast(Source, server), sink.forget)
    await tickets.look(2)
    await tickets.look(2)
    assert server.confirmed == [True]
    await sink.close()


@pytest.mark.parametrize(("withdrawn", "stays"), [("aiProcessing", False), ("marketing", True)])
async def test_what_is_there_for_a_purpose_is_rewritten_when_that_is_withdrawn(
    tmp_path: Path, withdrawn: str, stays: bool
) -> None:
    sink = SteadySink(EmbeddedSink(tmp_path))
    await erased(sink)
    server = Waiting(tmp_path, erases=False, withdrawn=withdrawn)
    tickets = Confirming("vectors", cast(Source, server), sink.forget, SINKS["vectors"].purpose)
    await tickets.look(2)
    await tickets.look(2)
    assert server.confirmed == [stays]
    await sink.close()


async def test_who_can_not_forget_now_confirms_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "AGAIN_SECONDS", 0.0)
    failures = [SinkUnavailableError("a table is being read")]

    async def forget() -> None:
        if failures:
            raise failures.pop()

    server = Waiting(tmp_path)
    tickets = Confirming("readstore", cast(Source, server), forget)
    await tickets.look(2)
    await tickets.look(2)
    assert (server.confirmed, failures) == ([], [])
    await tickets.look(2)
    assert server.confirmed == [False]


async def test_a_sink_that_keeps_nothing_is_asked_nothing(tmp_path: Path) -> None:
    assert not isinstance(ReferenceSink(tmp_path), Forgetting)
    await SteadySink(ReferenceSink(tmp_path)).forget()


@pytest.mark.slow
async def test_the_tables_of_the_read_store_are_written_again(tmp_path: Path) -> None:
    import psycopg

    from kompass.readstore.place import Server

    address = harness.make_database()
    sink = PostgresSink(Server(address.dsn))
    try:
        await erased(sink)
        with psycopg.connect(harness.server().dsn, dbname=address.database, autocommit=True) as admin:
            row = admin.execute("SHOW data_directory").fetchone()
            number = admin.execute(
                "SELECT oid FROM pg_database WHERE datname = current_database()"
            ).fetchone()
            assert row is not None
            assert number is not None
            files = Path(row[0]) / "base" / str(number[0])
            admin.execute("CHECKPOINT")
            assert said(files)
            await sink.forget()
            admin.execute("CHECKPOINT")
            left = [one.name for one in files.iterdir() if WORD in one.read_bytes().lower()]
            assert left == []
        assert await sink.checkpoint() == batch(change(1, 2, "x")).checkpoint
    finally:
        await sink.close()
        harness.drop_database(address)


async def test_a_ticket_of_a_lost_past_confirms_none_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "TICKETS_SECONDS", 0.0)
    monkeypatch.setattr(confirming, "AGAIN_SECONDS", 0.0)
    done: list[str] = []

    class Server:
        open = Tickets([7], 100, erases=False)
        is_away = False

        async def enrol(self, consumer: str) -> None:
            done.append("enrolled")

        async def tickets(self, consumer: str) -> Tickets:
            return self.open

        async def confirm(self, consumer: str, tickets: list[int]) -> None:
            if self.is_away:
                raise SourceUnavailableError("away", status=503)
            done.append(f"confirmed {tickets}")

    async def forget() -> None:
        done.append("forgot")

    server = Server()
    tickets = Confirming("search", cast(Source, server), forget)
    await tickets.look(100)
    server.is_away = True
    await tickets.look(100)
    # The journal lost its end; the same number is an erasure's now, of an earlier position.
    server.is_away, server.open = False, Tickets([7], 98, erases=True)
    tickets.forget_waiting()
    await tickets.look(98)
    await tickets.look(98)
    assert done == ["enrolled", "enrolled", "forgot", "confirmed [7]"]


async def test_who_was_removed_is_enrolled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "TICKETS_SECONDS", 0.0)
    enrolled: set[str] = set()

    class Server:
        async def enrol(self, consumer: str) -> None:
            enrolled.add(consumer)

        async def tickets(self, consumer: str) -> Tickets:
            if consumer not in enrolled:
                raise SourceUnavailableError("no such consumer", status=404)
            return Tickets([], 0, erases=False)

    async def forget() -> None:
        raise AssertionError("nothing is erased")

    tickets = Confirming("search", cast(Source, Server()), forget)
    await tickets.look(1)
    enrolled.clear()
    await tickets.look(1)
    assert enrolled == set()
    await tickets.look(1)
    assert enrolled == {"feed-search"}
