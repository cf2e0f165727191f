"""The tables of a generation, and how its file is opened.

Vectors lie in an ordinary table, and sqlite-vec works out how near they are. Its own tables (`vec0`) are a
little faster, but leave deleted vectors in their blocks, and what isn't read through channels beforehand.
"""

from __future__ import annotations

import importlib.util
import json
from hashlib import blake2b
from pathlib import Path

import apsw

from kompass.feed.sink import Checkpoint
from kompass.search.catalogue import FACETS

FILE = "vectors.sqlite"
BUSY_MILLISECONDS = 2000

FACET_COLUMNS = {facet: f"facet_{facet}" for facet in FACETS}

_TABLES = f"""
    CREATE TABLE IF NOT EXISTS checkpoint (
        one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT, since TEXT, position INTEGER);
    -- One for each document that was ever here. Of a deleted one there is no more than key and position.
    CREATE TABLE IF NOT EXISTS documents (
        num INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, position INTEGER NOT NULL, id TEXT, base TEXT,
        rev TEXT, about TEXT, allowed INTEGER, shown TEXT,
        {", ".join(f"{column} TEXT" for column in FACET_COLUMNS.values())});
    CREATE INDEX IF NOT EXISTS documents_about ON documents (about, allowed) WHERE about IS NOT NULL;
    CREATE TABLE IF NOT EXISTS channels (
        channel TEXT, document INTEGER, PRIMARY KEY (channel, document)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS channels_document ON channels (document);
    CREATE TABLE IF NOT EXISTS chunks (
        num INTEGER PRIMARY KEY, document INTEGER NOT NULL, vector BLOB NOT NULL, hash BLOB NOT NULL,
        place TEXT NOT NULL, source TEXT);
    CREATE TABLE IF NOT EXISTS attachments (
        document INTEGER, name TEXT, source TEXT NOT NULL, problem TEXT NOT NULL,
        PRIMARY KEY (document, name)) WITHOUT ROWID;
    DROP INDEX IF EXISTS attachments_source;
    CREATE INDEX IF NOT EXISTS attachments_read ON attachments (source, problem);
    CREATE INDEX IF NOT EXISTS chunks_source ON chunks (source) WHERE source IS NOT NULL;
    CREATE INDEX IF NOT EXISTS chunks_document ON chunks (document);
    CREATE INDEX IF NOT EXISTS chunks_hash ON chunks (hash);
"""


def version(embedder: str) -> str:
    """Of these tables and the vectors in them."""
    return "2" + blake2b(embedder.encode(), digest_size=8).hexdigest()


def opened(generation: Path, *, writing: bool = False) -> apsw.Connection:
    """Raises `apsw.Error`."""
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if writing else 0)
    connection = apsw.Connection(str(generation / FILE), flags=flags)
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.enable_load_extension(True)
        connection.load_extension(str(_extension()))
        connection.enable_load_extension(False)
        if writing:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("PRAGMA synchronous = normal")
            connection.execute("PRAGMA secure_delete = on")
            with connection:
                connection.execute(_TABLES)
        else:
            connection.execute("PRAGMA query_only = on")
    except BaseException:
        connection.close()
        raise
    return connection


def _extension() -> Path:
    """The package's library. Not imported: that brings numpy along, which a server needs when it is asked by
    meaning."""
    spec = importlib.util.find_spec("sqlite_vec")
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    for place in places:
        return Path(place) / "vec0"  # SQLite adds the ending of the system
    raise apsw.ExtensionLoadingError("sqlite-vec is not installed: pip install 'kompass[vectors]'")


def checkpoint_of(connection: apsw.Connection) -> Checkpoint | None:
    for epoch, since, position in connection.execute("SELECT epoch, since, position FROM checkpoint"):
        return Checkpoint(epoch, since, position)
    return None


def listed(values: object) -> str:
    """For `json_each`."""
    return json.dumps(values)


def unlisted(text: str) -> list[str]:
    return [str(one) for one in json.loads(text)]
