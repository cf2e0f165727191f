"""How a request says who is asking: Basic, a session's cookie, or a token.

A session is begun with the first request, renewed before it runs out, and begun anew once when the peer
no longer knows it. The cookie goes to the origin that gave it and nowhere else.
"""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from replication.replicator.failures import PeerLied, PeerUnavailable
from replication.replicator.options import Basic, Bearer, BearerFile, Credentials, Session

_COOKIE = "AuthSession"
_LONGEST_COOKIE = 4096
_COOKIE_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""RFC 6265, 4.1.1: printable ASCII without blanks, quotes, commas, semicolons and backslashes."""
_SECONDS = re.compile(r"[0-9]{1,9}")
_DEFAULT_LIFE = 600.0
_RENEW_AFTER = 0.7
"""Share of a session's life after which it is renewed."""

LogIn = Callable[[str, str], Awaitable[list[str]]]
"""Posts name and password to the peer's `_session`; returns the `Set-Cookie` headers of the answer."""


class Authentication(ABC):
    @abstractmethod
    async def headers(self) -> Mapping[str, str]:
        """What to add to the next request."""

    async def refused(self) -> bool:
        """The peer answered 401. Whether it is worth asking again."""
        return False

    def answered(self, cookies: list[str]) -> None:
        """Takes note of the `Set-Cookie` headers of an answer."""
        return


class _Fixed(Authentication):
    def __init__(self, value: str | None) -> None:
        self._headers = {} if value is None else {"authorization": value}

    async def headers(self) -> Mapping[str, str]:
        return self._headers


class _FromFile(Authentication):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""

    async def headers(self) -> Mapping[str, str]:
        if not self._token:
            self._token = await self._read()
        return {"authorization": f"Bearer {self._token}"}

    async def refused(self) -> bool:
        before, self._token = self._token, await self._read()
        return self._token != before

    async def _read(self) -> str:
        try:
            text = (await asyncio.to_thread(self._path.read_text, "ascii")).strip()
        except (OSError, UnicodeError):
            raise PeerUnavailable("the file with the token can't be read", undone=True) from None
        if not text.isprintable() or not text:
            raise PeerUnavailable("the file with the token holds something else", undone=True)
        return text


class _BySession(Authentication):
    def __init__(self, session: Session, log_in: LogIn) -> None:
        self._session = session
        self._log_in = log_in
        self._lock = asyncio.Lock()
        self._cookie = ""
        self._renew_at = 0.0
        self._begun_at = 0.0

    async def headers(self) -> Mapping[str, str]:
        if time.monotonic() >= self._renew_at:
            async with self._lock:
                if time.monotonic() >= self._renew_at:
                    await self._begin()
        return {"cookie": f"{_COOKIE}={self._cookie}"}

    async def refused(self) -> bool:
        # A session that is refused right after it began won't get better.
        if time.monotonic() - self._begun_at < 1:
            return False
        self._renew_at = 0.0
        return True

    def answered(self, cookies: list[str]) -> None:
        for text in cookies:
            self._take(text)

    async def _begin(self) -> None:
        cookies = await self._log_in(self._session.name, self._session.password)
        self._renew_at = 0.0
        self.answered(cookies)
        if not self._renew_at:
            raise PeerLied("the peer took the login but gave no AuthSession cookie")
        self._begun_at = time.monotonic()

    def _take(self, text: str) -> None:
        if len(text) > _LONGEST_COOKIE:
            return
        try:
            morsel = SimpleCookie(text).get(_COOKIE)
        except CookieError:
            return
        if morsel is None or _COOKIE_VALUE.fullmatch(morsel.value) is None:
            # Quotes may hide anything in a cookie, line ends included; it goes back in a header.
            return
        life = str(morsel["max-age"])
        seconds = float(life) if _SECONDS.fullmatch(life) and int(life) > 0 else _DEFAULT_LIFE
        self._cookie = morsel.value
        self._renew_at = time.monotonic() + seconds * _RENEW_AFTER


def authentication(credentials: Credentials | None, log_in: LogIn) -> Authentication:
    match credentials:
        case None:
            return _Fixed(None)
        case Basic(name, password):
            return _Fixed("Basic " + b64encode(f"{name}:{password}".encode()).decode("ascii"))
        case Bearer(token):
            return _Fixed(f"Bearer {token}")
        case BearerFile(path):
            return _FromFile(path)
        case Session():
            return _BySession(credentials, log_in)
