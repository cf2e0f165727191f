"""`kompass privacy`: copies of personal data, erasures and tickets of a running server; replay after a
restore.
"""

from __future__ import annotations

import asyncio
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.acting import act_here
from kompass.cli.errors import UsableError, read_settings

if TYPE_CHECKING:
    import httpx

privacy = typer.Typer(no_args_is_help=True, help="Personal data: copies, erasures, tickets.")

_Subject = Annotated[str, typer.Argument(help="Id of a customer, contact, lead or user.")]
_Server = Annotated[str, typer.Option(envvar="KOMPASS_SERVER", help="Address of the running server.")]
_User = Annotated[str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks: GF.")]
_Password = Annotated[
    str | None, typer.Option(envvar="KOMPASS_PASSWORD", help="His password; asked for if not given.")
]
_HERE = "http://127.0.0.1:8080"


def _client(server: str, name: str | None, password: str | None) -> httpx.Client:
    import httpx

    if name is None:
        raise UsableError("say who asks: --user NAME, or KOMPASS_USER")
    if password is None:
        password = typer.prompt(f"Password of {name}", hide_input=True)
    return httpx.Client(base_url=f"{server}/api/v1/privacy", auth=(name, str(password)), timeout=600)


def _answer(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        told = response.json()
        detail = told.get("detail") or told.get("reason")
    except ValueError:
        detail = None
    raise UsableError(detail or f"the server answered {response.status_code}")


@privacy.command()
def export(
    subject: _Subject,
    output: Annotated[Path, typer.Option(help="Directory for the files; made, and empty.", file_okay=False)],
    server: _Server = _HERE,
    name: _User = None,
    password: _Password = None,
) -> None:
    """Write everything about SUBJECT, as JSON with attachments."""
    import httpx

    if output.exists() and any(output.iterdir()):
        raise UsableError(f"{output} has files in it: name an empty directory")
    output.mkdir(parents=True, exist_ok=True)
    archive = output / "export.zip"
    try:
        with (
            _client(server, name, password) as client,
            client.stream("GET", f"/subjects/{subject}/export") as answer,
        ):
            if not answer.is_success:
                answer.read()
                _answer(answer)
            with archive.open("wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)
    except httpx.HTTPError as error:
        raise UsableError(f"{server} can't be reached: {error}") from None
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(output)
        count = len(packed.namelist())
    archive.unlink()
    typer.echo(f"{count} files in {output}")


@privacy.command()
def erase(
    subject: _Subject,
    reason: Annotated[str, typer.Option(help="Why, in at least ten characters; it is kept.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    server: _Server = _HERE,
    name: _User = None,
    password: _Password = None,
) -> None:
    """Pseudonymise SUBJECT everywhere. This can't be undone."""
    import httpx

    try:
        with _client(server, name, password) as client:
            wish = {"reason": reason, "dryRun": dry_run}
            answer = _answer(client.post(f"/subjects/{subject}/erasure", json=wish))
    except httpx.HTTPError as error:
        raise UsableError(f"{server} can't be reached: {error}") from None
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))


@privacy.command()
def tickets(
    server: _Server = _HERE,
    name: _User = None,
    password: _Password = None,
) -> None:
    """List what devices and consumers have to remove, who has, and who hasn't yet."""
    import httpx

    try:
        with _client(server, name, password) as client:
            rows = _answer(client.get("/tickets"))["tickets"]
    except httpx.HTTPError as error:
        raise UsableError(f"{server} can't be reached: {error}") from None
    for one in rows:
        waiting = ", ".join(one["waitingFor"]) or "nobody"
        about = one.get("purpose") or one["kind"]
        typer.echo(f"{one['ticket']}  {one['at']}  {about}  {one['subject']}  waiting for: {waiting}")


@privacy.command()
def replay(
    data: Annotated[
        Path | None, typer.Option(help="The server's directory.", show_default="that of kompass serve")
    ] = None,
) -> None:
    """Do again, after a restore, what the log of erasures has and the database hasn't, and finish what was
    interrupted.

    The server must not be running. `kompass serve` does the same before it serves anybody.
    """
    from kompass.privacy.journal import JournalError
    from replication.store.sqlite import DirectoryInUseError

    act_here()
    directory = read_settings(data=data).directory
    try:
        count = asyncio.run(_replay(directory))
    except (JournalError, DirectoryInUseError) as error:
        raise UsableError(str(error)) from None
    typer.echo(f"{count} {'erasure' if count == 1 else 'erasures'} done again")


async def _replay(directory: Path) -> int:
    from kompass.privacy.accounts import Accounts
    from kompass.privacy.journal import Journal
    from kompass.privacy.service import Privacy
    from kompass.sync.opening import DATABASE, chain_of, extensions, feed_index, open_gate
    from replication.store.sqlite import SqliteStore

    index = feed_index()
    journal = Journal(directory)
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
