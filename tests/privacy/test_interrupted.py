"""An erasure that something cuts off is finished later, until no file has a byte of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kompass.privacy import pending
from kompass.privacy.service import Privacy
from kompass.sync.quarantine import Quota
from kompass.sync.quarantine.store import Quarantine
from kompass.sync.serving import Sync
from replication.store.sqlite import SqliteDatabase, forgetting
from tests.audit.world import look
from tests.needs import ROOT
from tests.privacy.world import LAST, MARKS, OPPORTUNITY, erase, found_in, populated, privacy, raw
from tests.sync.gate_world import World, contact, new

STEPS: dict[str, tuple[Any, str]] = {
    "the transaction": (pending, "begin"),
    "looking through the quarantine": (Privacy, "_clean_quarantine"),
    "an entry's removal": (Quarantine, "remove"),
    "an entry's rewriting": (Privacy, "_rewrite_entry"),
    "forgetting what was looked for": (pending, "swept"),
    "attachments left over": (SqliteDatabase, "drop_leftovers"),
    "a file": (forgetting, "scrub"),
    "a log": (forgetting, "truncate"),
    "the note": (pending, "finish"),
}
AFTER = "after the transaction"


def found(step: str, directory: Path) -> list[str]:
    marks = found_in(raw(directory))
    if step == "the transaction":
        assert set(marks) == set(MARKS), "nothing has happened"
    return marks


@contextmanager
def failing(step: str, how: Any) -> Iterator[list[int]]:
    """Something goes wrong there, `how` says it."""
    place, name = STEPS[step]
    right = getattr(place, name)
    calls = [0]

    def wrong(*args: Any, **more: Any) -> Any:
        calls[0] += 1
        how()
        return right(*args, **more)

    setattr(place, name, wrong)
    try:
        yield calls
    finally:
        setattr(place, name, right)


def broken() -> None:
    raise OSError("the disk has gone")


@pytest.mark.parametrize("step", [step for step in STEPS if step != "the transaction"])
async def test_what_fails_after_the_transaction_is_gone_on_with(tmp_path: Path, step: str) -> None:
    world = await populated(tmp_path)
    with failing(step, broken) as calls:
        done = await erase(world, contact(1))
        assert calls[0] > 0
    assert not done.is_clean
    assert await privacy(world).resume()
    assert found_in(raw(tmp_path)) == []
    with world.database.reading() as reading:
        assert pending.listed(reading) == {}
    await world.close()


async def test_an_erasure_that_fails_in_its_transaction_has_not_happened(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    with failing("the transaction", broken), pytest.raises(OSError, match="disk"):
        await erase(world, contact(1))
    assert (await world.live(contact(1)))["lastName"] == LAST
    assert len(await world.quarantined("adm1")) == 2
    await world.close()


async def test_readers_in_the_way_make_it_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompass.privacy.service._TRIES", 1)
    monkeypatch.setattr("kompass.privacy.service._PAUSE", 0)
    world = await populated(tmp_path)
    with world.database.reading() as reading:
        assert reading.winner(contact(1)) is not None
        connection = world.database._writer._connection
        assert connection is not None
        connection.set_busy_timeout(100)
        done = await erase(world, contact(1))
        assert not done.is_clean
        assert not await privacy(world).resume()
    assert await privacy(world).resume()
    assert found_in(raw(tmp_path)) == []
    await world.close()


@pytest.mark.alone("another process's push isn't waited for: it is interrupted, and sent again")
async def test_what_is_judged_before_and_kept_afterwards_is_found(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    about = await world.body(OPPORTUNITY)
    assert about is not None
    keeps, goes_on = asyncio.Event(), asyncio.Event()
    right = Quarantine.keep

    async def slow(*args: Any, **more: Any) -> str:
        keeps.set()
        await goes_on.wait()
        return await right(*args, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Quarantine, "keep", slow)
        refused = new(
            {**about, "owner": "adm2", "nextStep": f"Frau {LAST}"}, await world.path(OPPORTUNITY), "x"
        )
        pushing = asyncio.create_task(world.push("adm1", (OPPORTUNITY, refused)))
        await keeps.wait()
        erasing = asyncio.create_task(erase(world, contact(1)))
        await asyncio.sleep(0.2)
        assert not erasing.done()
        goes_on.set()
        await pushing
        await erasing
    assert found_in(raw(tmp_path)) == []
    assert look(tmp_path / "kompass.sqlite").findings == []
    await world.close()


async def _erase_and_die(directory: Path, step: str) -> None:
    world = await World.open(directory, follows=True)

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if step == AFTER:
        right = world.database.transact

        async def transact(run: Any) -> Any:
            result = await right(run)
            die()
            return result

        world.database.transact = transact  # type: ignore[method-assign]
        await erase(world, contact(1))
    with failing(step, die):
        await erase(world, contact(1))


@pytest.mark.alone("what a kill leaves in one directory; see tests/cluster/test_erasing.py")
@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.parametrize("step", [*STEPS, AFTER])
async def test_a_killed_server_goes_on_when_it_starts_again(tmp_path: Path, step: str) -> None:
    world = await populated(tmp_path)
    await world.close()
    code = "import sys; from tests.privacy.test_interrupted import main; main(*sys.argv[1:])"
    died = await asyncio.to_thread(
        partial(subprocess.run, [sys.executable, "-c", code, str(tmp_path), step], cwd=ROOT, timeout=120)
    )
    assert died.returncode == -signal.SIGKILL
    marks = found(step, tmp_path)
    world = await World.open(tmp_path, follows=True)
    assert await privacy(world).resume()
    if step == "the transaction":
        await erase(world, contact(1))
    else:
        assert marks or step in ("a log", "the note", "attachments left over", "a file")
    assert found_in(raw(tmp_path)) == []
    assert (await world.live(contact(1)))["lastName"] == "Kontakt #1"
    assert look(tmp_path / "kompass.sqlite").findings == []
    await world.close()


def main(directory: str, step: str) -> None:
    asyncio.run(_erase_and_die(Path(directory), step))


@pytest.mark.alone("what a kill leaves in one directory; see tests/cluster/test_erasing.py")
async def test_a_server_finishes_before_it_serves_anybody(tmp_path: Path) -> None:
    world = await populated(tmp_path)
    with failing("an entry's rewriting", broken):
        assert not (await erase(world, contact(1))).is_clean
    await world.close()
    assert found_in(raw(tmp_path)) != []
    sync = Sync(tmp_path)
    store = await sync.open_store()
    await sync.start(store, Quota())
    assert found_in(raw(tmp_path)) == []
    await sync.close()
    await store.close()
