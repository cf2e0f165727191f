"""Calls the receiver of a webhook: signed, within five seconds, and nowhere it mustn't go.

The signature is that of Standard Webhooks (standardwebhooks.com): HMAC-SHA256 with the webhook's secret
over `ID.TIMESTAMP.BODY`, in the headers `webhook-id`, `webhook-timestamp` (Unix seconds) and
`webhook-signature` (`v1,` and Base64). A receiver refuses what is older than some minutes, and what has an
id that it has had.

Who configures webhooks mustn't reach by them what he can't reach himself: only public addresses are called,
and what settings name. The name is resolved once, its addresses are judged, and one of those is connected
to. Redirections aren't followed.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

import httpx

from kompass.jobs.receivers import WebhookError, key_of
from kompass.jobs.service import Receiver
from replication.replicator.failures import HostForbidden, PeerUnavailable
from replication.replicator.hosts import AllowedHosts, PinnedTransport

SECONDS = 5.0
"""For a whole call."""
MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read; nobody looks at them."""
MOST_BODY = 512 * 1024
AT_ONCE = 4
"""Calls that one receiver gets at the same time."""
MOST_HOSTS = 16
"""To which connections are kept."""

_GONE = 410
_UNICAST = ipaddress.ip_network("2000::/3")
"""Where every public IPv6 address is."""
_SPECIAL = tuple(
    ipaddress.ip_network(each)
    for each in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20")
)
"""Not anybody's, though not every Python's list says so: protocols' own, among them the metadata of a cloud;
those that lead to IPv4 ones; examples."""


class PublicHosts(AllowedHosts):
    """Every public address, and what is listed besides."""

    def check(self, host: str, addresses: Iterable[str]) -> list[str]:
        found = list(addresses)
        inner = [each for each in found if not is_public(each)]
        if inner:
            super().check(host, inner)
        return found


@lru_cache(1024)
def is_public(text: str) -> bool:
    """Whether an address is anybody's, and not of this machine or its networks."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.version == 6 and address not in _UNICAST:
        return False
    if any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast


def signature(secret: str, ident: str, timestamp: int, body: bytes) -> str:
    """Raises `WebhookError` for a secret that is none."""
    signed = f"{ident}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key_of(secret), signed, sha256).digest()).decode()


class Caller:
    """Calls one receiver after the other; connections to them are kept for a few seconds. `close` it."""

    def __init__(
        self, hosts: Iterable[str] = (), *, seconds: float = SECONDS, now: Callable[[], float] = time.time
    ) -> None:
        """`hosts`: names, addresses and networks that it may reach beside public ones."""
        self._allowed = PublicHosts(hosts)
        self._seconds = seconds
        self._now = now
        self._runner: asyncio.Runner | None = None
        self._timeout = httpx.Timeout(seconds).as_dict()
        self._transports: dict[str, PinnedTransport] = {}
        """One for a host: a connection whose certificate is for one name serves no other. Without a client
        around it: redirections aren't followed, there are neither cookies nor proxies, and what a client does
        for all that takes longer than the call itself."""

    def __call__(self, receiver: Receiver, bodies: Mapping[str, bytes]) -> Mapping[str, Mapping[str, Any]]:
        """One attempt with each body, some at once, by their ids. `error` says why it failed, empty if it
        didn't; raises what ends the job early.
        """
        try:
            if self._runner is None:
                self._runner = asyncio.Runner()
            return self._runner.run(self._calls(receiver, bodies))
        except BaseException:
            # By a signal, in the midst of anything: nothing of it is used again.
            self._runner, self._transports = None, {}
            raise

    def close(self) -> None:
        runner, self._runner = self._runner, None
        transports, self._transports = self._transports, {}
        if runner is not None:
            for one in transports.values():
                runner.run(one.aclose())
            runner.close()

    async def _calls(self, receiver: Receiver, bodies: Mapping[str, bytes]) -> dict[str, Mapping[str, Any]]:
        waiting = iter(bodies.items())
        told: dict[str, Mapping[str, Any]] = {}

        async def some() -> None:
            for ident, body in waiting:
                told[ident] = await self._timed(receiver, ident, body)

        await asyncio.gather(*(some() for _ in range(min(AT_ONCE, len(bodies)))))
        return told

    async def _timed(self, receiver: Receiver, ident: str, body: bytes) -> Mapping[str, Any]:
        began = time.monotonic()
        status, error, never = await self._call(receiver, ident, body)
        told: dict[str, Any] = {
            "status": status,
            "milliseconds": round(1000 * (time.monotonic() - began)),
            "error": error,
        }
        if never:
            told["never"] = True
        return told

    async def _call(self, receiver: Receiver, ident: str, body: bytes) -> tuple[int | None, str, bool]:
        if len(body) > MOST_BODY:
            return None, f"the body has {len(body)} bytes, more than {MOST_BODY}: name fewer fields", True
        at = round(self._now())
        try:
            headers = {
                "accept": "*/*",
                "content-type": "application/json",
                "user-agent": "KOMPASS",
                "idempotency-key": ident,
                "webhook-id": ident,
                "webhook-timestamp": str(at),
                "webhook-signature": signature(receiver.secret, ident, at, body),
            }
            request = httpx.Request(
                "POST", receiver.url, content=body, headers=headers, extensions={"timeout": self._timeout}
            )
            async with asyncio.timeout(self._seconds):
                transport = await self._transport(request.url.host)
                answer = await transport.handle_async_request(request)
                try:
                    read = 0
                    async for part in answer.aiter_raw():
                        read += len(part)
                        if read > MOST_ANSWER:
                            break
                finally:
                    await answer.aclose()
                status = answer.status_code
        except TimeoutError:
            return None, f"no answer within {self._seconds:g} seconds", False
        except HostForbidden:
            return None, "the receiver's address is not public, and not listed in webhook_hosts", False
        except WebhookError as error:
            return None, str(error), True
        except (PeerUnavailable, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return None, f"it can't be reached: {type(error).__name__}", False
        if 200 <= status < 300:
            return status, "", False
        if 300 <= status < 400:
            return status, f"it answers {status}: redirections are not followed", False
        return status, f"it answers {status}", status == _GONE

    async def _transport(self, host: str) -> PinnedTransport:
        transport = self._transports.get(host)
        if transport is None:
            inner = httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False)
            transport = self._transports[host] = PinnedTransport(self._allowed, inner)
            while len(self._transports) > MOST_HOSTS:
                await self._transports.pop(next(iter(self._transports))).aclose()
        return transport


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
