"""`kompass schemas`: the JSON Schemas of all documents, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer

from kompass.cli.errors import UsableError


def schemas(
    directory: Annotated[Path, typer.Argument(help="where to write them; it is made if it isn't there")],
) -> None:
    """Write a JSON Schema for each type of document, as TYPE.json."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        files = texts()
        for name, text in files.items():
            (directory / name).write_bytes(text)
    except OSError as error:
        raise UsableError(f"Can't write to {directory}: {error.strerror}") from None
    typer.echo(f"{len(files)} schemas in {directory}")


def texts() -> dict[str, bytes]:
    """File name -> the text of the schema."""
    from kompass.domain.schemas import schemas as all_schemas  # other commands don't need the models

    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return {
        f"{doctype}.json": orjson.dumps(schema, option=options) for doctype, schema in all_schemas().items()
    }
