"""`kompass audit`: the chain of writes for auditors, as a table or with proofs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data
from kompass.cli.place import database_file
from kompass.cli.telling import tell_json

audit = typer.Typer(no_args_is_help=True, help="Hand out the chain of writes.")


class Form(StrEnum):
    CSV = "csv"
    JSON = "json"


@audit.command()
def export(
    data: Data = None,
    form: Annotated[
        Form, typer.Option("--format", help="A table, or everything with its proofs.")
    ] = Form.CSV,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory for the file.", show_default="standard output", file_okay=False),
    ] = None,
    first: Annotated[int, typer.Option("--from", min=1, help="The first entry.")] = 1,
    last: Annotated[int | None, typer.Option("--to", min=1, help="The last one.")] = None,
    values: Annotated[bool, typer.Option(help="With values, or with the commitments to them alone.")] = True,
) -> None:
    """Export the chain from a server's directory, while the server runs or not.

    Whoever can read the directory can read everything in it. For what a person may read ask the server:
    GET /api/v1/audit/export.
    """
    from kompass.audit.inspecting import opened, public_keys
    from kompass.audit.proving import proof
    from kompass.audit.signing import KeysError
    from kompass.audit.table import table

    directory = read_settings(data=data).directory
    file = database_file(directory)
    try:
        public = public_keys(directory)
    except KeysError as error:
        raise UsableError(str(error)) from None
    with opened(file) as connection:
        if form is Form.JSON:
            pieces = proof(connection, public, first=first, last=last, values=values)
        else:
            pieces = (
                line.encode("utf-8") for line in table(connection, first=first, last=last, values=values)
            )
        if output is None:
            stream = typer.get_binary_stream("stdout")
            for piece in pieces:
                stream.write(piece)
            return
        output.mkdir(parents=True, exist_ok=True)
        target = output / f"audit_export.{form.value}"
        draft = target.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        with draft.open("wb") as written:
            for piece in pieces:
                written.write(piece)
        draft.replace(target)
    typer.echo(str(target))


@audit.command()
def keys(data: Data = None) -> None:
    """Print the public keys that checkpoints are signed with, to be kept elsewhere."""
    from kompass.audit.inspecting import public_keys
    from kompass.audit.signing import KeysError

    directory = read_settings(data=data).directory
    database_file(directory)
    try:
        public = public_keys(directory)
    except KeysError as error:
        raise UsableError(str(error)) from None
    tell_json({"keys": [key.as_json() for key in public]})
