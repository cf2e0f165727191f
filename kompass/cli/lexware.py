"""`kompass lexware`: files that go to Lexware and come from it, and what somebody has to look at."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.fetching import refuse_existing, write_pieces
from kompass.cli.options import HERE, Accountant, DryRun, Json, Password, Server
from kompass.cli.progress import Bar
from kompass.cli.telling import moment, tell_json

if TYPE_CHECKING:
    from kompass.client import Client
    from kompass.client.connection import Params

LOOK = 3
"""Exit code: it is done, and somebody has to look at something."""
TOLD = 20
"""Problems that are told on the terminal; `--json` tells more."""

lexware = typer.Typer(no_args_is_help=True, help="Contracts and customers out, payments and invoices in.")


class What(StrEnum):
    CONTRACTS = "contracts"
    CUSTOMERS = "customers"
    ALL = "all"


class Kind(StrEnum):
    PAYMENTS = "payments"
    INVOICES = "invoices"


@lexware.command()
def export(
    what: Annotated[What, typer.Argument(help="Which of them.")] = What.ALL,
    again: Annotated[int | None, typer.Option(help="A run whose rows go out again, as they are now.")] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A document; again, too.")] = None,
    output: Annotated[Path | None, typer.Option(help="Also write the file here.")] = None,
    dry_run: DryRun = False,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Make the files that are due and deliver them. Exits with 3 if something doesn't fit, or can't be
    delivered now.
    """
    if what is What.ALL and (again is not None or ids or output is not None):
        raise UsableError("say contracts or customers with --again, --id and --output")
    if output is not None:
        refuse_existing(output)
    kinds = [What.CUSTOMERS, What.CONTRACTS] if what is What.ALL else [what]
    made = []
    with asking(server, name, password) as client, Bar(quiet=as_json) as bar:
        for place, kind in enumerate(kinds):
            bar("export", place, len(kinds))
            wish: dict[str, Any] = {"kind": kind.value, "dryRun": dry_run}
            wish |= {"again": again} if again is not None else {}
            wish |= {"ids": ids} if ids else {}
            made.append(client.post("/lexware/exports", wish))
            bar("export", place + 1, len(kinds))
        run = made[-1]["run"]
        if output is not None and run is not None and run["rows"]:
            with client.stream(f"/lexware/exports/{run['num']}/file") as pieces:
                write_pieces(output, pieces)
    if as_json:
        tell_json(made)
    else:
        for kind, one in zip(kinds, made, strict=True):
            _tell_export(kind.value, one)
    stuck = any(one["run"] and one["run"]["state"] not in ("delivered", "nothing") for one in made)
    if stuck or any(one["leftOut"] for one in made):
        raise typer.Exit(LOOK)


def _tell_export(kind: str, one: dict[str, Any]) -> None:
    for problem in [*one["problems"], *one["notes"]][:TOLD]:
        typer.echo(f"{problem['id']} {problem['column']}: {problem['detail']}: {problem['value']}", err=True)
    run = one["run"]
    left_out = f", {one['leftOut']} left out" if one["leftOut"] else ""
    if run is None:
        typer.echo(f"{kind}: {one['rows']} rows would go out{left_out}")
    elif run["state"] == "nothing":
        typer.echo(f"{kind}: nothing is due{left_out}")
    elif run["state"] == "delivered":
        typer.echo(f"{kind}: {one['rows']} rows{left_out} in {run['file']} ({run['target']})")
    else:
        typer.echo(f"{kind}: {run['file']} can't be delivered yet: {run['error']}")


@lexware.command("import")
def take(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files; none: those in the server's folder.")
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="What they are.", show_default="by their headings")
    ] = None,
    dry_run: DryRun = False,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Take files of payments and invoices; a bad row stops no other. Exits with 3 if rows have to be looked
    at or a file of the folder isn't taken, with 1 if a file was refused.
    """
    if not files and (dry_run or kind is not None):
        raise UsableError("--dry-run and --kind are for files that are named")
    reports: list[dict[str, Any]] = []
    left = False
    with asking(server, name, password) as client, Bar(quiet=as_json) as bar:
        if not files:
            found = client.post("/lexware/imports/poll")
            reports, left = found["reports"], bool(found["skipped"])
            for one in found["skipped"]:
                typer.echo(f"{one['name']}: not taken: {one['detail']}", err=True)
            for waiting in found["waiting"]:
                typer.echo(f"{waiting}: may still grow", err=True)
        for place, file in enumerate(files or ()):
            bar("files", place, len(files or ()))
            params: dict[str, str | int | bool] = {"name": file.name[:200], "dryRun": str(dry_run).lower()}
            params |= {} if kind is None else {"kind": kind.value}
            reports.append(_sent(client, file, params))
            bar("files", place + 1, len(files or ()))
    if as_json:
        tell_json(reports)
    else:
        for report in reports:
            _tell_report(report)
    if any(report["state"] == "refused" for report in reports):
        raise typer.Exit(1)
    if left or any(report["wrong"] for report in reports):
        raise typer.Exit(LOOK)


def _sent(client: Client, file: Path, params: Params) -> dict[str, Any]:
    """Its report; one that is refused keeps no other from being sent."""
    from kompass.client import ProblemError

    try:
        report: dict[str, Any] = client.upload(
            "POST", "/lexware/imports", _content(file), "text/csv", params=params
        )
    except ProblemError as error:
        refused = error.members.get("report")
        if not isinstance(refused, dict):
            raise
        return refused
    return report


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsableError(f"{file} can't be read: {error.strerror}") from None


def _tell_report(report: dict[str, Any]) -> None:
    for one in report["problems"][:TOLD]:
        line = f"line {one['line']}, " if one["line"] else ""
        typer.echo(f"{report['name']}: {line}{one['column']}: {one['detail']}: {one['value']}", err=True)
    if report["detail"]:
        typer.echo(f"{report['name']}: {report['detail']}")
        return
    outcomes = ", ".join(f"{count} {name}" for name, count in report["outcomes"].items())
    typer.echo(f"{report['name']}: {report['rows']} rows of {report['kind']}: {outcomes or 'none'}")


@lexware.command()
def status(
    server: Server = HERE, name: Accountant = None, password: Password = None, as_json: Json = False
) -> None:
    """How the exchange is. Exits with 3 if somebody has to look at something."""
    with asking(server, name, password) as client:
        told = client.get("/lexware/status")
    if as_json:
        tell_json(told)
    else:
        print_status(told)
    if told["alerts"] or told["undelivered"]:
        raise typer.Exit(LOOK)


def print_status(told: dict[str, Any]) -> None:
    """A few lines."""
    last, came = told["export"], told["imported"]
    if last is not None:
        typer.echo(f"lexware: {last['kind']} went out {moment(last['at'])}: {last['rows']} rows")
    if came is not None:
        typer.echo(f"lexware: {came['name']} came {moment(came['at'])}: {came['state']}")
    if last is None and came is None:
        typer.echo("lexware: nothing was exchanged yet")
    if told["undelivered"]:
        typer.echo(f"lexware: {told['undelivered']} files can't be delivered: {told['why']}")
    if told["openErrors"]:
        typer.echo(f"lexware: {told['openErrors']} errors are open")
    for one in told["skipped"]:
        typer.echo(f"lexware: {one['name']} isn't taken: {one.get('detail') or one.get('why')}")
    for one in told["alerts"]:
        typer.echo(f"lexware: {one.get('detail') or one.get('said')} (since {moment(one['since'])})")


@lexware.command()
def errors(
    state: Annotated[str, typer.Option(help="open, resolved or all.")] = "open",
    entity: Annotated[str | None, typer.Option(help="contract, customer, invoice or payment.")] = None,
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """What didn't fit."""
    found: list[dict[str, Any]] = []
    params: dict[str, str | int | bool] = {"state": state, "limit": 200}
    params |= {} if entity is None else {"entity": entity}
    with asking(server, name, password) as client:
        while True:
            page = client.get("/lexware/errors", {**params, "after": found[-1]["id"] if found else 0})
            found += page["errors"]
            if page["next"] is None:
                break
    if as_json:
        tell_json(found)
        return
    for one in found:
        place = f"{one['source']}:{one['line']}" if one["line"] else one["source"]
        settled = f"  [{one['resolvedBy']}: {one['resolution']}]" if one["resolvedAt"] else ""
        typer.echo(
            f"{one['id']}  {one['entityType']} {one['errorType']}  {place}  {one['errorMessage']}{settled}"
        )
    if not found:
        typer.echo("there are none")


@lexware.command()
def resolve(
    error: Annotated[int, typer.Argument(help="Its number, as `kompass lexware errors` tells it.", min=1)],
    assign: Annotated[str | None, typer.Option(help="The invoice that the payment is for.")] = None,
    ignore: Annotated[bool, typer.Option("--ignore", help="Nothing is done; say why.")] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Once more: write an invoice, match a payment.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Settle an error."""
    if (assign is not None) + ignore + retry != 1:
        raise UsableError("say one of --assign NUMBER, --ignore and --retry")
    action = "ignore" if ignore else "retry" if retry else "assign"
    wish = {"action": action, "reason": reason, "invoice": assign or ""}
    with asking(server, name, password) as client:
        told = client.post(f"/lexware/errors/{error}/resolution", wish)
    if as_json:
        tell_json(told)
    else:
        typer.echo(f"{told['id']}: {told['resolution']}")


@lexware.command()
def reconcile(
    month: Annotated[str, typer.Argument(help="As 2026-10.")],
    server: Server = HERE,
    name: Accountant = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Compare a month in Lexware's lists, in the documents and in the read store. Exits with 3 if their sums
    differ by more than is tolerated.
    """
    with asking(server, name, password) as client:
        told = client.get("/lexware/reconciliation", {"month": month})
    if as_json:
        tell_json(told)
    else:
        for title, one in (("Lexware", "lexware"), ("documents", "documents"), ("read store", "readStore")):
            sums = told[one]
            text = f"{sums['invoices']} invoices, {sums['gross']} EUR" if sums else told["detail"]
            typer.echo(f"{title:<11} {text}")
        for each in told["differences"][:TOLD]:
            typer.echo(
                f"{each['number']}: {each['what']}: Lexware {each['lexware']}, here {each['documents']}"
            )
        typer.echo("they agree" if told["agrees"] else f"they differ by more than {told['tolerance']} EUR")
    if not told["agrees"]:
        raise typer.Exit(LOOK)
