"""`kompass datev`: bookings, debtors and creditors for a tax consultant, and whether a file is sound."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.fetching import archived, refuse_existing
from kompass.cli.options import HERE, Accountant, DryRun, Json, Password, Server
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.client import Client

LEFT_OUT = 3
"""Exit code: the files are there, without documents that can't be booked."""
UNSOUND = 2
"""Exit code of `validate`: the file isn't as the format is described."""
TOLD = 20

datev = typer.Typer(no_args_is_help=True, help="Files for DATEV (EXTF 700).")

Chart = Annotated[
    str | None, typer.Option(help="03 (SKR03) or 04 (SKR04).", show_default="that of books_file")
]
Output = Annotated[Path | None, typer.Option(help="Directory to make.", show_default="named by what it is")]


@datev.command()
def bookings(
    first: Annotated[str, typer.Option("--from", help="The first day, as 2026-11-01.")],
    last: Annotated[str, typer.Option("--to", help="The last day; a year at most.")],
    chart: Chart = None,
    final: Annotated[
        bool, typer.Option("--final", help="Festschreibung: nobody changes them after the import.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also what earlier batches have: for files that were lost.")
    ] = False,
    output: Output = None,
    dry_run: DryRun = False,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Write what is booked of a period: invoices, suppliers' invoices, expenses; a file for each month.

    The server remembers each batch: what one has isn't in the next. Exits with 3 if documents were left out
    because a person has to book or to correct them.
    """
    params: dict[str, str | int | bool] = {"from": first, "to": last}
    if chart is not None:
        params["chart"] = chart
    if final:
        params["final"] = "true"
    if again:
        params["again"] = "true"
    target = output or Path(f"datev_{first}_{last}")
    asked = asking(server, name, password)
    _fetched(asked, "POST", "/datev/bookings", params, target, dry_run=dry_run, as_json=as_json)


@datev.command()
def accounts(
    chart: Chart = None,
    output: Output = None,
    dry_run: DryRun = False,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Write customers and suppliers as debtors and creditors. Exits with 3 if some have no account."""
    params: dict[str, str | int | bool] = {} if chart is None else {"chart": chart}
    target = output or Path("datev_accounts")
    asked = asking(server, name, password)
    _fetched(asked, "GET", "/datev/accounts", params, target, dry_run=dry_run, as_json=as_json)


@datev.command()
def batches(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """List the batches of bookings that were taken out, the latest first."""
    with asking(server, name, password) as client:
        told = client.get("/datev/batches", {"limit": limit})
    if as_json:
        tell_json(told)
        return
    for one in told["batches"]:
        rows = sum(file["rows"] for file in one["files"])
        more = "".join(f", {word}" for word in ("final", "again") if one[word])
        typer.echo(
            f"{one['num']}: {one['from']} to {one['to']}, {rows} rows in {len(one['files'])} files{more};"
            f" {one['exported_at']} by {one['exported_by']}, {one['books']}"
        )


@datev.command()
def validate(
    file: Annotated[Path, typer.Argument(help="A file of bookings, or of debtors and creditors.")],
    as_json: Json = False,
) -> None:
    """Tell whether a file is as DATEV's format is described; asks no server. Exits with 2 if it isn't."""
    from kompass.accounting.datev.validating import MOST_ROWS, validate

    most = MOST_ROWS * 10_000
    try:
        if file.stat().st_size > most:
            raise UsableError(f"{file} has more bytes than a file for DATEV can have")
        found = validate(file.read_bytes())
    except OSError as error:
        raise UsableError(f"{file} can't be read: {error.strerror}") from None
    if as_json:
        tell_json(
            {
                "sound": not found,
                "problems": [
                    {
                        "line": one.line,
                        "field": one.column,
                        "value": one.value,
                        "rule": one.rule,
                        "reason": one.reason,
                    }
                    for one in found
                ],
            }
        )
    else:
        for one in found[:TOLD]:
            typer.echo(f"line {one.line}, {one.column}: {one.reason}: {one.value}", err=True)
        typer.echo(f"{len(found)} problems" if found else "sound")
    if found:
        raise typer.Exit(UNSOUND)


def _fetched(
    asked: AbstractContextManager[Client],
    method: str,
    path: str,
    params: dict[str, str | int | bool],
    target: Path,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    if not dry_run:
        refuse_existing(target)  # before the server remembers that it went out
    with asked as client:
        if dry_run:
            told = client.send(method, path, params={**params, "dry_run": "true"})
        else:
            with archived(client, path, params, "en", method=method, quiet=as_json) as archive:
                archive.write_all(target)
                told = archive.manifest
    _tell(told, None if dry_run else target, as_json=as_json)
    if told["left_out"]:
        raise typer.Exit(LEFT_OUT)


def _tell(told: dict[str, Any], target: Path | None, *, as_json: bool) -> None:
    if as_json:
        tell_json(told)
        return
    for one in told["problems"][:TOLD]:
        typer.echo(f"{one['type']} {one['number'] or one['document']}: {one['reason']}", err=True)
    rows = sum(one["rows"] for one in told["files"])
    left_out = f", {told['left_out']} left out" if told["left_out"] else ""
    waiting = f", {told['waiting']} not ready" if told["waiting"] else ""
    if told.get("booked_before"):
        waiting += f", {told['booked_before']} in earlier batches"
    where = "" if target is None else f" in {target}"
    typer.echo(f"{rows} rows in {len(told['files'])} files{left_out}{waiting}{where}")
