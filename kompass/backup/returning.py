"""What a data directory needs that comes back from a backup, before anybody may serve it.

- Every database begins a new epoch, and forgets the checkpoints of replications: devices that are ahead of
  the backup push what it lost, and read what they need (`replication.store.sqlite.restored`).
- The secret of session cookies is made anew. Whoever was logged in logs in again: a live push that is idle
  through a restore would otherwise never look at its checkpoint again, and a session that was ended after
  the backup would be good once more.
- What survived beside the backup is heeded: the logs of erasures and revocations, if they go on where the
  backup's end, and the highest numbers that were given.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import orjson

from kompass.audit.restored import announce
from kompass.backup import contents
from kompass.backup.errors import BackupError
from kompass.backup.manifest import Manifest
from kompass.business import numbers
from kompass.domain.stamps import timestamp
from kompass.files import replace_file
from kompass.privacy.journal import FILE as ERASURES
from kompass.sync.opening import DATABASE
from replication.store.sqlite import copies
from replication.store.sqlite.restored import come_back, drop_checkpoints

_FILE = f"{DATABASE}.sqlite"


@dataclass
class Survived:
    """What of the directory before is known. Everything is optional: it may be damaged, or gone."""

    logs: dict[str, bytes] = field(default_factory=dict)
    counters: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Prefix of numbers -> series, and the last one that was given."""
    entries: int = 0
    """Of the chain of writes."""


@dataclass(frozen=True)
class Returned:
    epochs: Mapping[str, int]
    """Database -> the last change that is still known."""
    checkpoints: int
    reserved: Mapping[str, tuple[int, int]]
    """Prefix -> numbers that were given after the backup, and aren't given again."""
    entries: int
    lost_entries: int
    """Of the chain of writes, as far as that is known."""


def survived(directory: Path) -> Survived:
    """Looks at what there was before a restore."""
    found = Survived()
    for name in contents.LOGS:
        with suppress(OSError):
            found.logs[name] = (directory / name).read_bytes()
    with suppress(apsw.Error):
        connection = apsw.Connection(str(directory / _FILE), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("PRAGMA query_only = 1")
            rows: Any = connection.execute("SELECT prefix, series, last FROM business_counters").fetchall()
            found.counters = {str(prefix): (str(series), int(last)) for prefix, series, last in rows}
            found.entries = int(connection.execute("SELECT entries FROM audit_head").get or 0)
        finally:
            connection.close()
    return found


def united(name: str, kept: bytes, surviving: bytes) -> bytes:
    """Of two states of a log that lines are added to the one that has more. Raises `BackupError` if they are
    the logs of different pasts: somebody has to look at them.
    """
    ours, theirs = kept[: kept.rfind(b"\n") + 1], surviving[: surviving.rfind(b"\n") + 1]
    if name == ERASURES:  # its lines are worded anew when somebody is erased who is named in one
        by_number = {_number(line): line for line in (*ours.splitlines(), *theirs.splitlines())}
        return b"".join(by_number[number] + b"\n" for number in sorted(by_number))
    if theirs.startswith(ours):
        return theirs
    if ours.startswith(theirs):
        return ours
    raise BackupError(
        f"{name} in the directory isn't the one of the backup: it says other things. Move it away if it is"
        " another server's; if not, somebody has to put together what was revoked."
    )


def _number(line: bytes) -> int:
    try:
        return int(orjson.loads(line)["number"])
    except (ValueError, KeyError, TypeError):
        raise BackupError(f"{ERASURES} can't be read: restore the file, or move it away") from None


def bring_back(directory: Path, manifest: Manifest, before: Survived) -> Returned:
    """Puts a directory in order that has the files of this backup. Raises `BackupError`."""
    epochs: dict[str, int] = {}
    checkpoints = 0
    returned = Returned({}, 0, {}, 0, 0)
    try:
        for path in contents.databases(directory):
            copies.end(path)  # which a cluster's is
            name = path.relative_to(directory).as_posix()
            if not contents.is_database(name):
                continue
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                epochs[name], dropped = come_back(connection)
                checkpoints += dropped
                if name == _FILE:
                    returned = _bring_back_documents(connection, manifest, before)
                    checkpoints += returned.checkpoints
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            finally:
                connection.close()
    except apsw.Error as error:
        raise BackupError(f"a restored database can't be opened: {error}") from error
    for name in contents.LOGS:
        if name in before.logs:
            path = directory / name
            kept = path.read_bytes() if path.exists() else b""
            replace_file(path, united(name, kept, before.logs[name]))
    identity = orjson.loads((directory / contents.SERVER).read_bytes())
    identity["secret"] = secrets.token_hex(32)
    replace_file(directory / contents.SERVER, orjson.dumps(identity))
    return Returned(epochs, checkpoints, returned.reserved, returned.entries, returned.lost_entries)


def _bring_back_documents(connection: apsw.Connection, manifest: Manifest, before: Survived) -> Returned:
    reserved: dict[str, tuple[int, int]] = {}
    with connection:
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
        dropped = drop_checkpoints(connection, "personal_local") if "personal_local" in tables else 0
        if "business_counters" in tables:
            reserved = numbers.reserve(connection, before.counters, datetime.now(UTC))
        entries = 0
        if "audit_head" in tables:
            known: Any = connection.execute("SELECT entries FROM audit_head").get
            entries = int(known or 0)
            lost = max(0, before.entries - entries)
            announce(connection, manifest.number, timestamp(manifest.taken), lost if before.entries else None)
    return Returned({}, dropped, reserved, entries, max(0, before.entries - entries))
