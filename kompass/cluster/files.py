"""Files of what runs beside the servers of a cluster, as copies that follow journals in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from pathlib import Path

import apsw

from kompass import kept
from kompass.cluster.catalogue import PostgresCatalogue
from kompass.cluster.connections import Connections
from kompass.cluster.listening import Listener
from kompass.shared_files import SharedFiles
from replication.protocol.errors import ProtocolError
from replication.store.sqlite import Entry, Journal, copies, shared
from replication.store.sqlite.schema import configure

KEPT = {f"{PostgresCatalogue.FILE}{Path(place).name}": place for place in kept.FILES}
"""Those that are kept and moved: the name in the catalogue, and in a directory. The rest is made anew."""


@cache
def files_of(journal_dsn: str) -> SharedFiles:
    """Those of the cluster with this journal; connects to nothing."""
    connections = Connections(journal_dsn, "kompass files")
    listener = Listener(connections)
    return ClusterFiles(PostgresCatalogue(connections, listener), listener)


class ClusterFiles(SharedFiles):
    """Those of a catalogue that aren't databases."""

    def __init__(self, catalogue: PostgresCatalogue, listener: Listener | None = None) -> None:
        """`listener`: one that ends with them."""
        self._catalogue = catalogue
        self._listener = listener

    def close(self) -> None:
        """Nothing is heard any more of what others write to them."""
        if self._listener is not None:
            self._listener.close()

    def journal(self, path: Path, make: Callable[[Path], None]) -> Journal:
        name = f"{PostgresCatalogue.FILE}{path.name}"
        if name not in self._catalogue.files():
            self._add(name, path, make)
        entered = self._catalogue.files()[name]
        if not shared.follows(path, entered):
            shared.remove_copy(path)
            shared.enter(path, self._catalogue.fetch(name, path))
        return self._catalogue.journal(name)

    def save(self, name: str, num: int, file: Path) -> None:
        self._catalogue.add_base(f"{PostgresCatalogue.FILE}{name}", num, file)

    def _add(self, name: str, path: Path, make: Callable[[Path], None]) -> None:
        draft = path.with_name(f"{path.name}.draft")
        shared.remove_copy(draft)
        make(draft)
        copies.begin(draft)
        try:
            self._catalogue.add(name, draft)
        except ProtocolError as error:
            if error.status != 412:  # another process has made it meanwhile
                raise
        finally:
            shared.remove_copy(draft)


def play(
    path: Path, since: Callable[[int, str], Iterable[Entry]], tables: copies.Tables = copies.FIRST_TABLES
) -> None:
    """Brings a copy that nobody has open as far as `since` goes; the file has all of it then. `tables`: what
    this program knows of them. Raises as `copies.play`.
    """
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        configure(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what a crash takes is in the journal
        copies.prepare(connection, tables)
        try:
            for _ in copies.play(connection, since, tables):
                pass
        finally:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
