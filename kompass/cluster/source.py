"""A running cluster as a source of backups.

The process has copies of its own, like every other, which follow the journals. At a moment of all of them
they are brought to where each journal is then, and are left there while they are read: no writer waits, and
what has not changed since the last backup lies where it lay, so it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import apsw
import orjson

from kompass.backup import contents
from kompass.backup.directory import CopiedFile, SmallFile
from kompass.backup.errors import BackupError, InUseError
from kompass.backup.source import Progress, Snapshot, Source, silent
from kompass.cluster import schema
from kompass.cluster.catalogue import BaseDamagedError, PostgresCatalogue
from kompass.cluster.connections import Connections
from kompass.cluster.errors import ClusterSchemaError
from kompass.cluster.files import KEPT, play
from kompass.cluster.listening import Listener
from kompass.cluster.moment import Moment, moment
from kompass.sync.opening import extensions, feed_index
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import (
    CopyDivergedError,
    DirectoryInUseError,
    Entered,
    JournalGapError,
    TablesAheadError,
    shared,
)
from replication.store.sqlite.copies import FIRST_TABLES, Tables
from replication.store.sqlite.lock import lock_directory
from replication.store.sqlite.opened import known_tables
from replication.store.sqlite.store import file_name

NAME = "kompass backup"
_ATTEMPTS = 5
"""At a moment, before which a copy is brought near it."""

_AHEAD = "the cluster goes on to tables of a newer version of the program: back up with that one"
_OUT_OF_STEP = (CopyDivergedError, JournalGapError, apsw.CorruptError, apsw.NotADBError)
"""What a copy has that can't follow: another one takes its place."""


def place_of(name: str) -> str | None:
    """Where a directory has what the catalogue calls so; None for what no backup has."""
    if name.startswith(PostgresCatalogue.FILE):
        return KEPT.get(name)
    return file_name(name)


class ClusterSource(Source):
    """The cluster with this journal."""

    def __init__(self, journal_dsn: str, directory: Path) -> None:
        """`directory`: for the copies, and nobody else's. What it has is only a saving: it may be empty."""
        self._directory = directory
        self._connections = Connections(journal_dsn, NAME)
        self._catalogue = PostgresCatalogue(self._connections, Listener(self._connections))
        self._extensions = extensions(feed_index())
        """By database, for their tables."""

    @contextmanager
    def snapshot(self, progress: Progress = silent) -> Iterator[Snapshot]:
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True, parents=True)
            lock = lock_directory(self._directory)
        except DirectoryInUseError as error:
            raise InUseError(
                f"{error} The copies that a backup reads need a directory of their own: name it with --data."
            ) from None
        except OSError as error:
            raise BackupError(f"{self._directory}: {error.strerror or error}") from error
        with lock:
            try:
                self._check_own()
                with self._connections.use() as connection:
                    schema.check(connection)
                yield self._taken(progress)
            except ClusterSchemaError as error:
                raise BackupError(str(error)) from None
            except ProtocolError as error:
                raise BackupError(error.reason) from None
            except OSError as error:
                raise BackupError(
                    f"{error.filename or self._directory}: {error.strerror or error}"
                ) from error
            finally:
                self._connections.close()

    def _tables(self, name: str) -> Tables:
        """What this program knows of a copy's tables, by its name in the catalogue."""
        if name.startswith(PostgresCatalogue.FILE):
            return FIRST_TABLES
        return known_tables(schema.VERSION, self._extensions.get(name))

    def _check_own(self) -> None:
        """What isn't a copy of the cluster's would be lost."""
        if (self._directory / contents.SERVER).exists():
            raise BackupError(
                f"{self._directory} is the directory of a server, or of a process of the cluster: name"
                " another one with --data, for the copies that a backup reads"
            )

    def _taken(self, progress: Progress) -> Snapshot:
        for _ in range(_ATTEMPTS):
            self._follow(self._known(), progress)
            with moment(self._connections) as now:
                taken = datetime.now(UTC)
                places = {name: place for name in now.entered if (place := place_of(name)) is not None}
                if self._brought(now, places):
                    break
        else:
            raise BackupError("the copies couldn't follow the journals, which were begun anew: try again")
        self._drop_others(places.values())
        small = [SmallFile(name, now.texts[name]) for name in contents.SMALL if name in now.texts]
        files = [CopiedFile(place, self._directory / place) for place in sorted(places.values())]
        return Snapshot(taken, _uuid(now.texts), 0.0, [*files, *small])

    def _known(self) -> dict[str, Entered]:
        return {**self._catalogue.databases(), **self._catalogue.files()}

    def _follow(self, entered: Mapping[str, Entered], progress: Progress) -> None:
        """Fetches what is missing, and plays what has come since the last backup."""
        for number, (name, one) in enumerate(entered.items()):
            progress("following the journals", number, len(entered))
            place = place_of(name)
            if place is None:
                continue
            path = self._directory / place
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                if not shared.follows(path, one):
                    shared.remove_copy(path)
                    shared.enter(path, self._catalogue.fetch(name, path))
                play(path, self._catalogue.journal(name).since, self._tables(name))
            except TablesAheadError:
                raise BackupError(_AHEAD) from None
            except _OUT_OF_STEP:
                shared.remove_copy(path)  # another one is fetched at the next attempt
            except apsw.FullError:
                raise BackupError(f"there is no room in {self._directory}") from None
            except BaseDamagedError as error:
                raise BackupError(f"{error}: it is saved anew by the leader, or by a move") from None
        progress("following the journals", len(entered), len(entered))

    def _brought(self, now: Moment, places: Mapping[str, str]) -> bool:
        """Brings the copies to a moment; False if one isn't near it, for it is new or its journal is."""
        for name, place in places.items():
            path = self._directory / place
            if not shared.follows(path, now.entered[name]):
                return False
            try:
                play(path, now.since[name], self._tables(name))
            except TablesAheadError:
                raise BackupError(_AHEAD) from None
            except _OUT_OF_STEP:
                shared.remove_copy(path)
                return False
        return True

    def _drop_others(self, places: Iterable[str]) -> None:
        """Copies of databases that are gone."""
        wanted = {self._directory / place for place in places}
        for path in contents.databases(self._directory):
            if path not in wanted:
                shared.remove_copy(path)


def _uuid(texts: Mapping[str, bytes]) -> str:
    try:
        return str(orjson.loads(texts[contents.SERVER])["uuid"])
    except (KeyError, ValueError, TypeError):
        raise BackupError("the cluster has no name yet: `kompass index` gives it one") from None
