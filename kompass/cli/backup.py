"""`kompass backup`: copies what has to be kept, while the server runs or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kompass.cli.errors import UsableError, read_settings
from kompass.cli.options import Data, Json
from kompass.cli.place import check_there
from kompass.cli.progress import Bar
from kompass.cli.telling import moment, tell_json
from kompass.settings import Settings

if TYPE_CHECKING:
    from kompass.backup.source import Source
    from kompass.backup.target import Target

To = Annotated[
    str | None,
    typer.Option(
        "--repository",
        help="Where the backups are: a directory, or s3://BUCKET/PREFIX.",
        show_default="backup_repository",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(help="File with the secret that opens it.", show_default="backup_key_file", dir_okay=False),
]


def backup(
    data: Data = None,
    repository: To = None,
    key_file: KeyFile = None,
    keep_last: Annotated[int, typer.Option(min=0, help="Keep so many of the latest backups.")] = 0,
    keep_daily: Annotated[int, typer.Option(min=0, help="And the latest of so many days.")] = 0,
    keep_weekly: Annotated[int, typer.Option(min=0, help="And of so many weeks.")] = 0,
    keep_monthly: Annotated[int, typer.Option(min=0, help="And of so many months.")] = 0,
    full: Annotated[
        bool, typer.Option("--full", help="Store everything anew: what is there may be damaged.")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(help="Where copies lie meanwhile.", show_default="in the directory", file_okay=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Back up a server's directory, or the cluster with `journal_dsn`, while it runs or not. Stores what the
    repository hasn't got yet.

    Of a cluster, --data is a directory for copies that nobody else uses; what it keeps is saved the next
    time. Without --keep-… all backups are kept.
    """
    # Imported here: `kompass --help` needn't wait for it.
    from kompass.backup.making import make
    from kompass.backup.retention import Retention

    settings = read_settings(data=data)
    retention = Retention(keep_last, keep_daily, keep_weekly, keep_monthly)
    source = _source(settings, work)
    with usable(), Bar(quiet=as_json) as progress:
        made = make(
            source, target_of(settings, repository), secret_of(settings, key_file),
            retention=retention, full=full, progress=progress,
        )  # fmt: skip
    if as_json:
        tell_json(
            {
                "backup": made.manifest.number,
                "hash": made.hash,
                "taken": made.manifest.taken.isoformat(),
                "bytes": made.manifest.size,
                "new_bytes": made.new_bytes,
                "chunks": made.chunks,
                "new_chunks": made.new_chunks,
                "pause": made.manifest.pause,
                "seconds": made.seconds,
                "removed": list(made.removed),
                "warning": made.warning,
            }
        )
        return
    typer.echo(
        f"backup {made.manifest.number} of {moment(made.manifest.taken.timestamp())}:"
        f" {made.manifest.size:,} bytes, {made.new_bytes:,} new in the repository, in {made.seconds:.1f} s"
    )
    typer.echo(f"writers waited {1000 * made.manifest.pause:.1f} ms")
    if made.removed:
        typer.echo(f"removed: {', '.join(map(str, made.removed))}")
    typer.echo(f"latest: {made.manifest.number}:{made.hash}")
    if made.warning is not None:
        typer.echo(f"Warning: {made.warning}", err=True)


def _source(settings: Settings, work: Path | None) -> Source:
    """What is backed up. Raises `UsableError`."""
    if settings.journal_dsn is not None:
        from kompass.cluster.source import ClusterSource

        if work is not None:
            raise UsableError("--work is for a server's directory: of a cluster, --data has the copies")
        return ClusterSource(settings.journal_dsn.get_secret_value(), settings.directory)
    from kompass.backup.directory import DataDirectory

    return DataDirectory(check_there(settings).directory, work)


@contextmanager
def usable() -> Iterator[None]:
    """Errors of backups as errors of a person."""
    from kompass.backup.errors import BackupError

    try:
        yield
    except BackupError as error:
        raise UsableError(str(error)) from None


def target_of(settings: Settings, given: str | None) -> Target:
    """The repository's place. Raises `UsableError`."""
    from kompass.backup.target import DirectoryTarget

    place = given or settings.backup_repository
    if not place:
        raise UsableError("say where the backups are: --repository, or KOMPASS_BACKUP_REPOSITORY")
    if place.startswith("s3://"):
        return _s3(settings, place)
    if "://" in place:
        raise UsableError(f"{place}: give a directory, or s3://BUCKET/PREFIX")
    directory = Path(place)
    own, there = settings.directory.resolve(), directory.resolve()
    if there.is_relative_to(own) or own.is_relative_to(there):
        raise UsableError("the repository can't lie in the server's directory, nor that in the repository")
    return DirectoryTarget(directory)


def _s3(settings: Settings, place: str) -> Target:
    try:
        from kompass.backup.s3 import Access, S3Target
    except ImportError:
        raise UsableError("for s3:// install kompass[s3]") from None

    access_key, secret_key = settings.backup_s3_access_key, settings.backup_s3_secret_key
    access = Access(
        settings.backup_s3_endpoint or None,
        settings.backup_s3_region or None,
        access_key.get_secret_value() if access_key is not None else None,
        secret_key.get_secret_value() if secret_key is not None else None,
    )
    with usable():
        return S3Target(place, access)


def secret_of(settings: Settings, given: Path | None) -> bytes:
    """What opens the repository. Raises `UsableError`."""
    from kompass.backup.sealing import read_secret

    path = given or settings.backup_key_file
    if path is None:
        raise UsableError("name the file with the key: --key-file, or KOMPASS_BACKUP_KEY_FILE")
    try:
        return read_secret(path.read_bytes())
    except FileNotFoundError:
        raise UsableError(
            f"{path} isn't there. Make a key with `openssl rand -base64 32 > {path}`, and keep a copy"
            " elsewhere: without it nobody can read a backup"
        ) from None
    except OSError as error:
        raise UsableError(f"{path} can't be read: {error.strerror}") from None
