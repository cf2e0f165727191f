"""`kompass init`: makes PostgreSQL and CouchDB ready for a cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.settings import Settings


def init(
    couchdb_admin: Annotated[
        str | None,
        typer.Option(
            envvar="KOMPASS_COUCHDB_ADMIN",
            metavar="NAME:PASSWORD",
            help="Login of an administrator of CouchDB; better in the variable than here.",
        ),
    ] = None,
    couchdb_admin_file: Annotated[
        typer.FileText | None,
        typer.Option(envvar="KOMPASS_COUCHDB_ADMIN_FILE", metavar="FILE", help="File with that login."),
    ] = None,
) -> None:
    """Make PostgreSQL and CouchDB ready for the processes of a cluster. May be run again at any time.

    PostgreSQL gets the tables of the journal. CouchDB gets the databases of documents, the service user of
    `couchdb_url`, and a validation function by which nobody else writes to them.
    """
    settings = read_settings()
    if couchdb_admin_file is not None:
        couchdb_admin = couchdb_admin_file.read().strip()
    try:
        _journal(settings)
        if settings.couchdb_url is not None:
            url = settings.couchdb_url.get_secret_value()
            asyncio.run(_couchdb(url, settings.couchdb_prefix, couchdb_admin))
    except ValueError as error:
        raise UsableError(str(error)) from error


def _journal(settings: Settings) -> None:
    from kompass.cluster.connections import Connections
    from kompass.cluster.errors import ClusterSchemaError
    from kompass.cluster.schema import is_raised, prepare
    from replication.protocol.errors import ProtocolError

    if settings.journal_dsn is None:
        raise UsableError("Name the PostgreSQL of the cluster with KOMPASS_JOURNAL_DSN.")
    connections = Connections(settings.journal_dsn.get_secret_value(), "kompass init")
    try:
        with connections.use() as connection:
            made = prepare(connection)
            earlier = not is_raised(connection)
    except (ClusterSchemaError, ProtocolError) as error:
        raise UsableError(str(error)) from error
    finally:
        connections.close()
    typer.echo(f"tables of the journal: {'made' if made else 'were there'}")
    if earlier:
        typer.echo("They are of an earlier version: start the new processes, then `kompass upgrade`.")


async def _couchdb(url: str, prefix: str, admin: str | None) -> None:
    from kompass.cluster.member import SHOWN
    from replication.protocol.errors import ProtocolError
    from replication.store.couchdb.endpoint import read_endpoint, read_login
    from replication.store.couchdb.setup import Plan, set_up

    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise UsableError("Name the service user in couchdb_url, as https://NAME:PASSWORD@HOST:6984.")
    if not admin:
        raise UsableError(
            "Give the login of an administrator of CouchDB, as NAME:PASSWORD in KOMPASS_COUCHDB_ADMIN or in"
            " the file that KOMPASS_COUCHDB_ADMIN_FILE names."
        )
    plan = Plan(unquote(parts.username), SHOWN, unquote(parts.password), prefix, own=())
    try:
        async for line in set_up(read_endpoint(url, read_login(admin)), plan):
            typer.echo(line)
    except ProtocolError as error:
        raise UsableError(f"CouchDB: {error.reason}") from error
