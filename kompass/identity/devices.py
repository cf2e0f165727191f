"""The devices that people sync with: which there are, when they were last here, and which are to stay out.

They are documents of a database of the server's own, which nobody but server administrators may read: unlike
local documents they have revisions, so two writers can't overwrite each other, and a sequence number that
tells caches when to look again. A session's cookie names its device by its key. The key is a digest of user
and device id: the same tablet is another device for each of its users, and no one can reach another's
record by what he sends.

A client that names no device gets one for its session, called by its `User-Agent`. Each user has at most
`MOST` devices; of those that are neither revoked nor lost the longest unused one goes.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

import structlog

from kompass.identity.stored import Members, change_document
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.revisions import parse_rev
from replication.store.interface import Database, Store
from replication.store.values import Document, KeyRange

DATABASE = "kompass-devices"
ADMINS_ONLY = b'{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}'

ID_HEADER = "x-kompass-device"
NAME_HEADER = "x-kompass-device-name"
VERSION_HEADER = "x-kompass-app-version"
HEADERS = (ID_HEADER, NAME_HEADER, VERSION_HEADER)

MOST = 100
"""Devices of one user."""

TOUCH_SECONDS = 60.0
"""How exactly it is known when a device was last here."""

MAX_TEXT = 100
MAX_DOCUMENTS = 10**9

_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{16}-[0-9a-f]{32}", re.ASCII)
_CAPACITY = 10_000
_REVISIONS_KEPT = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """A device as it is stored. Times in seconds since 1970."""

    key: str
    user: str
    name: str
    implicit: bool
    """Whether the client named none, so that it stands for one session."""
    app_version: str | None
    created: float
    last_seen: float
    last_sync: float | None
    documents: int | None
    """How many documents it says it holds."""
    revoked: bool
    lost: bool
    lease_until: float
    """How long it may go on without this server."""
    ended: int
    """How often it was revoked or logged out: sessions that began before the last time are over for good."""

    @classmethod
    def read(cls, key: str, members: Mapping[str, Any]) -> Self:
        return cls(
            key=key,
            user=str(members.get("user")),
            name=str(members.get("name")),
            implicit=members.get("implicit") is True,
            app_version=members.get("app_version"),
            created=float(members.get("created", 0)),
            last_seen=float(members.get("last_seen", 0)),
            last_sync=members.get("last_sync"),
            documents=members.get("documents"),
            revoked=members.get("revoked") is True,
            lost=members.get("lost") is True,
            lease_until=float(members.get("lease_until", 0)),
            ended=int(members.get("ended", 0)),
        )

    def shown(self) -> dict[str, Any]:
        """For the API: times as text."""
        return {
            "id": self.key,
            "user": self.user,
            "name": self.name,
            "implicit": self.implicit,
            "app_version": self.app_version,
            "created": as_text(self.created),
            "last_seen": as_text(self.last_seen),
            "last_sync": None if self.last_sync is None else as_text(self.last_sync),
            "documents": self.documents,
            "revoked": self.revoked,
            "lost": self.lost,
            "lease_until": as_text(self.lease_until),
        }


def as_text(seconds: float) -> str:
    """A time by RFC 3339, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def device_key(user: str, device_id: str) -> str:
    """The key of a device: all of a user begin alike."""
    return _prefix(user) + hashlib.sha256(f"{user}\0{device_id}".encode()).hexdigest()[:32]


def _prefix(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()[:16] + "-"


def key_range(user: str) -> tuple[str, str]:
    """The keys of a user's devices are in it, the second one excluded."""
    return _prefix(user), _prefix(user) + "g"


def clean_text(text: str) -> str:
    """At most `MAX_TEXT` printable characters of what a client calls itself."""
    return "".join(char for char in text if char.isprintable()).strip()[:MAX_TEXT]


class Devices:
    """The devices of one store. Call `prepare` first and `close` at the end."""

    def __init__(self, store: Store, *, lease: float, clock: Callable[[], float] = time.time) -> None:
        """`lease`: seconds a device may go on without the server."""
        self._store = store
        self._lease = lease
        self._clock = clock
        self._cache: OrderedDict[str, tuple[int, Device | None]] = OrderedDict()
        self._touched: OrderedDict[tuple[str, bool], float] = OrderedDict()
        """When contact (or a sync: True) was last written or is being written."""
        self._writing: set[asyncio.Task[None]] = set()
        self.on_ended: list[Callable[[], None]] = []
        """Called when a device's sessions have ended, for feeds that it holds open."""

    async def prepare(self) -> None:
        if DATABASE not in await self._store.names():
            database = await self._store.create(DATABASE, security=ADMINS_ONLY)
            await database.set_revs_limit(_REVISIONS_KEPT)

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=5)

    @property
    def _database(self) -> Database:
        return self._store.get(DATABASE)

    # -- reading -----------------------------------------------------------------------------------

    async def find(self, key: str) -> Device | None:
        """Costs a dictionary access while nothing changes."""
        if _KEY.fullmatch(key) is None:
            return None
        database = self._database
        seq = database.update_seq
        entry = self._cache.get(key)
        if entry is not None and entry[0] == seq:
            return entry[1]
        document = await database.winner(key)
        device = None if document is None or document.deleted else _device(document)
        self._cache[key] = (seq, device)
        self._cache.move_to_end(key)
        while len(self._cache) > _CAPACITY:
            self._cache.popitem(last=False)
        return device

    async def of_user(self, user: str) -> list[Device]:
        """All devices of one user."""
        page = await self._database.documents(KeyRange(*key_range(user)), limit=10 * MOST)
        return [device for device in map(_device, page) if device.user == user]

    async def page(self, after: str | None, limit: int) -> list[Device]:
        """Devices of everybody, in the order of their keys."""
        span = KeyRange(after, inclusive_start=False) if after is not None else KeyRange()
        return [_device(each) for each in await self._database.documents(span, limit=limit)]

    # -- contact -----------------------------------------------------------------------------------

    async def arrive(self, user: str, headers: Mapping[str, str], *, session: str) -> Device:
        """The device that a login or a request comes from, made if it is new.

        `session` is the id of a device for clients that name none. Raises 400 for a header that can't be,
        401 for a device that may not come in.
        """
        named = headers.get(ID_HEADER)
        if named is not None and _ID.fullmatch(named) is None:
            raise errors.bad_request(
                "X-Kompass-Device must be 8 to 64 of the characters A-Z a-z 0-9 . _ -, best a random UUID."
            )
        name = clean_text(unquote(headers.get(NAME_HEADER, "")))
        version = clean_text(headers.get(VERSION_HEADER, ""))
        key = device_key(user, f"id:{named}" if named is not None else f"session:{session}")
        known = await self.find(key)
        if known is not None:
            check_welcome(known)
            if (name and name != known.name) or (version and version != known.app_version):
                changed = {"name": name or known.name, "app_version": version or known.app_version}
                return await self.change(key, changed)
            return known
        await self._make_room(user)
        now = self._clock()
        members = {
            "type": "device",
            "user": user,
            "name": name or clean_text(headers.get("user-agent", "")) or "unnamed",
            "implicit": named is None,
            "app_version": version or None,
            "created": now,
            "last_seen": now,
            "last_sync": None,
            "documents": None,
            "revoked": False,
            "lost": False,
            "lease_until": now + self._lease,
            "ended": 0,
        }
        _, after = await change_document(self._database, key, lambda there: there or members)
        assert after is not None
        device = Device.read(key, after)
        check_welcome(device)
        return device

    def touch(self, device: Device, *, syncing: bool) -> None:
        """The device is here. Written once a minute, beside the request that says so."""
        now = self._clock()
        place = (device.key, syncing)
        stored = device.last_sync or 0 if syncing else device.last_seen
        if max(self._touched.get(place, 0), stored) > now - TOUCH_SECONDS:
            return
        self._touched[place] = now
        self._touched[device.key, False] = now
        self._touched.move_to_end(place)
        while len(self._touched) > 2 * _CAPACITY:
            self._touched.popitem(last=False)
        seen = {"last_seen": now, "lease_until": now + self._lease} | ({"last_sync": now} if syncing else {})
        task = asyncio.create_task(self._write_touch(device.key, seen))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_touch(self, key: str, seen: Members) -> None:
        try:
            await change_document(self._database, key, lambda there: {**there, **seen} if there else None)
        except ProtocolError as error:
            log.warning("a device's contact could not be written", device=key, error=str(error))

    async def _make_room(self, user: str) -> None:
        """Lets the longest unused devices go if the user has as many as he may."""
        devices = await self.of_user(user)
        free = sorted((each for each in devices if not each.revoked and not each.lost), key=_last_seen)
        for device in free[: max(0, len(devices) + 1 - MOST)]:
            winner = await self._database.winner(device.key)
            if winner is not None and not winner.deleted:
                removal = DocumentWrite(device.key, deleted=True, body=b"{}", parent=parse_rev(winner.rev))
                await self._database.write([removal])

    # -- changing ----------------------------------------------------------------------------------

    async def change(self, key: str, members: Members) -> Device:
        """Sets members of a stored device. Raises 404 if there is none."""
        return await self._change(key, lambda there: members)

    async def _change(self, key: str, members_of: Callable[[Members], Members]) -> Device:
        """The same with members that depend on those that are there."""
        _, after = await change_document(
            self._database, key, lambda there: {**there, **members_of(there)} if there is not None else None
        )
        if after is None:
            raise errors.not_found("There is no such device.")
        device = Device.read(key, after)
        if device.revoked or device.lost:
            self._tell_ended()
        return device

    def _tell_ended(self) -> None:
        for ended in self.on_ended:
            ended()

    async def revoke(self, key: str) -> Device:
        """Ends the device's sessions for good and lets it in no more. Raises 404."""
        return await self._change(key, lambda there: {"revoked": True, **_ended(there)})

    async def end_sessions(self, key: str) -> None:
        """Ends the device's sessions for good; it may log in again. Raises 404."""
        await self._change(key, _ended)
        self._tell_ended()

    async def mark_lost(self, key: str) -> Device:
        """`revoke`, and at its next contact it is told to erase what it holds. Raises 404."""
        return await self._change(key, lambda there: {"revoked": True, "lost": True, **_ended(there)})

    async def restore(self, key: str) -> Device:
        """Takes both back; the device has to log in again. Raises 404."""
        return await self.change(key, {"revoked": False, "lost": False})


def _ended(there: Members) -> Members:
    return {"ended": there.get("ended", 0) + 1}


def _last_seen(device: Device) -> float:
    return device.last_seen


def _device(document: Document) -> Device:
    return Device.read(document.id, jsontext.decode(document.text))


def check_welcome(device: Device, *, headers: Mapping[str, str] | None = None) -> None:
    """Raises 401 for a device that may not come in; a lost one is told to erase what it holds."""
    if device.lost:
        # It keeps its cookie: should this answer be lost, the next one says so again.
        reason = "This device was reported lost: it must erase what it holds."
        raise errors.unauthorized(reason, members={"wipe": True})
    if device.revoked:
        raise errors.unauthorized("This device may not be used any more: ask the office.", headers=headers)
