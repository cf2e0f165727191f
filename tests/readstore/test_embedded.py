"""The embedded PostgreSQL: starts, stops with its owner, and keeps what was committed."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from kompass.readstore.embedded import Address, EmbeddedPostgres
from kompass.readstore.errors import ReadStoreError
from tests.needs import require

OWNER = """
import sys, time
from pathlib import Path
from kompass.readstore.embedded import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start().dsn, flush=True)
time.sleep(600)
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    require("postgres")
    made = Path(tempfile.mkdtemp(prefix="kompass-test-pg-"))
    made.chmod(0o711)
    yield made / "pg"
    shutil.rmtree(made, ignore_errors=True)


def servers(directory: Path) -> list[psutil.Process]:
    """PostgreSQL's processes and guards of a directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(directory) in command and process.pid != os.getpid() and "-c\nimport" not in command:
            found.append(process)
    return found


def wait_until_gone(directory: Path) -> None:
    stop_at = time.monotonic() + 20
    while servers(directory):
        assert time.monotonic() < stop_at, servers(directory)
        time.sleep(0.05)


def test_it_needs_a_password_and_listens_on_no_network(postgres: Address) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW shared_buffers").fetchone() == ("32MB",)
    wrong = postgres.dsn.replace(postgres.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_others_can_neither_list_its_files_nor_read_the_password(postgres: Address) -> None:
    directory = Path(postgres.host).parent
    for file in ("password.json", "data", "lock"):
        assert stat.S_IMODE((directory / file).stat().st_mode) & 0o077 == 0, file


@pytest.mark.slow
def test_data_outlives_a_stop_and_a_second_owner_is_refused(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    try:
        with psycopg.connect(server.start().dsn) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        with pytest.raises(ReadStoreError, match="in use"):
            EmbeddedPostgres(directory).start()
        server.stop()
        assert servers(directory) == []
        with psycopg.connect(server.start().dsn) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
    finally:
        server.stop()


@pytest.mark.crash
@pytest.mark.parametrize("victim", ["owner", "guard", "both", "postgres"])
def test_nothing_is_lost_and_nothing_left_over_after_kill_9(directory: Path, victim: str) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(directory)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    try:
        dsn = owner.stdout.readline().strip()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        found = servers(directory)
        guard = next(one for one in found if "guard.py" in " ".join(one.cmdline()))
        postgres = next(one for one in found if one.name() == "postgres" and one.ppid() == guard.pid)
        doomed = {
            "owner": [owner.pid],
            "guard": [guard.pid],
            "both": [owner.pid, guard.pid],
            "postgres": [postgres.pid],
        }[victim]
        for pid in doomed:
            os.kill(pid, signal.SIGKILL)
        if victim in ("owner", "both"):
            owner.wait()
            wait_until_gone(directory)
        else:
            owner.kill()
            owner.wait()
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    server = EmbeddedPostgres(directory)
    try:
        with psycopg.connect(server.start().dsn) as connection:
            assert connection.execute("SELECT n FROM kept").fetchall() == [(1,)]
    finally:
        server.stop()
    wait_until_gone(directory)


def test_a_directory_of_another_version_is_refused(directory: Path) -> None:
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(ReadStoreError, match=r"was made by PostgreSQL 9\.6"):
        EmbeddedPostgres(directory).start()
