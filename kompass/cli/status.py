"""`kompass status`: whether the server answers, and how far what follows it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli import feed as feed_cli
from kompass.cli import jobs as jobs_cli
from kompass.cli import lexware as lexware_cli
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data, Json
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.sync.gate.gate import Gate


def status(
    data: Data = None,
    server: Annotated[
        str | None,
        typer.Option(envvar="KOMPASS_SERVER", help="Its address.", show_default="this machine, at port"),
    ] = None,
    json: Json = False,
) -> None:
    """Tell whether the server answers, which processes run beside it, how far search, reports and other
    copies are, and whether jobs are done in time.

    Ends with code 0 if all is well, 3 if something is not.
    """
    from kompass.beside import why_no_jobs
    from kompass.feed.registry import SINKS
    from kompass.jobs.desk import LATE_SECONDS, JobsDesk
    from kompass.jobs.store import JobStoreError
    from kompass.lexware.exchange import Exchange
    from kompass.lexware.store import LexwareStoreError
    from kompass.readstore.embedded import postmaster
    from kompass.readstore.place import directory_of, embedded_dsn
    from kompass.sqlfile import shared_files
    from kompass.supervisor import processes

    settings = read_settings(data=data)
    url = server or f"http://{settings.host}:{settings.port}"
    ready = _ready(url)
    feed = feed_cli.status_of(settings)
    beside = processes(settings.directory)
    if "feed" in beside and embedded_dsn(directory_of(settings)) is not None:
        # The consumer starts it, and starts it again; it has its own guard.
        beside["postgres"] = {"pid": postmaster(directory_of(settings)), "restarts": 0}
    jobs_absent = why_no_jobs(settings)
    jobs_desk = JobsDesk(settings.directory, shared=shared_files(settings))
    try:
        jobs = jobs_desk.status()
    except JobStoreError as error:
        raise UsableError(str(error)) from error
    finally:
        jobs_desk.close()
    exchange = Exchange(settings, _no_gate)
    try:
        files = exchange.status()
    except LexwareStoreError as error:
        raise UsableError(str(error)) from error
    finally:
        exchange.close()
    if json:
        told = {
            "server": url, **ready, "processes": beside, "feed": feed, "jobs": jobs, "lexware": files,
        }  # fmt: skip
        tell_json(told)
    else:
        typer.echo(
            f"server {url}: {ready['status']}" + (f" ({ready['reason']})" if "reason" in ready else "")
        )
        for note in ready.get("notes", ()):
            typer.echo(f"  {note}")
        for name, one in beside.items():
            runs = f"runs (process {one['pid']})" if one["pid"] is not None else "does not run"
            again = f", started again {one['restarts']} times" if one["restarts"] else ""
            typer.echo(f"{name}: {runs}{again}")
        feed_cli.print_status(feed)
        if jobs_absent is None:
            jobs_cli.print_status(jobs)
        else:
            typer.echo(f"jobs: absent: {jobs_absent}")
        if files["export"] is not None or files["imported"] is not None:
            lexware_cli.print_status(files)
    late = any(one["state"] != "following" for one in feed["sinks"])
    late |= any(one["pid"] is None for one in beside.values())
    if jobs_absent is None:
        late |= jobs["state"] != "following" or jobs["late_seconds"] > LATE_SECONDS
    late |= bool(files["alerts"])
    if ready["status"] != "ready" or late or (not feed["running"] and SINKS.keys() - feed["absent"].keys()):
        raise typer.Exit(3)


def _no_gate() -> Gate:
    raise AssertionError("nothing is exchanged here")


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
