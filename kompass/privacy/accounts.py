"""What a user has besides his document: his record in `_users` and his devices, in databases of their own.

A record becomes a deletion without a text, for login names are never given twice: what he has booked stays
under his. Devices stay as lost, without anything but their keys, so that each is told to erase what it holds
if it ever asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from kompass.identity.devices import DATABASE as DEVICES
from kompass.identity.devices import Device, Devices, key_range
from kompass.identity.records import Record, Records
from replication.accounts.users import USERS_DATABASE, user_id
from replication.protocol import jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import Path
from replication.store.interface import Store
from replication.store.sqlite import SqliteDatabase, Writing


class ActiveUserError(Exception):
    """He can still log in: whoever is erased is disabled first."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} can still log in. Disable the user first (PATCH /api/v1/users/{name} with"
            ' "active": false, or in Keycloak), and erase him when his devices have sent what they hold.'
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Account:
    """What there is of a user."""

    name: str
    record: Record | None
    """None if he never had one, or it is deleted."""
    devices: tuple[Device, ...]


def identity_digest(subject: str) -> str:
    """By which somebody of Keycloak is known whose account was erased here."""
    return sha256(f"kompass:{subject}".encode()).hexdigest()


class Accounts:
    """Those of one store, which may lack the databases."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def databases(self) -> list[SqliteDatabase]:
        """Where anything of them lies."""
        return [one for name in (USERS_DATABASE, DEVICES) if (one := await self._database(name)) is not None]

    async def of(self, name: str) -> Account:
        record = None
        if await self._database(USERS_DATABASE) is not None:
            record = await Records(self._store).find(name)
        devices: list[Device] = []
        if await self._database(DEVICES) is not None:
            devices = await Devices(self._store, lease=0).of_user(name)
        return Account(name, None if record is None or record.deleted else record, tuple(devices))

    async def erase(self, name: str) -> None:
        """Does nothing twice."""
        users, devices = await self._database(USERS_DATABASE), await self._database(DEVICES)
        if users is not None:
            await users.transact(lambda writing: _end(writing, user_id(name)))
        if devices is not None:
            await devices.transact(lambda writing: _lose(writing, name))

    async def _database(self, name: str) -> SqliteDatabase | None:
        if name not in await self._store.names():
            return None
        database = self._store.get(name)
        assert isinstance(database, SqliteDatabase)
        return database


def _end(writing: Writing, docid: str) -> None:
    """A deletion, also where nothing was: nobody gets the name again without an administrator's doing."""
    state = writing.revisions(docid)
    above: list[Path | None] = [None]
    if state is not None:
        above = [state.tree.path(leaf) for leaf in state.tree.leaves() if not state.tree.is_deleted(leaf)]
    for path in above:
        name = sha256(f"erased {path}".encode()).hexdigest()[:32]
        end = Path(1, [name]) if path is None else Path(path.start + 1, [name, *path.ids])
        _written(writing, DocumentWrite(docid, True, b"{}", path=end))
    with writing.overwriting():
        writing.forget(docid)


def _lose(writing: Writing, user: str) -> None:
    low, high = key_range(user)
    rows: Any = writing.connection.execute("SELECT id FROM docs WHERE id >= ? AND id < ?", (low, high))
    for (key,) in rows.fetchall():
        state, winner = writing.revisions(key), writing.winner(key)
        if state is not None and winner is not None and not winner.deleted:
            stored = {name: one for name, one in jsontext.decode(winner.text).items() if name[:1] != "_"}
            lost = {**_LOST, "user": user, "ended": int(stored.get("ended", 0))}
            if stored != lost:
                body = jsontext.encode({**lost, "ended": lost["ended"] + 1})
                _written(writing, DocumentWrite(key, False, body, parent=state.winner))
        with writing.overwriting():
            writing.forget(key)


_LOST: dict[str, Any] = {
    "type": "device",
    "name": "",
    "implicit": False,
    "app_version": None,
    "created": 0,
    "last_seen": 0,
    "last_sync": None,
    "documents": None,
    "revoked": True,
    "lost": True,
    "lease_until": 0,
}


def _written(writing: Writing, write: DocumentWrite) -> None:
    (outcome,) = writing.write([write], replicated=write.path is not None)
    if isinstance(outcome, ProtocolError):
        raise outcome
