"""Files that a server makes: fetched whole or not at all, with what the server says about them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kompass.cli.errors import UsableError
from kompass.cli.progress import Bar

if TYPE_CHECKING:
    from kompass.client import Client
    from kompass.client.connection import Params

MANIFEST = "manifest.json"
"""What the server says of the files, within the archive."""
_PIECE = 256 * 1024


class Archived:
    """A ZIP file of the server's."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.manifest: dict[str, Any] = json.loads(archive.read(MANIFEST))

    @property
    def names(self) -> list[str]:
        """Of its files, but for what is said about them."""
        return [name for name in self._archive.namelist() if name != MANIFEST]

    def write(self, name: str, target: Path, sha256: str | None) -> None:
        """One of the files. Raises `UsableError` if it isn't the one that the server made."""

        def pieces() -> Iterator[bytes]:
            digest = hashlib.sha256()
            with self._archive.open(name) as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    yield piece
            if sha256 is not None and digest.hexdigest() != sha256:
                raise UsableError(f"{name} isn't what the server says that it is: fetch it again")

        write_pieces(target, pieces())

    def write_all(self, target: Path) -> None:
        """All of it as a new directory, with what is said about the files. Raises `UsableError`."""
        known = {one["file"]: one["sha256"] for one in self.manifest["files"]}
        names = self._archive.namelist()
        wrong = [name for name in names if Path(name).name != name]
        if wrong or not known.keys() <= set(names):
            raise UsableError("the server's answer isn't an archive of files that it says it is")
        _new_directory(target, names, lambda name, file: self.write(name, file, known.get(name)))


@contextmanager
def archived(
    client: Client, path: str, params: Params, language: str, *, method: str = "GET", quiet: bool
) -> Iterator[Archived]:
    """What is answered, a ZIP file. Raises `UsableError` if it is none."""
    with ExitStack() as stack:
        with _room():
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the stack
            stack.callback(_let_go, file)
            said = {"accept-language": language}
            with client.stream(path, params, method=method, headers=said) as pieces, Bar(quiet=quiet) as bar:
                for piece in pieces:
                    file.write(piece)
                    bar("bytes received", file.tell(), None)
            file.flush()
        try:
            with zipfile.ZipFile(file) as archive:
                yield Archived(archive)
        except (zipfile.BadZipFile, zlib.error, json.JSONDecodeError, KeyError) as error:
            raise UsableError(f"the server's answer can't be read: {error}") from None


def _let_go(file: IO[bytes]) -> None:
    with suppress(OSError):  # what it still held, for a disk that is full
        file.close()


@contextmanager
def _room() -> Iterator[None]:
    """Raises `UsableError` if the answer can't be put aside here."""
    try:
        yield
    except OSError as error:
        where = tempfile.gettempdir()
        raise UsableError(f"the answer can't be put aside in {where} (TMPDIR): {error.strerror}") from None


def write_pieces(target: Path, pieces: Iterator[bytes]) -> None:
    """A new file of these: there whole or not at all. Raises `UsableError`."""
    from kompass.files import PRIVATE, sync_directory

    draft = target.with_name(f".{target.name}.part")
    try:
        draft.unlink(missing_ok=True)  # of an export that was killed
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
        sync_directory(target.parent)
    except OSError as error:
        raise UsableError(f"{target} can't be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            draft.unlink()


def _new_directory(target: Path, names: Sequence[str], write: Callable[[str, Path], None]) -> None:
    """A directory with these files: there whole or not at all. Raises `UsableError`."""
    from kompass.files import sync_directory

    refuse_existing(target)
    draft = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of an export that was killed
        draft.mkdir(mode=0o700)
        for name in names:
            write(name, draft / name)
        draft.rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise UsableError(f"{target} can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def refuse_existing(*targets: Path) -> None:
    """Files are never written over."""
    # A folder that nobody may look into has none; writing will tell.
    there = next((target for target in targets if os.path.lexists(target)), None)
    if there is not None:
        raise UsableError(f"{there} is there already: name another file with --output.")
