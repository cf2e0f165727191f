"""Which hosts a replication may reach.

A server that replicates for somebody connects from where it stands: into networks that this somebody
can't reach himself. So what it may reach is listed, and the list is applied to addresses, after the
name was resolved, and the connection then goes to that very address: a name that resolves to something
else a moment later gains nothing.

An entry is a host name, an address, a network (`10.1.0.0/16`) or `*`. A listed name may resolve to
anything but link-local and other special addresses; those must be listed as addresses.

Through a proxy the list is applied to what the URL says, for it is the proxy that resolves the name: the host
has to be listed by its name, or be an address of a listed network that is special to nobody. The proxy has
to be listed, too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress

import httpx

from replication.replicator.failures import HostForbidden, PeerUnavailable, quoted
from replication.replicator.proxies import Proxy, read_proxy

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")


class AllowedHosts:
    """A list of hosts, ready to be asked."""

    def __init__(self, entries: Iterable[str] = LOOPBACK, proxies: Iterable[str] = ()) -> None:
        """`proxies` are URLs; `*` among the entries allows all of them, too.

        Raises `ValueError` for an entry with a scheme, a port or a path, and for a proxy with credentials.
        """
        self._proxies: set[str] = set()
        for url in proxies:
            proxy = read_proxy(url)
            if proxy.credentials is not None:
                raise ValueError("a proxy is listed without credentials: those belong into the replication")
            self._proxies.add(proxy.url)
        self._any = False
        self._names: set[str] = set()
        self._networks: list[_Network] = []
        for entry in entries:
            text = entry.strip().lower().rstrip(".")
            if text == "*":
                self._any = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(text.strip("[]"), strict=False))
            except ValueError:
                if not text or any(char in text for char in "/:@ "):
                    raise ValueError(f"{entry!r} is no host name, address or network") from None
                self._names.add(text)

    def check(self, host: str, addresses: Iterable[str]) -> list[str]:
        """The addresses of `host`, all of them allowed. Raises `HostForbidden` if one isn't.

        One bad address among good ones is enough: whoever made the name do that means no good.
        """
        found = list(addresses)
        if self._any:
            return found
        named = host.lower().rstrip(".") in self._names
        for text in found:
            address = _plain(ipaddress.ip_address(text.partition("%")[0]))
            if any(address in network for network in self._networks):
                continue
            if named and not _is_special(address):
                continue
            raise HostForbidden(
                f"this server may not connect to {quoted(host)}: an administrator has to list the host first"
            )
        return found

    def check_proxied(self, host: str, proxy: Proxy) -> None:
        """Raises `HostForbidden` unless `host` may be asked for through `proxy`."""
        if self._any:
            return
        if proxy.url not in self._proxies:
            raise HostForbidden(
                f"this server may not use the proxy {quoted(proxy.url)}: an administrator has to list it"
            )
        if host.lower().rstrip(".") in self._names:
            return
        try:
            address = _plain(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
        except ValueError:
            allowed = False
        else:
            allowed = not _is_special(address) and any(address in network for network in self._networks)
        if not allowed:
            raise HostForbidden(
                f"this server may not reach {quoted(host)} through a proxy: an administrator has to list the"
                " host first, by this name"
            )


ANYWHERE = AllowedHosts(["*"])
"""For somebody who could make the connection himself: the command line, a program."""


def _plain(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one wraps."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_special(address: _Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address.is_loopback
    )


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the order to try them. Raises `PeerUnavailable`."""
    with suppress(ValueError):
        if "%" not in host:  # which names an interface
            return [str(ipaddress.ip_address(host))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PeerUnavailable(f"the host {quoted(host)} is not known: {error}") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class PinnedTransport(httpx.AsyncBaseTransport):
    """Connects to the addresses that were checked and to nothing else.

    The request keeps its `Host`, and TLS still checks the certificate against the name.
    """

    def __init__(self, allowed: AllowedHosts, inner: httpx.AsyncBaseTransport) -> None:
        self._allowed = allowed
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = self._allowed.check(host, await resolve(host, port))
        extensions = {**request.extensions, "sni_hostname": host}
        failure: httpx.ConnectError | httpx.ConnectTimeout | None = None
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error  # nothing was sent: the next address may answer
        raise failure or httpx.ConnectError(f"{host} has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Asks a proxy for allowed hosts."""

    def __init__(self, allowed: AllowedHosts, proxy: Proxy, inner: httpx.AsyncBaseTransport) -> None:
        """`inner` connects to the proxy."""
        self._allowed = allowed
        self._proxy = proxy
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._allowed.check_proxied(request.url.host, self._proxy)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
