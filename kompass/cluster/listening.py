"""Hearing of new entries as they come: one connection that listens, for all databases of a process."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import psycopg
import structlog

from kompass.cluster.connections import Connections

RETRY_SECONDS = 1.0
END_SECONDS = 5.0
"""How long its end is waited for."""
LOOK_SECONDS = 5.0
"""All are told to look after this time, though nothing was heard: a connection may be dead without a word."""

log = structlog.get_logger(__name__)


class Listener:
    """A thread, from `start` to `close`."""

    CHANNEL: ClassVar[str] = "kompass_entries"
    DATABASES: ClassVar[str] = "databases"
    """What is sent when databases come or go."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._heard: dict[str, list[Callable[[], None]]] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._ended, self._ending = socket.socketpair()
        """The first one can be read from when it shall end."""
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        with suppress(OSError):
            self._ending.send(b"x")
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self._ended.close()
        self._ending.close()

    def listen(self, what: int | str, heard: Callable[[], None]) -> Callable[[], None]:
        """`heard` is called when a database, by its number, has a new entry; see `Journal.listen`."""
        with self._lock:
            self._heard.setdefault(str(what), []).append(heard)

        def end() -> None:
            with self._lock:
                self._heard[str(what)].remove(heard)

        return end

    def _tell(self, what: str | None) -> None:
        with self._lock:
            if what is None:
                heard = [one for some in self._heard.values() for one in some]
            else:
                heard = list(self._heard.get(what, ()))
        for one in heard:
            one()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                with self._connections.open() as connection:
                    connection.execute(f"LISTEN {self.CHANNEL}")
                    self._tell(None)
                    self._listen(connection)
            except psycopg.Error as error:
                log.warning("listening to PostgreSQL failed", error=str(error).strip())
                self._end.wait(RETRY_SECONDS)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            while not self._end.is_set():
                if selector.select(LOOK_SECONDS):
                    for what in {one.payload for one in connection.notifies(timeout=0)}:
                        self._tell(what)
                else:
                    connection.execute("SELECT 1")
                    self._tell(None)
