"""`kompass api`: one of several processes that devices and pages talk to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kompass.cli.errors import read_settings
from kompass.cli.starting import check_administrator, readable_errors
from kompass.settings import Settings


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.", show_default="8080")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Directory for this process's copies and nobody else's.")
    ] = None,
) -> None:
    """Serve the databases of a cluster until stopped, beside others behind a load balancer.

    Any of them answers anybody. `kompass index` has to run somewhere. SIGTERM: /readyz says no, live feeds
    end, requests in flight are answered, then it ends.
    """
    settings = read_settings(host=host, port=port, data=data, demo=False)
    check_administrator(settings)
    _run(settings)


def _run(settings: Settings) -> None:
    # Imported here: `kompass --help` needn't wait for the server.
    from kompass import log
    from kompass.cluster.api import Api
    from replication.server import run

    log.configure(settings.log_level, settings.log_format)
    with readable_errors(settings):
        process = Api(settings)
        run(
            process.made,
            settings.host,
            settings.port,
            ready=lambda url: typer.echo(f"KOMPASS serves at {url}"),
            stopping=process.drain,
            trusted_proxies=",".join(settings.trusted_proxies) or None,
            shutdown_seconds=Api.SHUTDOWN_SECONDS,
        )
    sys.exit(1 if process.is_lost else 0)
