"""`kompass rebuild`: works out anew what follows from documents."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from kompass.cli.errors import UsableError
from kompass.cli.feed import rebuild_sink
from kompass.cli.options import Data
from kompass.cli.place import own_directory
from kompass.feed.registry import SINKS
from kompass.settings import Settings

rebuild = typer.Typer(no_args_is_help=True, help="Work out anew what follows from documents.")


@rebuild.callback()
def _group() -> None:
    """Work out anew what follows from documents."""


@rebuild.command()
def derived(data: Data = None) -> None:
    """Numbers, seals, derived values and sums, while no server runs on the directory.

    They follow in the transactions that write documents; this puts right what was changed by hand, and gives
    a database from before them what it lacks.
    """
    # Imported here: `kompass --help` needn't wait for the store.
    from replication.store.sqlite import DirectoryInUseError

    settings = own_directory(
        data,
        "Stop the cluster, move it to a directory (`kompass migrate`), do it there, and move back.",
    )
    try:
        written = asyncio.run(_rebuild(settings))
    except DirectoryInUseError as error:
        raise UsableError(str(error)) from error
    typer.echo(f"{settings.directory}: {written} documents written, all that is derived is in order")


def _add(sink: str) -> None:
    @rebuild.command(sink, help=f"The copy of the documents for {sink}, beside the one that is read.")
    def command(
        data: Data = None,
        wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show how far it is.")] = True,
    ) -> None:
        rebuild_sink(sink, data, wait)


for _sink in SINKS:
    _add(_sink)


async def _rebuild(settings: Settings) -> int:
    from kompass.cli.acting import act_here
    from kompass.sync.opening import DATABASE, business_of, chain_of, extensions, feed_index
    from replication.store.sqlite import SqliteDatabase, SqliteStore

    directory = settings.directory
    act_here()
    store = await SqliteStore.open(
        directory,
        extensions=extensions(feed_index(), audit=chain_of(directory), series=settings.series),
    )
    try:
        if DATABASE not in await store.names():
            raise UsableError(f"{directory} has no database {DATABASE}.")
        database = store.get(DATABASE)
        assert isinstance(database, SqliteDatabase)
        return await database.transact(business_of(database).rebuild)
    finally:
        await store.close()
