"""The accounts of a server: administrators from its settings, users from the `_users` database.

Looking somebody up costs a dictionary access while `_users` stays as it is; the entry is looked at
again as soon as the database's sequence number has moved, whoever moved it. Passwords are hashed in
threads of their own, few of them, and a password that is being checked already isn't checked twice.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from replication.accounts import passwords
from replication.accounts.lockout import Lockout
from replication.accounts.passwords import PasswordHash
from replication.accounts.remembered import RememberedPasswords
from replication.accounts.users import (
    ID_PREFIX,
    USERS_DATABASE,
    check_reserved,
    check_user_document,
    plain_password,
    user_id,
    with_hash,
)
from replication.protocol import errors, jsontext
from replication.protocol.documents import DocumentWrite
from replication.protocol.errors import ProtocolError
from replication.protocol.names import DESIGN_PREFIX
from replication.store.interface import Database, Store, WriteCheck
from replication.store.values import Document

WRONG = "Name or password is incorrect."
LOCKED = "Account is temporarily locked due to multiple authentication failures"
CONFLICTED = (
    "User document conflicts must be resolved before the document is used for authentication purposes."
)

ADMINS_ONLY = b'{"members":{"roles":["_admin"]},"admins":{"roles":["_admin"]}}'
"""The security object of `_users`."""

_MAX_NAME = 1024
_MAX_PASSWORD = 4096
_HASHING_THREADS = 2
_MAX_WAITING = 200
"""Passwords that may wait to be hashed; more are refused with 503."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can log in."""

    name: str
    roles: tuple[str, ...]
    password: PasswordHash | None
    """None: there is no password that could be right."""
    rev: str = ""
    conflicted: bool = False
    needs_token: bool = False
    """The document asks for a one-time token too, which this server doesn't know how to check."""
    session_salt: str = ""
    """The document's `session_salt`: whoever writes another one ends all sessions of the user."""

    @property
    def salt(self) -> str:
        """What the user's part in the key of his session cookies is."""
        return (self.password.salt if self.password is not None else "") + self.session_salt


def _admin_account(name: str, text: str, secret: bytes, iterations: int) -> Account:
    """An administrator from settings. The salt is the same at each start, so that sessions survive it."""
    hashed = passwords.from_admin_line(text)
    if hashed is None:
        salt = hmac.digest(secret, f"admin\0{name}\0{text}".encode(), "sha256").hex()[:32]
        hashed = passwords.hash_password(text, salt=salt, iterations=iterations)
    return Account(name, ("_admin",), hashed)


def _account(document: Document) -> Account:
    members: Mapping[str, Any] = jsontext.decode(document.text)
    roles = members.get("roles")
    session_salt = members.get("session_salt")
    return Account(
        document.id.removeprefix(ID_PREFIX),
        tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else (),
        passwords.from_document(members),
        document.rev,
        document.conflicted,
        members.get("totp") is not None,
        session_salt if isinstance(session_salt, str) else "",
    )


def _is_possible_name(name: str) -> bool:
    try:
        return 0 < len(name.encode()) <= _MAX_NAME
    except UnicodeEncodeError:
        return False


class Accounts:
    """Looks up, logs in, and prepares what is written to `_users`."""

    def __init__(
        self,
        store: Store,
        *,
        admins: Mapping[str, str],
        iterations: int = passwords.ITERATIONS,
        lockout: Lockout | None = None,
        capacity: int = 10_000,
    ) -> None:
        """Hashes the plain passwords of `admins`, which takes a tenth of a second each."""
        self._store = store
        self._iterations = iterations
        self._capacity = capacity
        self._admins = {
            name: _admin_account(name, text, store.secret, iterations) for name, text in admins.items()
        }
        self._lockout = Lockout() if lockout is None else lockout
        self._remembered = RememberedPasswords()
        self._cache: OrderedDict[str, tuple[int, Account | None]] = OrderedDict()
        self._cached_from: Database | None = None
        self._attempts: dict[tuple[str, str, bytes], asyncio.Task[bool]] = {}
        self._threads = ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="passwords")
        self._waiting = 0
        # What an unknown name's password is compared with, so that the answer takes as long.
        self._nobody = PasswordHash("pbkdf2", secrets.token_hex(16), "0" * 64, passwords.PRF, iterations)

    @property
    def has_admins(self) -> bool:
        """False in a server without administrators, where everybody is one."""
        return bool(self._admins)

    # -- the database ----------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Makes the `_users` database if it isn't there, and sees that it isn't open to everybody."""
        database = self._users() or await self._store.create(USERS_DATABASE, security=ADMINS_ONLY)
        if await database.security() == b"{}":
            await database.set_security(ADMINS_ONLY)

    def _users(self) -> Database | None:
        try:
            return self._store.get(USERS_DATABASE)
        except ProtocolError:
            return None

    # -- looking up ------------------------------------------------------------------------------

    async def find(self, name: str) -> Account | None:
        """The account called `name`. Raises 401 while its document has unresolved conflicts."""
        account = await self._find_user(name)
        if account is not None and account.conflicted:
            raise errors.unauthorized(CONFLICTED)
        admin = self._admins.get(name)
        if admin is None:
            return account
        return admin if account is None else replace(admin, roles=admin.roles + account.roles)

    async def is_admin(self, name: str | None) -> bool:
        """Whether `name` administrates the server. Without administrators everybody does."""
        if not self._admins:
            return True
        return name is not None and name in self._admins

    async def _find_user(self, name: str) -> Account | None:
        database = self._users()
        if database is None or not _is_possible_name(name):
            return None
        if database is not self._cached_from:
            # Deleted and made again, it counts from the start.
            self.forget()
            self._cached_from = database
        cache = self._cache
        seq = database.update_seq
        entry = cache.get(name)
        if entry is not None and entry[0] == seq:
            return entry[1]
        document = await database.winner(user_id(name))
        account = None
        if document is not None and not document.deleted:
            if entry is not None and entry[1] is not None and entry[1].rev == document.rev:
                account = replace(entry[1], conflicted=document.conflicted)
            else:
                account = _account(document)
            if account.conflicted:
                # Deleted leaves are history, not a conflict.
                live = [leaf for leaf in await database.leaves(document.id) if not leaf.deleted]
                account = replace(account, conflicted=len(live) > 1)
        cache[name] = (seq, account)
        cache.move_to_end(name)
        while len(cache) > self._capacity:
            cache.popitem(last=False)
        return account

    def forget(self) -> None:
        """Drops what is known of users, after a purge, which leaves no trace in the sequence numbers."""
        # A new dictionary: a look-up under way puts what it finds into the old one.
        self._cache = OrderedDict()

    # -- logging in ------------------------------------------------------------------------------

    async def log_in(self, name: str, password: str, address: str) -> Account:
        """The account whose password this is.

        Raises 401 for a wrong name or password, 403 after too many of them from `address`, 503 when
        more passwords wait to be checked than can be.
        """
        account = await self.find(name)
        key = (address, name)
        if self._lockout.is_locked(key):
            raise errors.forbidden(LOCKED)
        if len(password) > _MAX_PASSWORD or not _is_possible_name(name):
            raise errors.unauthorized(WRONG)
        hashed = account.password if account is not None else None
        digest = self._remembered.digest(password)
        # A wrong password is hashed all the same: a quick no would tell who has logged in lately.
        right = (
            hashed is not None and self._remembered.matches(name, hashed.salt + hashed.key, digest) is True
        ) or await self._attempt(key, hashed, password, digest)
        if not right or account is None or account.needs_token:
            raise errors.unauthorized(WRONG)
        return account

    async def _attempt(
        self, key: tuple[str, str], hashed: PasswordHash | None, password: str, digest: bytes
    ) -> bool:
        """Checks a password in a thread; the same attempt made at the same time waits for this one."""
        stored = "" if hashed is None else hashed.salt + hashed.key
        flight = (f"{key[0]} {key[1]}", stored, digest)
        task = self._attempts.get(flight)
        if task is None:
            self._check_room()
            # Counted before the answer is known, so that attempts made at once can't slip through.
            self._lockout.failed(key)
            task = asyncio.create_task(self._check(key, hashed, password, digest))
            self._attempts[flight] = task
            task.add_done_callback(lambda done: self._attempt_ended(flight, done))
        return await asyncio.shield(task)

    def _attempt_ended(self, flight: tuple[str, str, bytes], task: asyncio.Task[bool]) -> None:
        del self._attempts[flight]
        if not task.cancelled():
            task.exception()  # whoever waited for it may have left: then nobody else looks

    async def _check(
        self, key: tuple[str, str], hashed: PasswordHash | None, password: str, digest: bytes
    ) -> bool:
        right = await self._in_thread((hashed or self._nobody).matches, password)
        if right and hashed is not None:
            self._remembered.remember(key[1], hashed.salt + hashed.key, digest)
            self._lockout.succeeded(key)
        else:
            self._lockout.proved_wrong(key)
        return right and hashed is not None

    def _check_room(self) -> None:
        if self._waiting >= _MAX_WAITING:
            raise errors.unavailable("Too many logins at once: try again in a few seconds")

    async def _in_thread(self, function: Callable[[str], T], argument: str) -> T:
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, argument)
        finally:
            self._waiting -= 1

    # -- writing users -----------------------------------------------------------------------------

    async def prepare_user_write(self, write: DocumentWrite) -> DocumentWrite:
        """`write` with a plain password replaced by its hash.

        Raises 403 for a password that isn't text. Who may write what is `user_write_check`'s part.
        """
        if write.id.startswith(DESIGN_PREFIX) or b'"password"' not in write.body:
            return write
        body = jsontext.decode(write.body)
        password = plain_password(body)
        if password is None:
            return write
        hashed = await self._in_thread(self._hash, password)
        return replace(write, body=jsontext.encode(with_hash(body, hashed)))

    def close(self) -> None:
        """Ends the threads. What waits to be hashed is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _hash(self, password: str) -> PasswordHash:
        return passwords.hash_password(password, iterations=self._iterations)


def user_write_check(writer: str | None, *, is_admin: bool, reserved: Collection[str] = ()) -> WriteCheck:
    """The rules of `_users` for one writer, to be applied inside the write's transaction.

    `reserved`: members that only administrators may set; if there are any, only they may delete.
    """

    def check(write: DocumentWrite, stored: Document | None) -> None:
        if write.id.startswith(DESIGN_PREFIX):
            return
        if not is_admin and writer is not None and write.id != user_id(writer):
            raise errors.missing()
        before = None if stored is None or stored.deleted else jsontext.decode(stored.text)
        body = jsontext.decode(write.body)
        check_user_document(write.id, write.deleted, body, before, writer=writer, writer_is_admin=is_admin)
        if reserved and not is_admin:
            check_reserved(body, before, reserved, deleted=write.deleted)

    return check
