"""The directory of a server that a command looks into."""

from __future__ import annotations

from pathlib import Path

from kompass.cli.errors import UsableError, read_settings
from kompass.settings import Settings


def settings_there(data: Path | None) -> Settings:
    """Settings of a directory that is there. Raises `UsableError`."""
    return check_there(read_settings(data=data))


def check_there(settings: Settings) -> Settings:
    """Those whose directory is there. Raises `UsableError`."""
    if not settings.directory.is_dir():
        raise UsableError(f"{settings.directory} is not a directory; name the server's with --data.")
    _check_finished(settings.directory)
    return settings


def own_directory(data: Path | None, instead: str) -> Settings:
    """Settings of a directory that is there and has no copies of a cluster, for what changes it. `instead`:
    what to do for a cluster. Raises `UsableError`.
    """
    settings = settings_there(data)
    check_no_copies(settings.directory, instead)
    return settings


def check_no_copies(directory: Path, instead: str) -> None:
    """Raises `UsableError` for a directory of copies."""
    from replication.store.sqlite.lock import DirectoryHasCopiesError
    from replication.store.sqlite.lock import check_no_copies as check

    try:
        check(directory)
    except DirectoryHasCopiesError as error:
        raise UsableError(f"{error} {instead}") from None


def database_file(directory: Path) -> Path:
    """The file of the documents. Raises `UsableError` if there is none."""
    from kompass.sync.opening import DATABASE

    _check_finished(directory)
    file = directory / f"{DATABASE}.sqlite"
    if not file.is_file():
        raise UsableError(f"{directory} has no database {DATABASE}; name the server's directory with --data.")
    return file


def _check_finished(directory: Path) -> None:
    """Raises `UsableError` for what is being restored."""
    from replication.store.sqlite.lock import DirectoryUnfinishedError, check_finished

    try:
        check_finished(directory)
    except DirectoryUnfinishedError as error:
        raise UsableError(str(error)) from None
