"""Making an export: pages of a list go through an encoder, a few at a time, and become a file."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import structlog

from kompass.accounting.profiles import Profile
from kompass.accounting.sources import Documents, values
from kompass.exports.encoding import Encoder, Told
from kompass.exports.formats import Format
from kompass.exports.reading import Named, pages
from kompass.exports.tables import Headings, rows_of, table
from kompass.exports.texts import Csv, Json
from kompass.resources.lists import Question
from kompass.sync.personal import PersonalDatabase
from replication.protocol import errors, jsontext
from replication.store.values import Document

AT_ONCE = 2
"""Exports that are worked on at the same moment; the others take turns with them, page by page."""
MOST_FILES = 8
"""Files that are whole before they are sent, and aren't sent yet: each of them takes room on the disk."""
ZONE = ZoneInfo("Europe/Berlin")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to have."""

    question: Question
    form: Format
    fields: tuple[str, ...] | None = None
    """Members of the documents; None for all."""
    german: bool = False
    """Whether headings and forms of days are German."""
    profile: Profile | None = None
    """The columns and the dialect of a CSV file for an accounting program, in place of `fields`."""

    def name(self, now: datetime) -> str:
        """What the file is called."""
        what = self.question.resource.type if self.profile is None else self.profile.name
        return file_name(what, self.form.value, now)


class BusyError(Exception):
    """Too many files are being made."""


def file_name(what: str, ending: str, now: datetime) -> str:
    """`customer_export_2026-11-30_0815.csv`, by the time in Germany."""
    return f"{what}_export_{now.astimezone(ZONE):%Y-%m-%d_%H%M}.{ending}"


class OneAtATime:
    """An encoder of which nothing is asked while it still works, also for somebody who stopped waiting."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()
        self._ends: Iterator[bytes] | None = None

    @property
    def told(self) -> Told:
        return self._encoder.told

    def add(self, documents: Sequence[Document]) -> bytes:
        with self._lock:
            return self._encoder.add(documents)

    def rest(self) -> bytes | None:
        """The next piece of the end; None behind it."""
        with self._lock:
            if self._ends is None:
                self._ends = self._encoder.end()
            return next(self._ends, None)

    def close(self) -> None:
        with self._lock:
            self._encoder.close()


class Exports:
    """Where exports are made. One for a process."""

    def __init__(self, directory: Path) -> None:
        """`directory`: for what is being made; emptied now."""
        self._directory = directory
        self._files = 0
        self.turn = asyncio.Semaphore(AT_ONCE)
        """To be held while something is encoded."""
        shutil.rmtree(directory, ignore_errors=True)  # left by a process that was killed

    @contextmanager
    def room(self) -> Iterator[None]:
        """What is written within needs room on the disk. Raises `insufficient_storage` if there is none."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            log.error("there is no room to make a file in", directory=str(self._directory))
            raise errors.insufficient_storage(
                "The server's disk is full: the file was not made, and nothing of it is left."
                " CSV, JSON and NDJSON need no room."
            ) from error

    def encoder(self, wish: Wish, documents: Documents) -> Encoder:
        """`documents`: those that others name. Raises `OSError` if nothing can be written here."""
        profile = wish.profile
        if profile is not None:
            return Csv(profile, lambda body: values(profile, body, documents), keeps_all=False)
        if wish.form in (Format.JSON, Format.NDJSON):
            return Json(wish.fields, lines=wish.form is Format.NDJSON)
        doctype = wish.question.resource.type
        if wish.form is Format.PARQUET:
            from kompass.exports.parquet import Parquet

            plain = table(doctype, wish.fields)
            return Parquet(plain, rows_of(plain), self.directory)
        if wish.form is Format.XLSX:
            from kompass.exports.spreadsheet import Spreadsheet

            shown = table(doctype, wish.fields, Headings.GERMAN if wish.german else Headings.ENGLISH)
            return Spreadsheet(shown, rows_of(shown), self.directory, german=wish.german)
        shown = table(doctype, wish.fields, Headings.GERMAN if wish.german else Headings.NAMES)
        return Csv(shown, rows_of(shown), keeps_all=True)

    @property
    def directory(self) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._directory

    async def pieces(
        self, view: PersonalDatabase, wish: Wish, told: list[Told]
    ) -> AsyncGenerator[bytes, None]:
        """The file's bytes. `told` gets what became of the documents, at the end. Raises
        `insufficient_storage`.
        """
        with self.room():
            async with aclosing(self._pieces(view, wish, told)) as pieces:
                async for piece in pieces:
                    yield piece

    async def _pieces(
        self, view: PersonalDatabase, wish: Wish, told: list[Told]
    ) -> AsyncGenerator[bytes, None]:
        named = Named(view)
        encoder = OneAtATime(await asyncio.to_thread(self.encoder, wish, named))
        try:
            async with aclosing(pages(view, wish.question)) as found:
                async for page in found:
                    async with self.turn:
                        if wish.profile is not None:
                            bodies = [jsontext.decode(document.text) for document in page]
                            await named.of(wish.profile, bodies)
                        piece = await asyncio.to_thread(encoder.add, page)
                    if piece:
                        yield piece
            while True:
                async with self.turn:
                    last = await asyncio.to_thread(encoder.rest)
                if last is None:
                    break
                if last:
                    yield last
            told.append(encoder.told)
        finally:
            # Whoever doesn't wait for it any more, as a client that has gone: it is closed all the same.
            await asyncio.shield(asyncio.to_thread(encoder.close))

    async def whole(self, view: PersonalDatabase, wish: Wish) -> Whole:
        """The file, made before anybody gets a byte of it. Raises `BusyError`, `insufficient_storage`."""
        if self._files >= MOST_FILES:
            raise BusyError
        self._files += 1
        file = None
        try:
            told: list[Told] = []
            digest, size = hashlib.sha256(), 0
            with self.room():
                file = await asyncio.to_thread(self._nameless)
                async with aclosing(self._pieces(view, wish, told)) as pieces:
                    async for piece in pieces:
                        digest.update(piece)
                        size += len(piece)
                        await asyncio.to_thread(file.write, piece)
                file.seek(0)
        except BaseException:
            self._closed(file)
            raise
        return Whole(file, size, digest.digest(), told[0], lambda: self._closed(file))

    def _nameless(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self.directory)

    def _closed(self, file: IO[bytes] | None) -> None:
        self._files -= 1
        if file is not None:
            with suppress(OSError):  # what it still held, for a disk that is full
                file.close()


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that is there; whoever takes it closes it, once."""

    file: IO[bytes]
    size: int
    digest: bytes
    """SHA-256."""
    told: Told
    close: Callable[[], None]

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            while piece := await asyncio.to_thread(self.file.read, 256 * 1024):
                yield piece
        finally:
            self.close()
