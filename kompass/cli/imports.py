"""`kompass import`: a table becomes documents, with the rights of whoever asks."""

from __future__ import annotations

import json
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.options import HERE, DryRun, Json, Password, Server, User
from kompass.cli.progress import Bar
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.client import Client

NOT_ALL = 3
"""Exit code: some rows were wrong in whole or in part, wait for a decision, or could not be undone."""
TOLD = 20
"""Problems that are told on the terminal; `--json` tells more."""
_MOST_TOLD = 1000
_LOOK_SECONDS = (0.2, 2.0)
"""How long is waited before the first look at how far an import is, and at most: looks count as requests."""


class Target(StrEnum):
    """What can be imported."""

    CUSTOMER = "customer"
    CONTACT = "contact"
    SUPPLIER = "supplier"
    MATERIAL = "material"
    OPPORTUNITY = "opportunity"


class Duplicates(StrEnum):
    SKIP = "skip"
    UPDATE = "update"
    ASK = "ask"


def import_table(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, .xlsx, .xls or .ods.", exists=True, dir_okay=False)
    ] = None,
    target: Annotated[Target | None, typer.Option("--type", help="What its rows are.")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help='JSON: {"columns": {heading: field or null}, "values": {field: text}}.',
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    duplicates: Annotated[
        Duplicates, typer.Option(help="What becomes of rows that are there already.")
    ] = Duplicates.SKIP,
    dry_run: DryRun = False,
    undo: Annotated[str | None, typer.Option(metavar="ID", help="Take back an import instead.")] = None,
    server: Server = HERE,
    name: User = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Make documents of the rows of FILE, or take an import back.

    Exits with 3 if rows were wrong, wait for a decision, or could not be undone. With --duplicates ask
    nothing is written as long as somebody has to decide: that is done over REST.
    """
    if undo is not None:
        if file is not None:
            raise UsableError("name a FILE to import or an import to --undo, not both")
        if dry_run:
            raise UsableError("there is no --dry-run of --undo: it would be undone")
        with asking(server, name, password) as client, Bar(quiet=as_json) as bar:
            client.post(f"/imports/{_id(undo)}/undo")
            _tell(client, _settled(client, undo, bar), as_json=as_json)
        return
    if file is None or target is None:
        raise UsableError("say what to import: kompass import FILE --type customer")
    said = _mapping(mapping)
    with asking(server, name, password) as client, Bar(quiet=as_json) as bar:
        params = {"type": target.value, "file": file.name}
        one = client.upload("POST", "/imports", file.read_bytes(), "application/octet-stream", params=params)
        docid = one["id"]
        if said is not None:
            one = client.send("PUT", f"/imports/{docid}/mapping", said)
        if not as_json:
            _tell_reading(one)
        told = one
        if dry_run or duplicates is Duplicates.ASK:
            client.post(f"/imports/{docid}/execute", {"dryRun": True, "duplicates": duplicates.value})
            told = _settled(client, docid, bar)
        if not dry_run and not told["reason"] and not told["counts"].get("undecided"):
            client.post(f"/imports/{docid}/execute", {"duplicates": duplicates.value})
            told = _settled(client, docid, bar)
        _tell(client, told, as_json=as_json)


def _id(docid: str) -> str:
    from urllib.parse import quote

    return quote(docid, safe="")


def _mapping(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsableError(f"{file} is no JSON in UTF-8: {error}") from None


def _settled(client: Client, docid: str, bar: Bar) -> Any:
    """What has come of it, when nothing is being done with it any more."""
    wait, longest = _LOOK_SECONDS
    while True:
        told = client.get(f"/imports/{_id(docid)}")
        bar(told["state"], told["done"], max(told["rows"], 1))
        if not told["state"].endswith("ing"):
            return told
        time.sleep(wait)
        wait = min(1.5 * wait, longest)


def _tell_reading(one: Any) -> None:
    for finding in one["findings"]:
        if finding["what"] in ("encoding", "delimiter") and finding["sure"] == "guessed":
            typer.echo(f"{finding['what']}: {finding['value']} is a guess: {finding['reason']}", err=True)
    for note in one["notes"]:
        typer.echo(f"the file: {note['reason']}", err=True)
    for column in one["columns"]:
        meaning = (
            f"{column['field']} ({column['how']}, {column['confidence']:.0%})" if column["field"] else "-"
        )
        typer.echo(f"{column['heading']}: {meaning}", err=True)
    for field in one["missing"]:
        typer.echo(f"no column for {field['field']} ({field['label']})", err=True)
    for same in one["sameFile"]:
        typer.echo(f"the same file was uploaded before: import {same['id']}, {same['state']}", err=True)


def _tell(client: Client, told: Any, *, as_json: bool) -> None:
    counts = told["counts"]
    bad = [kind for kind in ("wrong", "partly", "undecided", "kept") if counts.get(kind)]
    # Somebody else's rows are his.
    rows = [] if "columns" not in told else [row for kind in bad for row in _rows(client, told["id"], kind)]
    if as_json:
        tell_json({**told, "problems": rows})
    else:
        for row in rows[:TOLD]:
            for one in row["problems"] or row["notes"]:
                where = f"line {row['line']}" + (f", {one['column']}" if one["column"] else "")
                typer.echo(
                    f"{where}: {one['reason']}" + (f": {one['value']}" if one["value"] else ""), err=True
                )
        numbers = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "no rows"
        typer.echo(f"{told['state']}: {numbers} (import {told['id']})")
    if told["reason"]:
        raise UsableError(f"the import stopped: {told['reason']}")
    if bad:
        raise typer.Exit(NOT_ALL)


def _rows(client: Client, docid: str, kind: str) -> list[Any]:
    params: dict[str, str | int] = {"outcome": kind, "limit": _MOST_TOLD}
    found: list[Any] = client.get(f"/imports/{_id(docid)}/rows", params)["rows"]
    return found
