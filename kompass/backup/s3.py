"""A repository in an object store that speaks Amazon's S3.

An object is there whole or not at all, however an upload ends. The lock is an object too: whoever writes
puts one of his own, then looks for others, so of two at once none gets through without seeing the other.
It is renewed while its writer works; one that is too old is a dead writer's. Only the server's clock counts.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from kompass.backup.errors import BackupError, DamagedError, InUseError
from kompass.backup.target import Target, checked

SCHEME = "s3://"
_LOCKS = "locks"
_MOST_DRAFTS = 256
"""Objects in memory until they are sent, 64 KB each."""
_SIDE_BY_SIDE = 8
_CONNECT_SECONDS = 10
_REQUEST_SECONDS = 120
_RETRY_SECONDS = 90
"""For how long a request is tried again that the server failed, or that never arrived."""
_CODE = re.compile(r"<Code>(\w{1,60})</Code>")
_PLACE = re.compile(
    r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9_-]{1,64}(?:/[A-Za-z0-9_-]{1,64}){0,5}))?/?"
)

_FAILURES = (BaseError, OSError, ValueError)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """How the server is reached. What isn't said is asked of the environment, as AWS's own programs do."""

    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None


class S3Target(Target):
    """Below a prefix of a bucket, which exists."""

    LEASE: ClassVar[timedelta] = timedelta(minutes=5)
    """How long a writer that isn't heard of keeps others out."""
    RENEWED_EVERY: ClassVar[float] = 60.0

    def __init__(self, place: str, access: Access) -> None:
        """`place`: `s3://BUCKET/PREFIX`. Raises `BackupError`."""
        match = _PLACE.fullmatch(place)
        if match is None:
            raise BackupError(f"{place[:200]!r} can't be a place in S3: give s3://BUCKET/PREFIX")
        self._shown = place.rstrip("/")
        self._bucket = match[1]
        self._store = self._opened(match[1], match[2], access)
        self._drafts: dict[str, bytes] = {}
        self._removed: set[str] = set()
        self._drafting = threading.Lock()
        self._mine: str | None = None
        """The lock, while it is held."""

    def _opened(self, bucket: str, prefix: str | None, access: Access) -> S3Store:
        given = {
            "endpoint": access.endpoint,
            "region": access.region,
            "access_key_id": access.access_key,
            "secret_access_key": access.secret_key,
        }
        options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        plain = access.endpoint is not None and urlsplit(access.endpoint).scheme == "http"
        try:
            return S3Store(
                bucket,
                prefix=prefix,
                disable_bulk_delete=True,  # not all servers know it
                client_options={
                    "allow_http": plain,
                    "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
                    "timeout": timedelta(seconds=_REQUEST_SECONDS),
                },
                retry_config={"max_retries": 6, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
                **options,
            )
        except _FAILURES as error:
            raise BackupError(f"{self._shown} can't be used: {_first_line(error)}") from None

    # -- the lock ------------------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        mine = f"{_LOCKS}/{secrets.token_hex(16)}"
        self._asked(lambda: obstore.put(self._store, mine, b"a backup is being written"))
        try:
            self._look_for_others(mine)
            self._drafts.clear()
            self._removed.clear()
            self._mine = mine
            ended = threading.Event()
            renewing = threading.Thread(target=self._renew, args=(mine, ended), name="lock", daemon=True)
            renewing.start()
            try:
                yield
            finally:
                self._mine = None
                ended.set()
                renewing.join()
        finally:
            with suppress(BackupError):  # its lease ends
                self._asked(lambda: obstore.delete(self._store, mine))

    def _look_for_others(self, mine: str) -> None:
        """Raises `InUseError` unless all other locks are too old; those go."""
        locks: dict[str, datetime] = {one["path"]: one["last_modified"] for one in self._listed(_LOCKS)}
        if mine not in locks:
            raise BackupError(f"{self._shown} doesn't list what was just stored: nobody can be locked out")
        others = {name: at for name, at in locks.items() if name != mine}
        if any(locks[mine] - at < self.LEASE for at in others.values()):
            minutes = int(self.LEASE.total_seconds() / 60)
            raise InUseError(
                f"another backup is at work on {self._shown}, or was killed less than {minutes} minutes ago"
            )
        if others:
            self._asked(lambda: obstore.delete(self._store, list(others)))

    def _renew(self, mine: str, ended: threading.Event) -> None:
        while not ended.wait(self.RENEWED_EVERY):
            with suppress(BackupError):  # the next one, or the end of the lease
                if self._is_there(mine):
                    self._asked(lambda: obstore.put(self._store, mine, b"a backup is being written"))

    def _check_lock(self) -> None:
        if self._mine is not None and not self._is_there(self._mine):
            raise BackupError(
                f"{self._shown} couldn't be reached for so long that another backup has begun: this one ends"
            )

    # -- objects -------------------------------------------------------------------------------

    def put(self, name: str, content: bytes) -> None:
        checked(name)
        with self._drafting:
            self._removed.discard(name)
            self._drafts[name] = content
            full = self._taken() if len(self._drafts) >= _MOST_DRAFTS else {}
        self._send(full)

    def flush(self) -> None:
        with self._drafting:
            drafts, removed = self._taken(), sorted(self._removed)
            self._removed.clear()
        if drafts or removed:
            self._check_lock()
        self._send(drafts)
        if removed:
            self._asked(lambda: obstore.delete(self._store, removed))

    def _taken(self) -> dict[str, bytes]:
        drafts, self._drafts = self._drafts, {}
        return drafts

    def _send(self, drafts: dict[str, bytes]) -> None:
        """Large ones go in parts, and are there when the last one is."""
        if not drafts:
            return

        def send(name: str, content: bytes) -> None:
            self._asked(lambda: obstore.put(self._store, name, content))

        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            list(pool.map(send, drafts.keys(), drafts.values()))

    def get(self, name: str, most: int) -> bytes:
        checked(name)
        if name in self._removed:
            raise DamagedError(f"{name} is missing")

        def read() -> bytes:
            found = obstore.get(self._store, name)
            if found.meta["size"] > most:
                raise DamagedError(f"{name} is longer than anything of its kind is")
            return bytes(found.bytes())

        try:
            return self._asked(read)
        except FileNotFoundError:
            raise DamagedError(f"{name} is missing") from None

    def names(self, prefix: str) -> set[str]:
        return {one["path"] for one in self._listed(checked(prefix))} - self._removed

    def remove(self, name: str) -> None:
        checked(name)
        with self._drafting:
            self._drafts.pop(name, None)
            self._removed.add(name)

    def exists(self, name: str) -> bool:
        if checked(name) in self._removed:
            return False
        found = self._is_there(name)
        if not found:
            self._listed(_LOCKS)  # a bucket that isn't there has no objects either
        return found

    # -- asking --------------------------------------------------------------------------------

    def _is_there(self, name: str) -> bool:
        try:
            self._asked(lambda: obstore.head(self._store, name))
        except FileNotFoundError:
            return False
        return True

    def _listed(self, prefix: str) -> Sequence[Any]:
        return self._asked(lambda: [one for page in obstore.list(self._store, prefix) for one in page])

    def _asked(self, ask: Callable[[], T]) -> T:
        """Raises `FileNotFoundError`, and `BackupError` without anything secret in it."""
        try:
            return ask()
        except _FAILURES as error:
            code = _code_of(error)
            if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
                raise FileNotFoundError from None
            raise BackupError(self._told(code, error)) from None

    def _told(self, code: str, error: Exception) -> str:
        place = self._shown
        if code == "NoSuchBucket":
            return f"there is no bucket {self._bucket}: make it, or look at backup_repository"
        if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"):
            return (
                f"{place} refuses the login ({code}): look at backup_s3_access_key and backup_s3_secret_key"
            )
        if code == "RequestTimeTooSkewed":
            return f"{place} says that this machine's clock is wrong: set it, best by NTP"
        if code in ("AccessDenied", "AllAccessDisabled", "403"):
            return (
                f"{place} doesn't allow it: the key needs s3:ListBucket for the bucket, and s3:GetObject,"
                " s3:PutObject and s3:DeleteObject for what is in it"
            )
        if code in ("AuthorizationHeaderMalformed", "PermanentRedirect", "301"):
            return f"{place} is in another region ({code}): look at backup_s3_region"
        if code in _FULL:
            return f"there is no room left in {place}: what was backed up before is whole"
        return f"{place} can't be used: {code or _first_line(error)}"


_FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"}
_STATUS = re.compile(r"non-2xx status code: (\d{3})")


def _code_of(error: Exception) -> str:
    """What the server has called it; its status if it said nothing more; empty if it wasn't the server."""
    text = str(error)
    found = _CODE.search(text) or _STATUS.search(text)
    return found[1] if found else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]
