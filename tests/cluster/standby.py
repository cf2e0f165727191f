"""Two PostgreSQLs, of which the second follows the first and can take its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from kompass.guard import guarded
from kompass.readstore import embedded
from kompass.readstore.embedded import EmbeddedPostgres
from tests.needs import require
from tests.servers import free_port

NAME = "standby"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "hot_standby": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "jit": "off",
    "log_min_messages": "warning",
}


class Postgres:
    """One of the two."""

    def __init__(self, directory: Path, programs: Path, user: tuple[int, int]) -> None:
        self.data = directory / "data"
        self.port = free_port()
        self._directory = directory
        self._programs = programs
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, program: str, *arguments: str) -> None:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": self._user[0], "group": self._user[1], "extra_groups": []}
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd="/", env={"LC_ALL": "C"}, **as_user)

    def start(self, **settings: str) -> None:
        command = [*guarded(*self._user), str(self._programs / "postgres"), "-D", str(self.data)]
        all_settings = {**_SETTINGS, "unix_socket_directories": str(self._directory), **settings}
        for name, value in {**all_settings, "port": str(self.port)}.items():
            command += ["-c", f"{name}={value}"]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", env={"LC_ALL": "C"}
            )
        self.await_answer("SELECT 1")

    def dsn(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname={database}"

    def ask(self, statement: str) -> Any:
        with psycopg.connect(self.dsn(), autocommit=True, connect_timeout=5) as connection:
            row = connection.execute(statement.encode()).fetchone()
            return None if row is None else row[0]

    def do(self, statement: str) -> None:
        with psycopg.connect(self.dsn(), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def await_answer(self, statement: str) -> None:
        """Until it answers with something true."""
        deadline = time.monotonic() + 30
        while True:
            with suppress(psycopg.OperationalError):
                if self.ask(statement):
                    return
            assert time.monotonic() < deadline, (self._directory / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to all of it: nothing more is sent to anybody."""
        if self._process is None:
            return
        pid = embedded.postmaster(self._directory)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process = None


class Pair:
    def __init__(self, directory: Path) -> None:
        programs = embedded._programs()
        user = EmbeddedPostgres(directory)._user(programs)
        self.first, self.second = (Postgres(directory / name, programs, user) for name in ("a", "b"))
        for one in (self.first, self.second):
            one.data.parent.mkdir()
            if os.geteuid() == 0:
                os.chown(one.data.parent, *user)

    def start(self, *, synchronous: bool) -> None:
        first, second = self.first, self.second
        first.run("initdb", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-U", "postgres",
                  "-D", str(first.data))  # fmt: skip
        first.start(**({"synchronous_standby_names": NAME} if synchronous else {}))
        source = f"host=127.0.0.1 port={first.port} user=postgres application_name={NAME}"
        second.run(
            "pg_basebackup", "--checkpoint=fast", "--no-sync", "-R", "-d", source, "-D", str(second.data)
        )
        second.start()
        state = "sync" if synchronous else "async"
        first.await_answer(f"SELECT true FROM pg_stat_replication WHERE sync_state = '{state}'")

    def dsn(self, database: str) -> str:
        """As a process is told it."""
        return (
            f"host=127.0.0.1,127.0.0.1 port={self.first.port},{self.second.port} user=postgres"
            f" dbname={database} target_session_attrs=read-write"
        )

    def lag(self) -> None:
        """From now on the second one gets nothing any more."""
        self.second.do("ALTER SYSTEM SET primary_conninfo = ''")
        self.second.do("SELECT pg_reload_conf()")
        self.second.await_answer("SELECT count(*) = 0 FROM pg_stat_wal_receiver")

    def fail_over(self) -> None:
        """The first one dies, the second one takes its place."""
        self.first.kill()
        self.second.ask("SELECT pg_promote()")
        self.second.await_answer("SELECT NOT pg_is_in_recovery()")


@contextmanager
def pair(*, synchronous: bool) -> Iterator[Pair]:
    require("postgres")
    # Not below pytest's own directory: nobody but its user may enter, and as root PostgreSQL is another one.
    directory = Path(tempfile.mkdtemp(prefix="kompass-test-pg-"))
    directory.chmod(0o711)
    made = Pair(directory)
    try:
        made.start(synchronous=synchronous)
        yield made
    finally:
        made.first.kill()
        made.second.kill()
        shutil.rmtree(directory, ignore_errors=True)
