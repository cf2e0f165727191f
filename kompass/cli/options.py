"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None, typer.Option(help="The server's directory.", show_default="that of kompass serve")
]

User = Annotated[str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks.")]

Accountant = Annotated[
    str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks: BUCH or GF.")
]

Password = Annotated[
    str | None, typer.Option(envvar="KOMPASS_PASSWORD", help="His password; asked for if not given.")
]

Server = Annotated[str, typer.Option(envvar="KOMPASS_SERVER", help="Address of the running server.")]

HERE = "http://127.0.0.1:8080"
"""The default of `Server`."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing, only tell.")]

Json = Annotated[bool, typer.Option("--json", help="Tell the answer as JSON.")]

Followed = Annotated[
    str | None,
    typer.Option(
        "--server", help="Address of the server.", show_default="feed_server, or this machine at port"
    ),
]
"""The server that a process beside it works for."""

Child = Annotated[bool, typer.Option("--child", hidden=True)]
"""Whether that process was started by the server, and ends with it."""
