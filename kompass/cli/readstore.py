"""`kompass readstore`: logins of people for tools that speak SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data

if TYPE_CHECKING:
    import psycopg

readstore = typer.Typer(no_args_is_help=True, help="Logins of people to the read store, for tools with SQL.")

_Person = Annotated[str, typer.Argument(help="User name of the person.")]


@readstore.command()
def login(person: _Person, data: Data = None) -> None:
    """Make somebody's login, or give it a new password; both are shown once.

    He sees there what he may read as documents. For a tool with the rights of a role, make a person for it.
    """
    from kompass.readstore import logins

    with _connected(data) as connection:
        made = logins.create(connection, person)
        info = connection.info
        typer.echo(f"host      {info.host}")
        typer.echo(f"port      {info.port}")
        typer.echo(f"database  {info.dbname}")
        typer.echo(f"user      {made.name}")
        typer.echo(f"password  {made.password}")


@readstore.command()
def logout(person: _Person, data: Data = None) -> None:
    """Take somebody's login away and end its sessions."""
    from kompass.readstore import logins

    with _connected(data) as connection:
        if not logins.remove(connection, person):
            raise UsableError(f"{person} has no login to the read store.")
    typer.echo(f"{person} has no login any more")


@readstore.command("logins")
def list_logins(data: Data = None) -> None:
    """Every login and its person, tab-separated."""
    from kompass.readstore import logins

    with _connected(data) as connection:
        for name, person in logins.listed(connection):
            typer.echo(f"{name}\t{person}")


@contextmanager
def _connected(data: Path | None) -> Iterator[psycopg.Connection[Any]]:
    """As the sink."""
    settings = read_settings(data=data)
    try:
        import psycopg
    except ModuleNotFoundError:
        raise UsableError(
            "the read store's libraries are missing: pip install 'kompass[readstore]'"
        ) from None
    from kompass.readstore.errors import ReadStoreError
    from kompass.readstore.place import Server, directory_of, embedded_dsn

    dsn = settings.readstore_dsn.get_secret_value() if settings.readstore_dsn else None
    dsn = dsn or embedded_dsn(directory_of(settings))
    if dsn is None:
        raise UsableError(
            f"no PostgreSQL runs for {settings.directory}: start the server, or name one by readstore_dsn."
        )
    try:
        with Server(dsn).connect() as connection:
            yield connection
    except ReadStoreError as error:
        raise UsableError(str(error)) from error
    except psycopg.errors.UndefinedTable:
        raise UsableError("the read store has not been made yet: let kompass feed run first.") from None
    except psycopg.Error as error:
        raise UsableError(f"the read store can't be asked: {str(error).splitlines()[0]}") from error
