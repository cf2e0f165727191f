"""The keys that Keycloak signs with, fetched from its JWKS address and kept.

A known key is answered from memory, however old, so logins go on while the key server is down. A key that
isn't known is asked for at once, but not more often than every `INTERVAL` seconds, whoever sends
tokens with invented key ids. A key that the issuer has withdrawn stops counting with the next fetch, which
old keys bring about in the background.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from replication.protocol import errors
from replication.protocol.errors import ProtocolError

INTERVAL = 5.0
"""Seconds between two fetches at least."""

MAX_AGE = 300.0
"""Seconds after which known keys are fetched again, in the background."""

TIMEOUT = 5.0
MAX_BYTES = 256 * 1024
MIN_BITS = 2048

_ABSENT_KIDS = 1000

log = structlog.get_logger(__name__)


class KeySet:
    """The RSA keys at one address. Close it at the end."""

    def __init__(
        self,
        url: str,
        *,
        client: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client = client or httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=False)
        self._clock = clock
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched_at: float | None = None
        """When the last fetch that succeeded began."""
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[bool] | None = None
        self._absent: OrderedDict[str, float] = OrderedDict()
        """Key ids that a fetch was made for in vain, with when it began."""

    async def key(self, kid: str) -> RSAPublicKey:
        """The key called `kid`.

        Raises 401 if the issuer has no such key, 503 with `Retry-After` if that can't be found out now.
        """
        known = self._keys.get(kid)
        if known is not None:
            if self._is_older_than(self._fetched_at, MAX_AGE) and self._is_older_than(
                self._tried_at, INTERVAL
            ):
                self._fetch_soon()
            return known
        if self._fetching is None and not self._is_older_than(self._tried_at, INTERVAL):
            if not self._is_older_than(self._absent.get(kid), INTERVAL):
                raise _unknown()
            raise _unavailable("The keys of the issuer were asked for a moment ago")
        began = self._tried_at if self._fetching is not None else self._clock()
        succeeded = await asyncio.shield(self._fetch_soon())
        found = self._keys.get(kid)
        if found is not None:
            return found
        if not succeeded:
            raise _unavailable("The issuer's keys can't be had")
        assert began is not None
        self._absent[kid] = began
        self._absent.move_to_end(kid)
        while len(self._absent) > _ABSENT_KIDS:
            self._absent.popitem(last=False)
        raise _unknown()

    async def refresh(self) -> bool:
        """Fetches now. False if that failed; then what was known stays."""
        return await asyncio.shield(self._fetch_soon())

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
        await self._client.aclose()

    def _is_older_than(self, when: float | None, seconds: float) -> bool:
        return when is None or self._clock() - when >= seconds

    def _fetch_soon(self) -> asyncio.Task[bool]:
        """The fetch that is under way, or a new one."""
        if self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch(self._tried_at))
            self._fetching.add_done_callback(self._fetch_ended)
        return self._fetching

    def _fetch_ended(self, _: asyncio.Task[bool]) -> None:
        self._fetching = None

    async def _fetch(self, began: float) -> bool:
        try:
            keys = read_keys(await self._body())
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            log.warning(
                "the issuer's keys could not be fetched", url=self._url, error=str(error) or repr(error)
            )
            return False
        if keys.keys() != self._keys.keys():
            log.info("the issuer's keys", kids=sorted(keys))
        self._keys, self._fetched_at = keys, began
        return True

    async def _body(self) -> Any:
        async with self._client.stream("GET", self._url, headers={"accept": "application/json"}) as answer:
            answer.raise_for_status()
            if not answer.is_success:
                raise ValueError(f"answered {answer.status_code}")
            text = bytearray()
            async for piece in answer.aiter_bytes():
                text += piece
                if len(text) > MAX_BYTES:
                    raise ValueError(f"answered more than {MAX_BYTES} bytes")
        return orjson.loads(bytes(text))


def read_keys(document: Any) -> dict[str, RSAPublicKey]:
    """The keys of a JWKS document (RFC 7517) that may sign with RS256, by id. Others are left out.

    Raises ValueError if it is no such document.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not a JSON object with a list `keys`")
    keys: dict[str, RSAPublicKey] = {}
    for each in listed:
        if not isinstance(each, dict) or each.get("kty") != "RSA":
            continue
        kid = each.get("kid")
        if not isinstance(kid, str) or each.get("use", "sig") != "sig" or each.get("alg", "RS256") != "RS256":
            continue
        try:
            key = RSAAlgorithm.from_jwk({name: each[name] for name in ("kty", "n", "e") if name in each})
        except (InvalidKeyError, ValueError, TypeError):
            continue
        if isinstance(key, RSAPublicKey) and key.key_size >= MIN_BITS:
            keys[kid] = key
    return keys


def _unknown() -> ProtocolError:
    return errors.unauthorized("The token is signed with a key that its issuer doesn't have.")


def _unavailable(why: str) -> ProtocolError:
    return errors.unavailable(
        f"{why}: try again in a few seconds.", headers={"Retry-After": str(int(INTERVAL))}
    )
