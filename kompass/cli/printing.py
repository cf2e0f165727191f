"""`kompass print`: a document as PDF, with the rights of whoever asks."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.fetching import refuse_existing
from kompass.cli.options import HERE, Password, Server, User


class Kind(StrEnum):
    """What can be printed."""

    OFFER = "offer"
    CONTRACT = "contract"
    EXPENSE_SHEET = "expense-sheet"


_AT = {
    Kind.OFFER: "/offers/{id}/pdf",
    Kind.CONTRACT: "/contracts/{id}/pdf",
    Kind.EXPENSE_SHEET: "/tours/{id}/expense-sheet",
}


def print_document(
    kind: Annotated[Kind, typer.Argument(help="What it is.")],
    docid: Annotated[
        str, typer.Argument(metavar="ID", help="Of the document; of the tour for an expense sheet.")
    ],
    output: Annotated[Path, typer.Option(help="The file to write; - for standard output.")],
    server: Server = HERE,
    name: User = None,
    password: Password = None,
) -> None:
    """Write an offer, a contract or a tour's expense sheet as PDF."""
    on_terminal = str(output) == "-"
    if not on_terminal:
        refuse_existing(output)
    with (
        asking(server, name, password) as client,
        client.stream(_AT[kind].format(id=quote(docid, safe=""))) as pieces,
    ):
        pdf = b"".join(pieces)
    if not pdf.startswith(b"%PDF-"):
        raise UsableError(f"{server} doesn't answer with a PDF, as KOMPASS does")
    if on_terminal:
        sys.stdout.buffer.write(pdf)
        return
    from kompass.files import replace_file

    try:
        replace_file(output, pdf)
    except OSError as error:
        raise UsableError(f"{output} can't be written: {error.strerror}") from None
    typer.echo(f"{len(pdf)} bytes in {output}")
