"""Connections to the PostgreSQL of a cluster, from any thread."""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Composable

from replication.protocol import errors
from replication.protocol.errors import ProtocolError

TURN_SECONDS = 15
"""How long a commit waits for its turn."""
HELD_SECONDS = 60
"""After that PostgreSQL takes the turn away from a process that does nothing with it."""
CONNECT_SECONDS = 5
STUCK_SECONDS = 15
"""After that a server that doesn't acknowledge what was sent, or a probe, counts as gone."""
ANSWER_SECONDS = 30
"""After that a server that is there and says nothing counts as gone, too: one that hangs, or waits for a
standby that doesn't come. Longer than it takes to say that a turn doesn't come.
"""
_MOST_IDLE = 4
_BOUNDS_TRANSACTIONS = 17_00_00
"""The version of PostgreSQL from which it does."""

_LOST = (TransactionStatus.ACTIVE, TransactionStatus.UNKNOWN)
"""Of a connection whose server hasn't answered, or has ended it."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Impatient(psycopg.Connection[Any]):
    """Gives up a server that doesn't answer. Whether it has done what it was asked to do, nobody knows."""

    patience: float | None = None
    """Seconds that an answer may take, if not the usual ones."""

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        if timeout is None:
            timeout = self.patience or ANSWER_SECONDS
        return super().wait(gen, interval, timeout)


class Connections:
    """Opened when one is needed, kept for the next who needs one."""

    def __init__(self, dsn: str, name: str = "kompass") -> None:
        """`name`: as what PostgreSQL lists them."""
        self._dsn = dsn
        self._name = name
        self.held_seconds = HELD_SECONDS
        """Of connections that are opened from now on; 0: the turn is never taken away."""
        self._idle: deque[Impatient] = deque()
        self._closed = False

    def open(self) -> Impatient:
        """A new one, the caller's, which commits each statement. Raises `psycopg.Error`."""
        options = {
            "timezone": "UTC",
            "client_min_messages": "error",
            "search_path": "kompass_cluster",
            "lock_timeout": f"{TURN_SECONDS}s",
            "idle_in_transaction_session_timeout": f"{self.held_seconds}s",
            # Of a machine that is gone it notices within a quarter of a minute, and frees its locks.
            "tcp_keepalives_idle": "5",
            "tcp_keepalives_interval": "3",
            "tcp_keepalives_count": "3",
            # A commit is durable when it is answered, whatever the server's default is.
            "synchronous_commit": "on",
        }
        return Impatient.connect(
            self._dsn,
            autocommit=True,
            options=" ".join(f"-c {name}={value}" for name, value in options.items()),
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=STUCK_SECONDS * 1000,
            # Who waits for an answer has sent everything: it is asked whether the machine is still there.
            keepalives_idle=5,
            keepalives_interval=3,
            keepalives_count=3,
            application_name=self._name,
        )

    @contextmanager
    def use(self, patience: float | None = None) -> Iterator[Impatient]:
        """One that is nobody else's meanwhile. In the block `psycopg.Error` becomes a `ProtocolError`, 503.

        `patience`: seconds that a statement may take, if not the usual ones. A connection that is left in a
        transaction or broken is closed.
        """
        try:
            connection = self._taken() or self.open()
        except psycopg.Error as error:
            raise unreachable(error) from error
        connection.patience = patience
        kept = False
        try:
            yield connection
            kept = True
        except psycopg.Error as error:
            raise unreachable(error) from error
        finally:
            status = connection.info.transaction_status
            if kept and not self._closed and status == TransactionStatus.IDLE:
                self._give_back(connection)
            else:
                with suppress(psycopg.Error):
                    connection.close()
            if status in _LOST:
                # The server is gone or hangs: nobody else shall wait to find the same.
                self._close_idle()

    def beginning(self, connection: psycopg.Connection[Any]) -> Composable:
        """The statements with which a transaction begins that PostgreSQL takes away from who hangs in it.

        Who hangs between two statements is noticed by any version. In the middle of a pipeline PostgreSQL
        doesn't look how long a transaction is left alone, so those that can bound all of it.
        """
        if connection.info.server_version < _BOUNDS_TRANSACTIONS:
            return SQL("BEGIN; ")
        return SQL("BEGIN; SET LOCAL transaction_timeout = {}; ").format(f"{2 * self.held_seconds}s")

    def _taken(self) -> Impatient | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not connection.closed and not _has_been_told(connection):
                    return connection
                connection.close()
        return None

    def _give_back(self, connection: Impatient) -> None:
        if len(self._idle) < _MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Those in use are closed after their use."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


def _has_been_told(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said something since nobody uses it: as a rule that this was its end."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def unreachable(error: Exception) -> ProtocolError:
    """What a client is told. The server's own words, which may have addresses in them, go to the log."""
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return errors.unavailable("Too many writes are waiting: nothing was written. Try again.")
    log.warning("PostgreSQL failed", error=str(error).strip(), state=getattr(error, "sqlstate", None))
    return errors.unavailable("The journal of writes can't be reached at the moment. Try again.")
