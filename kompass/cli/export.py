"""`kompass export`: documents as a CSV file by a profile, with the rights of whoever asks."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kompass.cli.asking import asking
from kompass.cli.errors import UsableError
from kompass.cli.options import HERE, Json, Password, Server
from kompass.cli.reading import Reading
from kompass.cli.telling import tell_json

if TYPE_CHECKING:
    from kompass.accounting.cells import Value
    from kompass.accounting.profiles import Profile
    from kompass.accounting.writing import Writer

LEFT_OUT = 3
"""Exit code: the file is there, without documents that don't fit."""
TOLD = 20
"""Problems that are told on the terminal; `--json` tells more."""


def export(
    profile: Annotated[str, typer.Argument(help="A profile, as lexware-contracts, or a type, as customer.")],
    output: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="the profile's name for it")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, only tell.")] = False,
    server: Server = HERE,
    name: Annotated[str | None, typer.Option("--user", envvar="KOMPASS_USER", help="Who asks.")] = None,
    password: Password = None,
    as_json: Json = False,
) -> None:
    """Write the documents that --user may read as a CSV file, with a manifest beside it.

    Exits with 3 if documents were left out because they don't fit.
    """
    wanted = _profile(profile)
    now = datetime.now(UTC)
    target = output or Path(wanted.file_name.format(name=wanted.name, time=f"{now:%Y%m%dT%H%M%SZ}"))
    manifest_file = target.with_name(f"{target.name}.manifest.json")
    if not dry_run and (target.exists() or manifest_file.exists()):
        raise UsableError(f"{target} or its manifest is there already: name another file with --output.")
    with asking(server, name, password) as client:
        told = _written(wanted, Reading(client), None if dry_run else target)
    told = {"profile": wanted.name, "file": target.name, "exported_at": f"{now:%Y-%m-%dT%H:%M:%SZ}", **told}
    if not dry_run:
        from kompass.files import replace_file

        manifest = {key: value for key, value in told.items() if key not in ("problems", "notes")}
        replace_file(manifest_file, json.dumps(manifest, indent=2).encode() + b"\n")
    _tell(told, target, dry_run=dry_run, as_json=as_json)
    if told["left_out"]:
        raise typer.Exit(LEFT_OUT)


def _profile(name: str) -> Profile:
    # Imported here: other commands don't need the models.
    from kompass.accounting.catalogue import profile, profiles

    try:
        found = profile(name)
    except KeyError:
        raise UsableError(f"There is no profile {name!r}. There are: {', '.join(profiles())}") from None
    if found.type is None or found.direction == "in":
        raise UsableError(f"{name} is no profile whose rows are documents, so none can be exported by it.")
    return found


def _written(profile: Profile, reading: Reading, target: Path | None) -> dict[str, Any]:
    """What the file has become; it is there whole or not at all."""
    from kompass.accounting.writing import Writer

    writer = Writer(profile)
    digest = hashlib.sha256()
    size = 0
    pieces = writer.pieces(_rows(profile, reading))
    if target is None:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
        return _told(writer, digest.hexdigest(), size)
    from kompass.files import PRIVATE, sync_directory

    draft = target.with_name(f".{target.name}.part")
    try:
        draft.unlink(missing_ok=True)  # of an export that was killed
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise UsableError(f"{target} can't be written: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return _told(writer, digest.hexdigest(), size)


def _rows(profile: Profile, reading: Reading) -> Iterator[list[Value]]:
    from kompass.accounting.sources import values

    assert profile.type is not None
    for page in reading.pages(profile.type, profile.where):
        rows = [values(profile, body, reading) for body in page]
        # Documents lead to others, and these to others again: each round asks for all that are new at once.
        while reading.fetch():
            rows = [values(profile, body, reading) for body in page]
        yield from rows


def _told(writer: Writer, digest: str, size: int) -> dict[str, Any]:
    return {
        "rows": writer.written,
        "left_out": writer.left_out,
        "changed": writer.changed,
        "sums": {heading: f"{number:f}" for heading, number in writer.sums.items()},
        "bytes": size,
        "sha256": digest,
        "problems": [_problem(one) for one in writer.problems],
        "notes": [_problem(one) for one in writer.notes],
    }


def _problem(problem: Any) -> dict[str, Any]:
    return {
        "row": problem.line,
        "column": problem.column,
        "value": problem.value,
        "rule": problem.rule,
        "reason": problem.reason,
    }


def _tell(told: dict[str, Any], target: Path, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        tell_json(told)
        return
    for one in [*told["problems"], *told["notes"]][:TOLD]:
        typer.echo(f"document {one['row']}, {one['column']}: {one['reason']}: {one['value']}", err=True)
    left_out = f", {told['left_out']} left out" if told["left_out"] else ""
    typer.echo(f"{told['rows']} rows{left_out}" + ("" if dry_run else f" in {target}"))
