"""`kompass restore`: a server's directory from a backup."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.backup import KeyFile, To, secret_of, target_of, usable
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data
from kompass.cli.place import check_no_copies
from kompass.cli.progress import Bar
from kompass.cli.telling import moment

if TYPE_CHECKING:
    from kompass.backup.restoring import Restored


def restore(
    data: Data = None,
    repository: To = None,
    key_file: KeyFile = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="The latest backup up to a moment, as 2026-11-21 or 2026-11-21T18:00.",
            show_default="the latest",
        ),
    ] = None,
    number: Annotated[
        int | None, typer.Option("--backup", min=1, help="Or the one with this number.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="The directory has something in it: move that aside within it."),
    ] = False,
    survivors: Annotated[
        Path | None,
        typer.Option(
            help="What is left of the lost directory, with the logs of erasures and revocations.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    anchor: Annotated[
        Path | None, typer.Option(help="Checkpoints of the chain of writes that were kept elsewhere.")
    ] = None,
) -> None:
    """Restore a backup into an empty directory, on which no server runs."""
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.backup.repository import Repository
    from kompass.backup.restoring import chosen
    from kompass.backup.restoring import restore as run

    settings = read_settings(data=data)
    check_no_copies(settings.directory, "Restore into another one, and move that into an empty cluster.")
    if at is not None and number is not None:
        raise UsableError("name a moment or a number: --at or --backup")
    with usable(), Bar(quiet=False) as progress:
        there = Repository.open(target_of(settings, repository), secret_of(settings, key_file))
        manifest = chosen(there, _moment(at), number)
        restored = run(
            there, manifest, settings.directory, replace=replace, survivors=survivors, progress=progress
        )
    _tell(restored, settings.directory, anchor or settings.audit_anchor)


def _moment(text: str | None) -> datetime | None:
    """What somebody means by a time; a day means its end. Without a zone it is this machine's."""
    if text is None:
        return None
    try:
        whole = datetime.fromisoformat(text)
    except ValueError:
        raise UsableError(f"--at {text}: give a moment, as 2026-11-21 or 2026-11-21T18:00") from None
    if len(text) == len("2026-11-21"):
        whole = whole.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return whole.astimezone()


def _tell(restored: Restored, directory: Path, anchor: Path | None) -> None:
    manifest, returned = restored.manifest, restored.returned
    typer.echo(
        f"backup {manifest.number} of {moment(manifest.taken.timestamp())} is restored in {directory}:"
        f" {len(manifest.files)} files, {manifest.size:,} bytes"
    )
    if restored.aside is not None:
        typer.echo(f"what was there before lies in {restored.aside}")
    typer.echo(
        "every database begins a new epoch: devices compare what they have with the server's, and push"
        " what it lost. Everybody has to log in again."
    )
    for prefix, (first, last) in sorted(returned.reserved.items()):
        typer.echo(f"numbers {prefix} {first} to {last} were given after the backup: they aren't given again")
    typer.echo(f"the chain of writes ends at entry {returned.entries}")
    if returned.lost_entries:
        typer.echo(
            f"{returned.lost_entries} entries that came after it are lost; they lie with what was there"
        )
    if anchor is not None and anchor.is_file():
        _tell_cut(anchor, returned.entries)


def _tell_cut(anchor: Path, entries: int) -> None:
    from kompass.audit.inspecting import read_anchor
    from kompass.audit.signing import KeysError

    try:
        later = [entry for entry, _, _ in read_anchor(anchor) if entry > entries]
    except KeysError as error:
        raise UsableError(str(error)) from None
    if later:
        typer.echo(
            f"{anchor} has {len(later)} checkpoints of entries after that, up to {max(later)}: they are of"
            " the lost part. Keep the file as it is, and begin another one for what comes now."
        )
