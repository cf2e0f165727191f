"""`kompass worker` as a process: a worker, and beside it, if no other process does it already, the
dispatcher of the data directory's jobs.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import apsw
import structlog

from kompass.feed.walker import outline
from kompass.jobs.acting import Means
from kompass.jobs.calling import Caller
from kompass.jobs.desk import NOTE
from kompass.jobs.dispatching import Dispatcher
from kompass.jobs.mailing import sender
from kompass.jobs.queues import Queues, QueuesUnavailableError, connect
from kompass.jobs.service import Server
from kompass.jobs.store import JobStore, JobStoreError
from kompass.jobs.working import work
from kompass.kept import JOBS as JOBS_FILE
from kompass.settings import Settings
from kompass.sqlfile import shared_files
from replication.replicator.backoff import pause
from replication.store.sqlite import DirectoryInUseError
from replication.store.sqlite.lock import lock_directory

LOOK_SECONDS = 0.05
NOTE_SECONDS = 1.0


log = structlog.get_logger(__name__)


def run(settings: Settings, *, url: str, server: str, secret: str) -> bool:
    """Until it is told to stop; True then. `url`: of Redis. In the main thread."""
    name = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    stopped = threading.Event()
    dispatching = threading.Thread(
        target=_dispatch, args=(settings, url, name, stopped), name="dispatcher", daemon=True
    )
    dispatching.start()
    asked = Server(server, secret)
    mail = settings.mail_server
    calls = Caller(settings.webhook_hosts)
    send = sender(mail.get_secret_value(), settings.mail_from) if mail is not None else None
    means = Means(asked, send, calls)
    try:
        log.info("a worker is there", worker=name, server=server)
        return work(url, name, means)
    finally:
        stopped.set()
        dispatching.join(10)
        calls.close()
        asked.close()


def stop_this_process() -> None:
    """As a person would: what is being done is finished first."""
    os.kill(os.getpid(), signal.SIGTERM)


def _dispatch(settings: Settings, url: str, name: str, stopped: threading.Event) -> None:
    """Waits for the lead, and leads."""
    told = False
    while not stopped.is_set():
        try:
            with lead_of(settings) as still_led:
                told = False
                _lead(settings, url, name, stopped, still_led)
        except DirectoryInUseError:
            if not told:
                log.info("another process hands out the jobs", directory=str(settings.directory))
                told = True
            stopped.wait(1.0)
        except OSError as error:
            log.error("jobs can't be handed out", why=str(error))
            stopped.wait(5.0)
        except Exception as error:
            # The thread must not end: whoever looks at the process would think that all is well.
            log.error("handing out jobs has failed", why=outline(error))
            stopped.wait(5.0)


@contextmanager
def lead_of(settings: Settings) -> Iterator[Callable[[], bool]]:
    """By a lock on the directory, or in the PostgreSQL of the cluster. Tells whether it is still so.

    Raises `DirectoryInUseError` while another process leads, `OSError`.
    """
    if settings.journal_dsn is None:
        place = (settings.directory / JOBS_FILE).parent
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = lock_directory(place)
        try:
            yield lambda: True
        finally:
            lock.close()
        return
    from kompass.cluster.connections import Connections
    from kompass.cluster.leading import JOBS, Leadership

    leadership = Leadership(Connections(settings.journal_dsn.get_secret_value(), "kompass worker"), JOBS)
    if not leadership.take():
        if not leadership.is_connected:
            raise OSError("PostgreSQL can't be reached: its log and this one's tell why")
        leadership.give_up()
        raise DirectoryInUseError("Another worker of the cluster leads.")
    try:
        yield leadership.is_held
    finally:
        leadership.give_up()


def _lead(
    settings: Settings, url: str, name: str, stopped: threading.Event, still_led: Callable[[], bool]
) -> None:
    failures = 0
    said = ""
    while not stopped.is_set() and still_led():
        store = None
        try:
            store = JobStore(settings.directory, shared=shared_files(settings))
            dispatcher = Dispatcher(store, Queues(connect(url)))
            noted = 0.0
            while not stopped.is_set():
                more = dispatcher.turn()
                failures = 0
                if said:
                    log.info("jobs are handed out again")
                    said = ""
                if time.monotonic() - noted >= NOTE_SECONDS:
                    if not still_led():
                        return
                    noted = time.monotonic()
                    store.note(NOTE, {"worker": name, "state": "following"})
                if not more:
                    stopped.wait(LOOK_SECONDS)
        except (QueuesUnavailableError, JobStoreError, apsw.Error) as error:
            why = str(error)
            if why != said:
                log.warning("jobs can't be handed out", why=why)
                said = why
            if store is not None:
                with suppress(JobStoreError, apsw.Error):
                    store.note(NOTE, {"worker": name, "state": "unavailable", "why": why[:300]})
        except Exception as error:
            # A defect, perhaps of one job: the others must not wait for ever.
            log.error("handing out jobs has failed", why=outline(error))
        finally:
            if store is not None:
                store.close()
        stopped.wait(pause(failures, first=0.1, longest=5.0))
        failures += 1
