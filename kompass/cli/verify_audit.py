"""`kompass verify-audit`: was anything changed behind the chain's back?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data, Json, Password
from kompass.cli.place import check_no_copies, database_file
from kompass.cli.progress import Bar
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.audit.inspecting import Report

_EXPECTED = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")


def verify_audit(
    data: Data = None,
    start: Annotated[int, typer.Option("--from", min=1, help="Believe the entries before this one.")] = 1,
    expect: Annotated[
        list[str] | None,
        typer.Option(metavar="NUMBER:HASH", help="A hash that an entry is known to have; may be repeated."),
    ] = None,
    anchor: Annotated[
        Path | None, typer.Option(help="Checkpoints that were kept elsewhere.", dir_okay=False)
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Public keys that were kept elsewhere.",
            show_default="those of the directory",
            dir_okay=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="An export with proofs, instead of a directory.", dir_okay=False, exists=True),
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="A running server that verifies its own chain, instead of a directory.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks it: with GF, BUCH or ADMIN.")
    ] = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Verify the chain of writes, while the server runs or not. Ends with code 1 if something is wrong.

    Finds entries that were changed, removed, inserted, moved or cut off, and documents that were written past
    the chain; the first is named first.
    """
    from kompass.audit.inspecting import inspect, opened, public_keys, read_anchor
    from kompass.audit.signing import KeysError

    if (data is not None) + (file is not None) + (server is not None) > 1:
        raise UsableError("verify one at a time: --data, --file or --server")
    if file is not None:
        tell(_of_file(file, keys), as_json=as_json)
        return
    if server is not None:
        tell(_of_server(server, name, password, start), as_json=as_json)
        return
    directory = read_settings(data=data).directory
    stored = database_file(directory)
    if keys is None:
        check_no_copies(
            directory, "Its keys are the cluster's: ask an API process with --server, or give --keys."
        )
    try:
        public = public_keys(directory, keys)
        anchored = [] if anchor is None else read_anchor(anchor)
    except KeysError as error:
        raise UsableError(str(error)) from None
    with opened(stored) as connection, Bar(quiet=as_json) as progress:
        report = inspect(
            connection, public, start=start, expected=_expected(expect), anchored=anchored, progress=progress
        )
    tell(report, as_json=as_json, told=", and the documents agree with them")


def _of_file(file: Path, keys: Path | None) -> Report:
    from kompass.audit.inspecting import public_keys
    from kompass.audit.proving import ProofError, check
    from kompass.audit.signing import KeysError

    try:
        return check(file.read_bytes(), None if keys is None else public_keys(file.parent, keys))
    except (ProofError, KeysError, OSError) as error:
        raise UsableError(f"{file} can't be verified: {error}") from None


def _of_server(server: str, name: str | None, password: str | None, start: int) -> Report:
    from kompass.audit.inspecting import Report
    from kompass.audit.verifying import Finding

    with asking(server, name, password) as client:
        value = client.get("/audit/verification", {"from": start})
    findings = [Finding(one["entry"], None, one["what"]) for one in value["findings"]]
    return Report(findings, value["entries"], value["hash"], value["checkpoint"], complete=True)


def _expected(given: list[str] | None) -> dict[int, str]:
    found = {}
    for one in given or ():
        match = _EXPECTED.fullmatch(one)
        if match is None:
            raise UsableError(f"--expect {one}: give NUMBER:HASH, with the 64 hex digits of the hash")
        found[int(match[1])] = match[2]
    return found


def tell(report: Report, *, as_json: bool, told: str = "") -> None:
    """Prints what was found, and ends with code 1 if that is something."""
    if as_json:
        value = {
            "ok": not report.findings,
            "entries": report.entries,
            "hash": report.hash,
            "checkpoint": report.checkpoint,
            "complete": report.complete,
            "findings": [one._asdict() for one in report.findings],
        }
        tell_json(value)
    elif report.findings:
        for finding in report.findings[:20]:
            typer.echo(str(finding))
        count = len(report.findings)
        more = "" if report.complete else "at least "
        typer.echo(f"The chain is broken: {more}{count} {'finding' if count == 1 else 'findings'}")
    else:
        typer.echo(f"{report.entries} entries are as they were written{told}")
        typer.echo(f"latest: {report.entries}:{report.hash}")
        typer.echo(f"signed up to entry {report.checkpoint}")
    if report.findings:
        raise typer.Exit(1)
