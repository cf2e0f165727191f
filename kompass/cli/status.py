"""`kompass status`: whether the server answers, and how far what follows it is."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from kompass.cli.errors import read_settings
from kompass.cli.feed import print_status, status_of
from kompass.cli.options import Data, Json


def status(
    data: Data = None,
    server: Annotated[
        str | None,
        typer.Option(envvar="KOMPASS_SERVER", help="Its address.", show_default="this machine, at port"),
    ] = None,
    json: Json = False,
) -> None:
    """Tell whether the server answers and how far search, reports and other copies are.

    Ends with code 0 if all is well, 3 if something is not.
    """
    from kompass.feed.registry import SINKS

    settings = read_settings(data=data)
    url = server or f"http://{settings.host}:{settings.port}"
    ready = _ready(url)
    feed = status_of(settings)
    if json:
        typer.echo(json_module.dumps({"server": url, **ready, "feed": feed}, indent=2, ensure_ascii=False))
    else:
        typer.echo(
            f"server {url}: {ready['status']}" + (f" ({ready['reason']})" if "reason" in ready else "")
        )
        for note in ready.get("notes", ()):
            typer.echo(f"  {note}")
        print_status(feed)
    late = any(one["state"] != "following" for one in feed["sinks"])
    if ready["status"] != "ready" or late or (not feed["running"] and SINKS.keys() - feed["absent"].keys()):
        raise typer.Exit(3)


def _ready(url: str) -> dict[str, Any]:
    import httpx

    try:
        answer = httpx.get(f"{url}/readyz", timeout=10)
        value = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return {"status": "not reached", "reason": str(error) or type(error).__name__}
    if not isinstance(value, dict) or "status" not in value:
        return {"status": "not ours", "reason": f"it answers {answer.status_code}"}
    return value
