"""The root of the command line: version, subcommands, and errors as one readable line."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kompass import __version__
from kompass.cli.api import api
from kompass.cli.audit import audit
from kompass.cli.backup import backup
from kompass.cli.datev import datev
from kompass.cli.doctor import doctor
from kompass.cli.errors import UsableError
from kompass.cli.explain import explain
from kompass.cli.export import export
from kompass.cli.feed import feed
from kompass.cli.imports import import_table
from kompass.cli.index import index
from kompass.cli.init import init
from kompass.cli.jobs import jobs
from kompass.cli.keycloak import keycloak
from kompass.cli.lexware import lexware
from kompass.cli.migrate import migrate
from kompass.cli.numbers import numbers
from kompass.cli.printing import print_document
from kompass.cli.privacy import privacy
from kompass.cli.readstore import readstore
from kompass.cli.rebuild import rebuild
from kompass.cli.replicate import replicate
from kompass.cli.restore import restore
from kompass.cli.schemas import schemas
from kompass.cli.serve import serve
from kompass.cli.status import status
from kompass.cli.upgrade import upgrade
from kompass.cli.verify_audit import verify_audit
from kompass.cli.verify_backup import verify_backup
from kompass.cli.worker import worker

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command()(serve)
app.command()(api)
app.command()(index)
app.command()(doctor)
app.command()(replicate)
app.command()(explain)
app.command()(export)
app.command("import")(import_table)
app.command("print")(print_document)
app.command()(schemas)
app.command("verify-audit")(verify_audit)
app.command()(backup)
app.command()(restore)
app.command("verify-backup")(verify_backup)
app.command()(status)
app.command()(worker)
app.command()(init)
app.command()(upgrade)
app.add_typer(migrate, name="migrate")
app.add_typer(feed, name="feed")
app.add_typer(jobs, name="jobs")
app.add_typer(lexware, name="lexware")
app.add_typer(datev, name="datev")
app.add_typer(readstore, name="readstore")
app.add_typer(rebuild, name="rebuild")
app.add_typer(numbers, name="numbers")
app.add_typer(keycloak, name="keycloak")
app.add_typer(privacy, name="privacy")
app.add_typer(audit, name="audit")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kompass {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """An offline-first server for a field sales team."""


def main() -> None:
    """Runs the command line. What a person can put right ends with one line on stderr and code 1."""
    try:
        app(prog_name="kompass")
    except UsableError as error:
        typer.secho(f"Error: {error}", err=True, fg=typer.colors.RED)
        sys.exit(1)
