"""`python -m replication serve`: the document server alone; `init` makes a CouchDB ready to be its store."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from starlette.types import ASGIApp

from replication.accounts.tokens import TokenSettings
from replication.http.app import create_app
from replication.http.config import LOCKOUT_THRESHOLD, ServerConfig
from replication.loopback import is_loopback
from replication.protocol.errors import ProtocolError
from replication.replicator.hosts import LOOPBACK
from replication.replicator.options import Basic, Endpoint, Session
from replication.server import CannotServeError, run, set_up_logging
from replication.store.couchdb.setup import OWN, Plan, set_up
from replication.store.sqlite import DirectoryInUseError
from replication.stores import ADMIN_VARIABLE, LOGIN_VARIABLE, endpoint_of, open_store

cli = typer.Typer(add_completion=False, no_args_is_help=True)


class LogLevel(StrEnum):
    """Names of Python's log levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LockoutMode(StrEnum):
    """Whether wrong passwords lock an account."""

    ON = "on"
    OFF = "off"


@cli.callback()
def main() -> None:
    """A document server that speaks the CouchDB protocol."""


def parse_admins(values: list[str]) -> dict[str, str]:
    """`NAME:PASSWORD` each; the password may be one of CouchDB's hashed ones."""
    admins: dict[str, str] = {}
    for value in values:
        name, colon, password = value.partition(":")
        if not colon or not name or not password or name.startswith("_"):
            raise typer.BadParameter("give NAME:PASSWORD; a name doesn't start with an underscore")
        admins[name] = password
    return admins


def parse_keys(values: list[str]) -> dict[str, str]:
    """`KIND:KID=KEY` each; with `@` before it, KEY is a file that holds it."""
    keys: dict[str, str] = {}
    for value in values:
        name, equals, key = value.partition("=")
        if not equals:
            raise typer.BadParameter("give KIND:KID=KEY or KIND:KID=@FILE", param_hint="--jwt-key")
        keys[name] = Path(key[1:]).read_text("utf-8") if key.startswith("@") else key
    return keys


Server = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="REPLICATION_STORE",
        help="CouchDB that has the databases; --data is then for what is kept here. Without a password:"
        f" {LOGIN_VARIABLE} has it, as NAME:PASSWORD, basic NAME:PASSWORD or bearer TOKEN.",
    ),
]
LoginFile = Annotated[
    Path | None,
    typer.Option("--store-login-file", metavar="FILE", help=f"File with the same as {LOGIN_VARIABLE}."),
]
Prefix = Annotated[
    str,
    typer.Option(
        "--store-prefix", envvar="REPLICATION_STORE_PREFIX", help="Names of databases begin with it there."
    ),
]


def parse_server(url: str, file: Path | None, variable: str) -> Endpoint:
    try:
        return endpoint_of(url, file, variable)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error), param_hint="--store") from error


@cli.command()
def serve(
    data: Annotated[Path, typer.Option(help="Directory of the databases; made if it isn't there.")],
    store: Server = None,
    store_login_file: LoginFile = None,
    store_prefix: Prefix = "",
    store_database: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A database there, if the service user may not list them; may be repeated."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 5984,
    admin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:PASSWORD",
            envvar="REPLICATION_ADMIN",
            help="A server administrator; may be repeated. Without any, everybody is one.",
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Origin that web pages may call from, or *; may be repeated."),
    ] = None,
    require_login: Annotated[bool, typer.Option(help="Refuse requests without a login.")] = False,
    same_site: Annotated[
        str, typer.Option(help="SameSite of the session cookie: strict, lax, none.")
    ] = "lax",
    session_timeout: Annotated[int, typer.Option(help="Seconds a login lasts while unused.", min=10)] = 600,
    lockout: Annotated[
        LockoutMode, typer.Option(help="Whether a name is locked for a while after several wrong passwords.")
    ] = LockoutMode.ON,
    certfile: Annotated[str | None, typer.Option(help="Certificate chain (PEM): serve https.")] = None,
    keyfile: Annotated[str | None, typer.Option(help="Key of the certificate (PEM).")] = None,
    trusted_proxies: Annotated[
        str | None,
        typer.Option(metavar="ADDRESSES", help="Proxies whose X-Forwarded headers count, with commas."),
    ] = None,
    replicate_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Name, address or network that replications run here may reach, beside this machine;"
            " may be repeated.",
        ),
    ] = None,
    replicate_through: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="HTTP proxy that replications run here may go through; may be repeated."
        ),
    ] = None,
    jwt_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:KID=KEY",
            envvar="REPLICATION_JWT_KEY",
            help="Key of JSON Web Tokens that are believed: hmac:KID with base64, rsa:KID or ec:KID with a"
            " public key (PEM); @FILE reads the key from a file. May be repeated.",
        ),
    ] = None,
    jwt_required_claims: Annotated[
        str,
        typer.Option(
            envvar="REPLICATION_JWT_REQUIRED_CLAIMS",
            help='What a token must have: exp, {iss, "https://issuer"}, {aud, "name"}.',
        ),
    ] = "exp",
    jwt_roles_claim_name: Annotated[
        str, typer.Option(envvar="REPLICATION_JWT_ROLES_CLAIM_NAME", help="Claim that holds the roles.")
    ] = "_couchdb.roles",
    jwt_roles_claim_path: Annotated[
        str | None,
        typer.Option(
            envvar="REPLICATION_JWT_ROLES_CLAIM_PATH", help="The same for a deeper one: realm_access.roles."
        ),
    ] = None,
    proxy_secret: Annotated[
        str,
        typer.Option(
            envvar="REPLICATION_PROXY_SECRET",
            help="Secret of a proxy that says in X-Auth-CouchDB headers who asks; it drops those of clients.",
        ),
    ] = "",
    log_level: Annotated[LogLevel, typer.Option(help="Requests are logged at info.")] = LogLevel.WARNING,
) -> None:
    """Serve the databases of a directory, or of a CouchDB, until stopped."""
    server = None if store is None else parse_server(store, store_login_file, LOGIN_VARIABLE)
    admins = parse_admins(admin or [])
    if not admins and not is_loopback(host):
        raise typer.BadParameter(
            f"without --admin everybody is an administrator, and {host} can be reached from elsewhere",
            param_hint="--host",
        )
    try:
        config = ServerConfig(
            admins=admins,
            cors_origins=tuple(cors or ()),
            require_valid_user=require_login,
            same_site=same_site,
            session_timeout=session_timeout,
            replication_hosts=(*LOOPBACK, *(replicate_to or ())),
            replication_proxies=tuple(replicate_through or ()),
            lockout_threshold=0 if lockout is LockoutMode.OFF else LOCKOUT_THRESHOLD,
            tokens=TokenSettings(
                parse_keys(jwt_key), jwt_required_claims, jwt_roles_claim_name, jwt_roles_claim_path
            )
            if jwt_key
            else None,
            proxy_secret=proxy_secret,
        )
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    set_up_logging(log_level.value)

    async def make_app() -> ASGIApp:
        databases = [*OWN, *store_database] if store_database else []
        opened = await open_store(data, server, prefix=store_prefix, databases=databases)
        return create_app(opened, config)

    try:
        run(
            make_app,
            host,
            port,
            ready=lambda url: typer.echo(f"Serving {data if server is None else server.url} on {url}"),
            certfile=certfile,
            keyfile=keyfile,
            trusted_proxies=trusted_proxies,
        )
    except (CannotServeError, DirectoryInUseError, ProtocolError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"Error: cannot use {data}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error


@cli.command()
def init(
    store: Annotated[str, typer.Option(metavar="URL", envvar="REPLICATION_STORE", help="The CouchDB.")],
    database: Annotated[
        list[str], typer.Option(metavar="NAME", help="A database that is to be there; may be repeated.")
    ],
    service: Annotated[
        str, typer.Option(metavar="NAME", help="The service user, unless the login says who he is.")
    ] = "",
    store_login_file: LoginFile = None,
    store_admin_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help=f"Login of an administrator there; or {ADMIN_VARIABLE} has it."),
    ] = None,
    store_prefix: Prefix = "",
    partitioned: Annotated[bool, typer.Option(help="Make partitioned databases.")] = False,
    index: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD,FIELD", help="A Mango index for each database; may be repeated."),
    ] = None,
) -> None:
    """Make a CouchDB ready for `serve --store`: databases, who gets in, and that nobody else writes.

    Needs an administrator's login; may be run again at any time.
    """
    login = parse_server(store, store_login_file, LOGIN_VARIABLE).credentials
    admin = parse_server(store, store_admin_file, ADMIN_VARIABLE)
    if admin.credentials is None:
        raise typer.BadParameter(f"give an administrator's login by {ADMIN_VARIABLE}", param_hint="--store")
    known = isinstance(login, Basic | Session)
    if not service and not known:
        raise typer.BadParameter(
            f"name the user, or give his login by {LOGIN_VARIABLE}", param_hint="--service"
        )
    plan = Plan(
        service=service or (login.name if isinstance(login, Basic | Session) else ""),
        databases=database,
        password=login.password if isinstance(login, Basic | Session) else None,
        prefix=store_prefix,
        partitioned=partitioned,
        indexes=[each.split(",") for each in index or []],
    )

    async def run_it() -> None:
        async for line in set_up(admin, plan):
            typer.echo(line)

    try:
        asyncio.run(run_it())
    except ProtocolError as error:
        typer.echo(f"Error: {error.reason}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    cli()
