"""`kompass privacy`: copies of personal data, erasures and tickets of a running server; replay after a
restore.
"""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from kompass.cli.acting import act_here
from kompass.cli.asking import asking
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import HERE, Data, Password, Server
from kompass.cli.place import check_no_copies
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.client import Client

privacy = typer.Typer(no_args_is_help=True, help="Personal data: copies, erasures, tickets.")

_Subject = Annotated[str, typer.Argument(help="Id of a customer, contact, lead or user.")]
_User = Annotated[str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks: GF.")]


@privacy.command()
def export(
    subject: _Subject,
    output: Annotated[Path, typer.Option(help="Directory for the files; made, and empty.", file_okay=False)],
    server: Server = HERE,
    name: _User = None,
    password: Password = None,
) -> None:
    """Write everything about SUBJECT, as JSON with attachments."""
    try:
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise UsableError(f"{output} has files in it: name an empty directory")
        with asking(server, name, password) as client:
            count = _unpacked(client, f"/privacy/subjects/{quote(subject, safe='')}/export", output)
    except OSError as error:
        raise UsableError(f"{output} can't be written: {error.strerror}") from None
    except zipfile.BadZipFile as error:
        raise UsableError(f"the server's answer can't be read: {error}") from None
    typer.echo(f"{count} files in {output}")


def _unpacked(client: Client, path: str, output: Path) -> int:
    """How many files there are in the archive that is answered."""
    with tempfile.TemporaryFile(dir=output) as file:
        with client.stream(path) as pieces:
            file.writelines(pieces)
        with zipfile.ZipFile(file) as packed:
            packed.extractall(output)
            return len(packed.namelist())


@privacy.command()
def erase(
    subject: _Subject,
    reason: Annotated[str, typer.Option(help="Why, in at least ten characters; it is kept.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    server: Server = HERE,
    name: _User = None,
    password: Password = None,
) -> None:
    """Pseudonymise SUBJECT everywhere. This can't be undone."""
    wish = {"reason": reason, "dryRun": dry_run}
    with asking(server, name, password) as client:
        done = client.post(f"/privacy/subjects/{quote(subject, safe='')}/erasure", wish)
    tell_json(done)


@privacy.command()
def tickets(server: Server = HERE, name: _User = None, password: Password = None) -> None:
    """List what devices and consumers have to remove, who has, and who hasn't yet."""
    with asking(server, name, password) as client:
        rows = list(_tickets(client))
        consumers = client.get("/privacy/consumers")["consumers"]
    for one in rows:
        waiting = ", ".join(one["waitingFor"]) or "nobody"
        about = one.get("purpose") or one["kind"]
        typer.echo(f"{one['ticket']}  {one['at']}  {about}  {one['subject']}  waiting for: {waiting}")
    for one in consumers:
        if "why" in one:
            typer.echo(f"{one['name']}: {one['why']}")


def _tickets(client: Client) -> Iterator[dict[str, Any]]:
    """Page by page."""
    after: int | None = 0
    while after is not None:
        page = client.get("/privacy/tickets", {"after": after})
        yield from page["tickets"]
        after = page.get("next")


@privacy.command()
def replay(data: Data = None) -> None:
    """Do again, after a restore, what the log of erasures has and the database hasn't, and finish what was
    interrupted.

    The server must not be running. `kompass serve` does the same before it serves anybody.
    """
    from kompass.privacy.journal import JournalError
    from replication.store.sqlite import DirectoryInUseError

    act_here()
    directory = read_settings(data=data).directory
    check_no_copies(directory, "`kompass index` does it when it begins to lead.")
    try:
        count = asyncio.run(_replay(directory))
    except (JournalError, DirectoryInUseError) as error:
        raise UsableError(str(error)) from None
    typer.echo(f"{count} {'erasure' if count == 1 else 'erasures'} done again")


async def _replay(directory: Path) -> int:
    from kompass.privacy.accounts import Accounts
    from kompass.privacy.journal import FILE, Journal
    from kompass.privacy.service import Privacy
    from kompass.sync.opening import DATABASE, chain_of, extensions, feed_index, open_gate
    from kompass.texts import TextFile
    from replication.store.sqlite import SqliteStore

    index = feed_index()
    journal = Journal(TextFile(directory / FILE))
    store = await SqliteStore.open(
        directory, extensions=extensions(index, audit=chain_of(directory), journal=journal)
    )
    try:
        if DATABASE not in await store.names():
            raise UsableError(f"{directory} has no database {DATABASE}; name the server's with --data.")
        gate = await open_gate(store, index)
        privacy = Privacy(gate, Accounts(store))
        if not await privacy.resume():
            raise UsableError("an erasure could not be finished: the log above tells why.")
        return len(await privacy.replay(journal))
    finally:
        await store.close()
