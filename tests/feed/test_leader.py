"""Of several consumers one leads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from kompass.feed.leader import KEY, NAME, Lead, LostLeadError, is_led, leading
from kompass.readstore.embedded import Address
from tests.feed.world import until
from tests.readstore import harness


@pytest.fixture
def database() -> Iterator[Address]:
    address = harness.make_database()
    yield address
    harness.drop_database(address)


class Consumer:
    """Wants to lead."""

    def __init__(self, directory: Path, dsn: str | None = None) -> None:
        self.leads = False
        self.lost = False
        self._task = asyncio.create_task(self._run(directory, dsn))

    async def _run(self, directory: Path, dsn: str | None) -> None:
        async with leading(directory, dsn) as lead:
            self.leads = True
            try:
                await lead.kept()
            except LostLeadError:
                self.lost = True
            finally:
                self.leads = False

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def when(check: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def so() -> bool:
        return check()

    return so


async def test_on_one_directory(tmp_path: Path) -> None:
    assert not is_led(tmp_path)
    first = Consumer(tmp_path)
    await until(when(lambda: first.leads), 5)
    assert is_led(tmp_path)
    second = Consumer(tmp_path)
    await asyncio.sleep(0.3)
    assert not second.leads
    await first.end()
    await until(when(lambda: second.leads), 5)
    await second.end()
    assert not is_led(tmp_path)


async def test_alone_it_leads_for_ever(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        lead: Lead = await stack.enter_async_context(leading(tmp_path))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lead.kept(), 0.1)


@pytest.mark.slow
async def test_on_two_machines(tmp_path: Path, database: Address) -> None:
    first = Consumer(tmp_path / "a", database.dsn)
    await until(when(lambda: first.leads), 10)
    second = Consumer(tmp_path / "b", database.dsn)
    await asyncio.sleep(1.5)
    assert not second.leads
    await first.end()
    await until(when(lambda: second.leads), 10)
    await second.end()


@pytest.mark.slow
async def test_whoever_lost_its_session_leads_on(tmp_path: Path, database: Address) -> None:
    first = Consumer(tmp_path / "a", database.dsn)
    await until(when(lambda: first.leads), 10)
    _end_sessions(database).close()
    await asyncio.sleep(2.5)
    assert first.leads
    # It has the lock again: another one waits.
    second = Consumer(tmp_path / "b", database.dsn)
    await asyncio.sleep(1.5)
    assert not second.leads
    await second.end()
    await first.end()


@pytest.mark.slow
async def test_whoever_comes_first_leads(tmp_path: Path, database: Address) -> None:
    first = Consumer(tmp_path / "a", database.dsn)
    await until(when(lambda: first.leads), 10)
    with _end_sessions(database) as other:
        other.execute("SELECT pg_advisory_lock(%s)", (KEY,))
        await until(when(lambda: first.lost), 15)
    await first.end()


@pytest.mark.slow
async def test_without_postgresql_nobody_begins(tmp_path: Path, database: Address) -> None:
    away = Consumer(tmp_path / "a", "host=127.0.0.1 port=9 user=x dbname=x")
    await asyncio.sleep(1.5)
    assert not away.leads
    await away.end()


def _end_sessions(database: Address) -> psycopg.Connection[tuple[object, ...]]:
    """Those of consumers are ended by the server. Gives a connection."""
    connection = psycopg.connect(database.dsn, autocommit=True)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    connection.execute(ended, (NAME,))
    return connection
