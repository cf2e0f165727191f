"""`kompass serve`: the product as a process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.place import check_no_copies
from kompass.cli.starting import check_administrator, readable_errors
from kompass.settings import Settings
from kompass.settings_values import DemoSize

_INSTEAD = "It is served by `kompass api` and `kompass index`."


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default="8080")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Directory for everything the server keeps.", show_default="data, or data/demo"),
    ] = None,
    demo: Annotated[
        bool | None,
        typer.Option("--demo/--no-demo", help="Serve generated data to demo users, on loopback only."),
    ] = None,
    demo_size: Annotated[
        DemoSize | None, typer.Option(help="50, 500 or 5,000 customers.", show_default="small")
    ] = None,
) -> None:
    """Serve the product until stopped. Everything not given here comes from KOMPASS_… or kompass.toml."""
    settings = read_settings(host=host, port=port, data=data, demo=demo, demo_size=demo_size)
    if settings.journal_dsn is not None:
        # Its jobs would be the cluster's, and its documents wouldn't.
        raise UsableError(f"KOMPASS_JOURNAL_DSN names a cluster. {_INSTEAD}")
    check_no_copies(settings.directory, _INSTEAD)
    if not settings.demo:
        check_administrator(settings)
    _run(settings)


def _run(settings: Settings) -> None:
    # Imported here: `kompass --help` and `kompass doctor` needn't wait for the server.
    from starlette.types import ASGIApp

    from kompass import beside, log
    from kompass.business import BusinessRules
    from kompass.server import create_product
    from kompass.supervisor import Supervisor
    from kompass.sync.serving import Sync
    from replication.server import run

    log.configure(settings.log_level, settings.log_format)

    others = beside.found(settings)
    supervisor: Supervisor | None = None

    def ready(url: str) -> None:
        nonlocal supervisor
        supervisor = Supervisor(settings.directory, others.commands(url))
        supervisor.start()
        _welcome(url, settings)

    async def stopping() -> None:
        if supervisor is not None:
            await supervisor.stop()

    async def make_app() -> ASGIApp:
        sync = Sync(
            settings.directory,
            BusinessRules(),
            settings.series,
            anchor=settings.audit_anchor,
            disposable=settings.demo,
        )
        store = await sync.open_store()
        try:
            return await create_product(
                store, sync, settings, feed_secret=others.feed_secret, jobs_secret=others.jobs_secret
            )
        except BaseException:
            await sync.close()
            await store.close()
            raise

    with readable_errors(settings):
        run(
            make_app,
            settings.host,
            settings.port,
            ready=ready,
            stopping=stopping,
            trusted_proxies=",".join(settings.trusted_proxies) or None,
        )


def _welcome(url: str, settings: Settings) -> None:
    """What to open, and in a demo with which logins, on stdout."""
    from rich.console import Console
    from rich.table import Table

    from kompass.app import find_pouchdb
    from kompass.demo import PASSWORD, PEOPLE

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"KOMPASS serves [bold]{settings.directory}[/] at [bold]{url}[/]\n")
    console.print(f"  page       {url}app/")
    console.print(f"  database   {url}kompass   (CouchDB protocol)")
    console.print(f"  health     {url}healthz, {url}readyz\n")
    if settings.demo:
        table = Table("login", "name", "works in", box=None, padding=(0, 3, 0, 2), header_style="dim")
        for person in PEOPLE:
            table.add_row(person.login, person.name, person.department)
        console.print(table)
        console.print(f"\n  password for all: [bold]{PASSWORD}[/]\n")
    if find_pouchdb(settings.pouchdb_file) is None:
        console.print("  The page needs PouchDB, which is missing: ./scripts/run fetches it from npm,")
        console.print("  or name its pouchdb.min.js with KOMPASS_POUCHDB_FILE.\n")
    console.print("Stop with Ctrl+C.")
