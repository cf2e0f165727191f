"""HTTP proxies that stand between a replication and a peer.

A URL with `https` goes through a tunnel (`CONNECT`) in which the peer's certificate is checked as ever; with
`http` the proxy sees everything, credentials included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    url: str
    """Scheme, host and port, without credentials: what may be shown and is compared."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """Name and password for the proxy itself."""


def read_proxy(text: str) -> Proxy:
    """A proxy from its URL. Raises `ValueError` saying what is wrong with it, without quoting it."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the URL of a proxy is not a URL") from None
    if parts.scheme not in _PORTS:
        raise ValueError("the URL of a proxy must begin with http:// or https://")
    if not host or not text.isprintable() or not text.isascii() or " " in text or "\\" in text:
        raise ValueError("the URL of a proxy must name a host, and have no blanks in it")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("the URL of a proxy must have nothing behind the host and its port")
    bracketed = f"[{host}]" if ":" in host else host
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    number = _PORTS[parts.scheme] if port is None else port
    return Proxy(f"{parts.scheme}://{bracketed.rstrip('.')}:{number}", credentials)
