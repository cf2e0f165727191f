"""`kompass verify-backup`: could a server be made of it?"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.backup import KeyFile, To, secret_of, target_of, usable
from kompass.cli.doctor import examined
from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Json
from kompass.cli.progress import Bar
from kompass.cli.telling import moment, tell_json

if TYPE_CHECKING:
    from kompass.backup.manifest import Manifest
    from kompass.backup.repository import Repository
    from kompass.backup.source import Progress

_EXPECTED = re.compile(r"([1-9][0-9]{0,7}):([0-9a-f]{64})")


def verify_backup(
    repository: To = None,
    key_file: KeyFile = None,
    expect: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="A backup that is known to be there.")
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--backup", min=1, help="Which one to open and look over.", show_default="the latest"),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(help="Where it is opened.", show_default="a temporary directory", exists=True),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify all backups: reads and authenticates everything, opens one, and looks it over with doctor
    and verify-audit. Ends with code 1 if something is wrong, or if it can't be verified.
    """
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.backup.repository import Repository
    from kompass.backup.verifying import verify

    settings = read_settings()
    match = _EXPECTED.fullmatch(expect) if expect is not None else None
    if expect is not None and match is None:
        raise UsableError(f"--expect {expect}: give NUMBER:HASH, with the 64 hex digits of the hash")
    with usable(), Bar(quiet=as_json) as progress:
        there = Repository.open(target_of(settings, repository), secret_of(settings, key_file))
        known = (int(match[1]), match[2]) if match is not None else None
        found = verify(there, expected=known, progress=progress)
        findings = list(found.findings)
        opened = [one for one in found.backups if number in (None, one.number)][-1:]
        if number is not None and not opened:
            findings.append(f"there is no backup {number} that could be opened")
        for one in opened:
            findings += _opened(there, one, work, progress)
    if not found.backups and not findings:
        findings.append("the repository has no backup")
    if as_json:
        tell_json(
            {
                "ok": not findings,
                "backups": [{"number": one.number, "taken": one.taken.isoformat()} for one in found.backups],
                "chunks": found.chunks,
                "latest": None if found.latest is None else f"{found.latest[0]}:{found.latest[1]}",
                "findings": findings,
            }
        )
    else:
        for finding in findings:
            typer.echo(finding)
        for one in found.backups:
            typer.echo(f"backup {one.number} of {moment(one.taken.timestamp())}, {one.size:,} bytes")
        if found.latest is not None:
            typer.echo(f"latest: {found.latest[0]}:{found.latest[1]}")
        typer.echo(
            f"{len(findings)} wrong"
            if findings
            else f"{found.chunks} chunks are as stored, and backup {opened[0].number} opens in order"
        )
    if findings:
        raise typer.Exit(1)


def _opened(
    repository: Repository, manifest: Manifest, work: Path | None, progress: Progress
) -> Iterator[str]:
    """What is wrong with a backup's files, once they are there."""
    from kompass.backup.verifying import unpack

    with tempfile.TemporaryDirectory(prefix="kompass-verify-", dir=work) as name:
        directory = Path(name)
        lacking = unpack(repository, manifest, directory, progress)
        yield from lacking
        if not lacking:
            yield from look_over(directory, progress)


def look_over(directory: Path, progress: Progress) -> Iterator[str]:
    """What doctor and verify-audit find in a directory that no server runs on."""
    from kompass.audit.inspecting import inspect, opened, public_keys
    from kompass.audit.signing import KeysError
    from kompass.sync.opening import DATABASE

    for what, _, _ in examined(read_settings(data=directory)):
        yield what
    file = directory / f"{DATABASE}.sqlite"
    if not file.is_file():
        return
    try:
        public = public_keys(directory)
    except KeysError as error:
        yield str(error)
        return
    with opened(file) as connection:
        for finding in inspect(connection, public, progress=progress).findings:
            yield str(finding)
