"""`kompass doctor`: is everything there that was written?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.errors import UsableError
from kompass.cli.options import Data
from kompass.cli.place import own_directory
from kompass.settings import Settings

if TYPE_CHECKING:
    from replication.store.sqlite import SqliteDatabase


def doctor(
    data: Data = None,
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
) -> None:
    """Check a server's directory while no server runs on it. Ends with code 1 if something stays wrong."""
    from replication.store.sqlite import DirectoryInUseError

    settings = own_directory(
        data,
        "Copies needn't be repaired: stop the process, remove its directory, and start it again."
        " `kompass verify-backup` examines what a backup has of the documents.",
    )
    directory = settings.directory
    wrong = mended = 0
    try:
        for what, outcome, is_mended in examined(settings, repair=repair):
            typer.echo(f"{what} – {outcome}")
            mended += is_mended
            wrong += not is_mended
    except DirectoryInUseError as error:
        raise UsableError(str(error)) from error
    if wrong:
        typer.echo(f"{wrong} wrong, {mended} repaired in {directory}")
        raise typer.Exit(1)
    typer.echo(f"{directory} is in order" + (f", {mended} repaired" if mended else ""))


def examined(settings: Settings, *, repair: bool = False) -> Iterator[tuple[str, str, bool]]:
    """What is wrong in a directory: (what, what became of it or is to do, whether it was mended).

    Raises `DirectoryInUseError`.
    """
    # Imported here: `kompass --help` needn't wait for the store.
    from replication.store.sqlite.doctor import examine

    for finding in examine(settings.directory, repair=repair):
        outcome = "repaired" if finding.repaired else finding.advice
        yield f"{finding.database}: {finding.what}", outcome, finding.repaired
    for what, outcome, is_mended in asyncio.run(_examine_documents(settings, repair=repair)):
        yield f"kompass: {what}", outcome, is_mended


async def _examine_documents(settings: Settings, *, repair: bool) -> list[tuple[str, str, bool]]:
    """Whether everybody sees what he should, and what follows from documents is as it should be: (what, what
    became of it or is to do, whether it was mended).
    """
    from kompass.cli.acting import act_here
    from kompass.sync.index import verifying
    from kompass.sync.opening import DATABASE, chain_of, extensions, feed_index
    from replication.store.sqlite import SqliteDatabase, SqliteStore

    act_here()
    index, directory = feed_index(), settings.directory
    store = await SqliteStore.open(
        directory, extensions=extensions(index, audit=chain_of(directory), series=settings.series)
    )
    try:
        if DATABASE not in await store.names():
            return []
        database = store.get(DATABASE)
        assert isinstance(database, SqliteDatabase)
        business = await _examine_business(database, repair=repair)
        with database.reading() as reading:
            found = list(verifying.differences(reading, index))
        if repair and found:
            await verifying.repair(database, index, found)
            with database.reading() as reading:
                left = set(verifying.differences(reading, index))
            return business + [
                (str(one), "repaired" if one not in left else "can't be repaired", one not in left)
                for one in found
            ]
        return business + [(str(one), "run with --repair", False) for one in found]
    finally:
        await store.close()


async def _examine_business(database: SqliteDatabase, *, repair: bool) -> list[tuple[str, str, bool]]:
    from kompass.business import numbers, rebuilding
    from kompass.sync.opening import business_of

    business = business_of(database)
    with database.reading() as reading:
        found = list(rebuilding.differences(reading))
    left = set(found)
    if repair and found:
        await database.transact(business.rebuild)
        with database.reading() as reading:
            left = set(rebuilding.differences(reading))
    advice = "can't be repaired" if repair else "run with --repair"
    told = [(str(one), advice if one in left else "repaired", one not in left) for one in found]
    with database.reading() as reading:
        wrong = list(numbers.problems(reading, business.terms.series))
    return told + [(f"number {one}", "ask whoever changed the file or its imports", False) for one in wrong]
