"""`kompass migrate`: a server's directory into a cluster, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data, Json
from kompass.cli.place import check_no_copies, database_file, settings_there
from kompass.cli.progress import Bar
from kompass.cli.telling import tell_json
from kompass.settings import Settings

if TYPE_CHECKING:
    from kompass.cluster.member import Member
    from kompass.cluster.moving import Moved, Tell

migrate = typer.Typer(no_args_is_help=True, help="Move a server's directory into a cluster, or back.")

NAME = "kompass migrate"


@migrate.command("to-cluster")
def to_cluster(
    data: Data = None,
    take_in: Annotated[
        bool,
        typer.Option(
            "--take-in",
            help="The directory was restored: let in what CouchDB has and the directory hasn't. What is"
            " refused stays there and is named.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Move the documents, accounts and logs of a stopped server into the cluster that the settings name.

    The directory stays as it is, but for what --take-in lets in. May be run again if it was interrupted.
    """
    settings = settings_there(data)
    database_file(settings.directory)
    check_no_copies(settings.directory, "Name the directory that `kompass serve` had.")

    async def move(member: Member, tell: Tell) -> Moved:
        from kompass.backup.contents import SERVER, SMALL
        from kompass.business import BusinessRules
        from kompass.cluster.moving import into_cluster
        from kompass.sync.serving import Sync

        # As the server opens it: tables of an older version are brought up to date.
        store = await Sync(settings.directory, BusinessRules(), settings.series).open_store()
        try:
            texts = [name for name in SMALL if name != SERVER]
            return await into_cluster(store, member, texts, tell, takes_in=take_in)
        finally:
            await store.close()

    _tell(_run(settings, move, quiet=as_json), as_json=as_json)


@migrate.command("to-directory")
def to_directory(
    data: Annotated[Path, typer.Option(help="Directory that is made.", file_okay=False)],
    as_json: Json = False,
) -> None:
    """Make a server's directory of a stopped cluster, which stays as it is."""
    settings = read_settings(data=data)

    async def move(member: Member, tell: Tell) -> Moved:
        from kompass.backup.contents import SERVER, SMALL
        from kompass.cluster.moving import out_of_cluster

        return await out_of_cluster(member, data, [name for name in SMALL if name != SERVER], tell)

    _tell(_run(settings, move, quiet=as_json), as_json=as_json)


def _run(settings: Settings, move: Callable[[Member, Tell], Awaitable[Moved]], *, quiet: bool) -> Moved:
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.audit.signing import KeysError
    from kompass.cluster.errors import ClusterSchemaError, NoClusterError
    from kompass.cluster.member import Member
    from kompass.cluster.moving import FAILURES
    from kompass.revocations.log import RevocationLogError
    from replication.store.sqlite import DirectoryInUseError

    async def run() -> Moved:
        member = Member.of(settings, NAME)
        await asyncio.to_thread(member.join)
        try:
            with Bar(quiet=quiet) as bar:
                return await move(member, bar)
        finally:
            await member.leave()

    try:
        return asyncio.run(run())
    except DirectoryInUseError as error:
        raise UsableError(f"{error} Stop the server first.") from error
    except (*FAILURES, NoClusterError, ClusterSchemaError, KeysError, RevocationLogError) as error:
        raise UsableError(str(error)) from error
    except OSError as error:
        raise UsableError(f"cannot use {settings.directory}: {error.strerror or error}") from error


def _tell(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        tell_json(moved._asdict())
        return
    typer.echo(f"Moved {len(moved.databases)} databases: {', '.join(moved.databases)}.")
    if moved.shown:
        typer.echo(f"{moved.documents} documents are the same in CouchDB: {', '.join(moved.shown)}.")
    if moved.taken:
        typer.echo(f"{moved.taken} documents that only CouchDB had were let in.")
    for one in moved.refused:
        typer.echo(f"refused, and left in CouchDB: {one}")
