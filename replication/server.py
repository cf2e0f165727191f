"""Running an application as a process: sockets, limits, signals.

`run` is for a command line, `serve` for a program that has an event loop already. Both take any ASGI
application; `python -m replication serve` and the product give them theirs.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import FrameType

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn import Server as UvicornServer

from replication.http.connections import GuardedProtocol, close_idle

if sys.platform != "win32":
    import resource

KEEP_ALIVE_SECONDS = 75
SHUTDOWN_SECONDS = 3
"""How long open requests may take to finish after a signal: feeds would wait for hours."""

_SWEEP_TICKS = 50
"""Ticks of a tenth of a second between two looks at idle connections."""

_BACKLOG = 2048

_FILES = 65_536
"""File handles that are asked for."""

Ready = Callable[[str], None]
"""Called with the server's URL as soon as it answers."""

Stopping = Callable[[], Awaitable[None]]
"""Awaited before anything is closed when the server ends."""


class CannotServeError(Exception):
    """The server can't start; the text says why and what to do, in one line."""


class _ExpectedAtTheEnd(logging.Filter):
    """Keeps out of the log that feeds are cancelled at shutdown: each would be an error with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        return not str(record.msg).startswith("Cancel %s running task(s)")


class _Server(UvicornServer):
    def __init__(self, config: Config, ready: Ready | None, url: str, stopping: Stopping | None) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready is not None:
            self._ready(self._url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        expected = _ExpectedAtTheEnd()
        logger = logging.getLogger("uvicorn.error")
        logger.addFilter(expected)
        try:
            if self._stopping is not None:
                await self._stopping()
            await super().shutdown(sockets)
            if self.server_state.tasks:
                await asyncio.wait(set(self.server_state.tasks), timeout=1)
        finally:
            logger.removeFilter(expected)

    async def on_tick(self, counter: int) -> bool:
        if counter % _SWEEP_TICKS == 0:
            close_idle(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn raises the signal again after a clean shutdown; here that is the end, with code 0.
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True


def allow_many_files() -> None:
    """Takes as many file handles as the system lets the process have: each connection is one."""
    if sys.platform == "win32":
        return
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to all addresses of `host`. Raises `CannotServeError`; port 0 takes a free one."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound = socket.socket(family, kind, protocol)
            sockets.append(bound)
            if sys.platform != "win32":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            taken = sockets[0].getsockname()[1] if port == 0 and len(sockets) > 1 else port
            bound.bind((address[0], taken, *address[2:]))
            bound.setblocking(False)
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise _cannot_listen(host, port, error) from error
    return sockets


def _cannot_listen(host: str, port: int, error: OSError) -> CannotServeError:
    hint = " Stop what uses it, or choose another port." if error.errno == errno.EADDRINUSE else ""
    return CannotServeError(f"Cannot listen on {host} port {port}: {error.strerror or error}.{hint}")


def url_of(bound: socket.socket, *, tls: bool = False) -> str:
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{shown}:{port}/"


async def serve(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 5984,
    *,
    sockets: list[socket.socket] | None = None,
    ready: Ready | None = None,
    stopping: Stopping | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    trusted_proxies: str | None = None,
    shutdown_seconds: int = SHUTDOWN_SECONDS,
) -> None:
    """Serves `app` until SIGINT or SIGTERM, then lets requests finish for `shutdown_seconds`.

    `trusted_proxies`: addresses, separated by commas, whose `X-Forwarded-…` headers are believed.
    Raises `CannotServeError` if the port is taken or the application doesn't start.
    """
    own = bind(host, port) if sockets is None else sockets
    config = Config(
        app,
        http=GuardedProtocol,
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=shutdown_seconds,
        backlog=_BACKLOG,
        ssl_certfile=certfile,
        ssl_keyfile=keyfile,
    )
    server = _Server(config, ready, url_of(own[0], tls=certfile is not None), stopping)
    try:
        await server.serve(sockets=own)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    except SystemExit:
        raise CannotServeError("The application did not start; the log tells why.") from None
    finally:
        for bound in own:
            bound.close()


def run(
    make_app: Callable[[], Awaitable[ASGIApp]],
    host: str = "127.0.0.1",
    port: int = 5984,
    *,
    ready: Ready | None = None,
    stopping: Stopping | None = None,
    certfile: str | None = None,
    keyfile: str | None = None,
    trusted_proxies: str | None = None,
    shutdown_seconds: int = SHUTDOWN_SECONDS,
) -> None:
    """`serve` in an event loop of its own. `make_app` is awaited in that loop, once the port is taken."""
    allow_many_files()
    sockets = bind(host, port)

    async def main() -> None:
        try:
            app = await make_app()
        except BaseException:
            for bound in sockets:
                bound.close()
            raise
        _keep_for_good()
        await serve(
            app,
            host,
            port,
            sockets=sockets,
            ready=ready,
            stopping=stopping,
            certfile=certfile,
            keyfile=keyfile,
            trusted_proxies=trusted_proxies,
            shutdown_seconds=shutdown_seconds,
        )

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main())


def _keep_for_good() -> None:
    """What there is when the server begins stays until it ends: the garbage collector needn't look at it.

    It would each time that a request makes many objects: a hundred thousand of ours take it a twentieth of a
    second, several times while a large body is decoded, and nobody is served meanwhile.
    """
    gc.collect()
    gc.freeze()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class OneLineFormatter(logging.Formatter):
    """Access lines stay lines, whatever a user's name or a path holds."""

    def format(self, record: logging.LogRecord) -> str:
        return "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode()
            for char in super().format(record)
        )


def set_up_logging(level: str) -> None:
    """Log to standard error; requests at level `info`."""
    form = "%(asctime)s %(levelname)s %(name)s %(message)s"
    logging.basicConfig(level=level.upper(), format=form)
    logging.getLogger("uvicorn").setLevel("WARNING")
    access = logging.StreamHandler()
    access.setFormatter(OneLineFormatter(form))
    logger = logging.getLogger("replication.access")
    logger.addHandler(access)
    logger.propagate = False
