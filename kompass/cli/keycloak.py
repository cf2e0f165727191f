"""`kompass keycloak`: a realm to start with, and users brought up to date by hand."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.errors import UsableError
from kompass.cli.options import Data
from kompass.cli.place import own_directory
from kompass.settings import Settings
from kompass.settings_files import content

if TYPE_CHECKING:
    from kompass.identity.sync import SyncOutcome

keycloak = typer.Typer(no_args_is_help=True, help="Work with Keycloak, where people log in.")

SERVICE_ACCOUNT = "service-account-"


@keycloak.command()
def realm(
    output: Annotated[Path, typer.Option(help="File to write.", dir_okay=False)],
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Where the page is served, as https://sales.example; may be repeated."
            " Without it: this machine, port 8080.",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo/--no-demo", help="With the demo's users, whose password is public.")
    ] = True,
    client_secret_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="File with the secret of the server's client, which is then in the realm."
            " Without it Keycloak makes one.",
        ),
    ] = None,
) -> None:
    """Write a realm for Keycloak to import: roles, clients, and the demo's users."""
    text = files("kompass.identity").joinpath("realm.json").read_text("utf-8")
    exported = json.loads(text)
    if not demo:
        exported["users"] = [
            user for user in exported["users"] if user["username"].startswith(SERVICE_ACCOUNT)
        ]
    if url:
        page = next(each for each in exported["clients"] if each.get("publicClient"))
        page["redirectUris"] = [f"{each.rstrip('/')}/app/*" for each in url]
    if client_secret_file is not None:
        server = next(each for each in exported["clients"] if each.get("serviceAccountsEnabled"))
        server["secret"] = _secret(client_secret_file)
    try:
        output.write_text(json.dumps(exported, indent=2, ensure_ascii=False) + "\n", "utf-8")
    except OSError as error:
        raise UsableError(f"cannot write {output}: {error.strerror or error}") from error
    typer.echo(f"{output}: realm {exported['realm']}. Import it, then set KOMPASS_KEYCLOAK_ISSUER.")


def _secret(file: Path) -> str:
    try:
        secret = content("--client-secret-file", file)
    except ValueError as error:
        raise UsableError(str(error)) from error
    if not secret:
        raise UsableError(f"--client-secret-file names {file}, which is empty")
    return secret


@keycloak.command()
def sync(data: Data = None) -> None:
    """Bring users and roles up to date once, while no server runs on the directory; a running one does it by
    itself."""
    settings = own_directory(data, "`kompass index` follows Keycloak's users by itself.")
    outcome = asyncio.run(_sync(settings))
    for why in outcome.passed_over:
        typer.echo(f"left out: {why}", err=True)
    for name in outcome.changed:
        typer.echo(f"changed: {name}")
    typer.echo(f"{outcome.users} users of Keycloak have a role here, {len(outcome.changed)} records changed")


async def _sync(settings: Settings) -> SyncOutcome:
    from kompass.identity.keycloak import KeycloakError
    from kompass.identity.records import Records
    from kompass.identity.setup import keycloak_directory
    from kompass.identity.sync import KeycloakSync
    from kompass.revocations.log import FILE, RevocationLog, RevocationLogError
    from kompass.revocations.watching import watching
    from kompass.sync.opening import DATABASE
    from kompass.texts import TextFile
    from replication.accounts.directory import Accounts
    from replication.protocol.errors import ProtocolError
    from replication.store.sqlite import DirectoryInUseError, SqliteStore

    try:
        directory = keycloak_directory(settings)
        if directory is None:
            raise UsableError(
                "set KOMPASS_KEYCLOAK_ISSUER and KOMPASS_KEYCLOAK_CLIENT_SECRET: who else is to be asked?"
            )
        revocations = RevocationLog(TextFile(settings.directory / FILE))
        store = await SqliteStore.open(settings.directory, extensions=watching(revocations, DATABASE))
    except DirectoryInUseError as error:
        raise UsableError(f"{error} A server that runs follows Keycloak by itself.") from error
    except KeycloakError as error:
        raise UsableError(str(error)) from error
    try:
        revocations.load()
        accounts = Accounts(store, admins={})
        await accounts.prepare()
        accounts.close()
        return await KeycloakSync(directory, Records(store)).list_all()
    except (KeycloakError, ProtocolError, RevocationLogError) as error:
        raise UsableError(str(error)) from error
    finally:
        await store.close()
