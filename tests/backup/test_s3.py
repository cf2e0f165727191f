"""Backups in an object store: what a network and a stranger's server can do to them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import pytest

from kompass.backup import s3, sealing
from kompass.backup.errors import BackupError, InUseError
from kompass.backup.making import make
from kompass.backup.repository import Repository
from kompass.backup.retention import Retention
from kompass.backup.s3 import Access, S3Target
from kompass.backup.verifying import verify
from tests.backup.company import KEY, Company, run, tables
from tests.backup.s3 import S3
from tests.backup.test_kill import ROUNDS
from tests.backup.world import SECRET, Files
from tests.needs import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 1024)


@pytest.fixture
def place(server: S3) -> str:
    return server.place()


def findings(target: S3Target) -> list[str]:
    return verify(Repository.open(target, SECRET)).findings


def test_backups_lie_below_the_prefix_and_old_ones_go(server: S3, place: str) -> None:
    source = Files(size=300_000)
    for number in range(1, 5):
        made = make(source, S3Target(place, server.access), SECRET, retention=Retention(last=2))
        assert made.manifest.number == number
        source.change()
        assert made.new_chunks == (made.chunks - 1 if number == 1 else 1)
    target = S3Target(place, server.access)
    assert Repository.open(target, SECRET).numbers() == [3, 4]
    assert findings(target) == []
    prefix = place.removeprefix(f"s3://{server.bucket}/")
    names = {name.removeprefix(f"{prefix}/") for name in server.objects(prefix)}
    chunks = {name for name in names if name.startswith("chunks/")}
    assert names - chunks == {"config", "manifests/00000003", "manifests/00000004"}
    assert len(chunks) == made.chunks, "one is in it twice, another one is backup 3's alone"


def test_what_is_large_goes_in_parts(server: S3) -> None:
    target = server.target()
    content = os.urandom(12_000_000)
    with target.locked():
        target.put("manifests/00000001", content)
        target.flush()
    assert target.get("manifests/00000001", 12_000_000) == content


# -- one writer --------------------------------------------------------------------------------------


def test_a_writer_that_died_keeps_others_out_for_its_lease(
    server: S3, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(Files(), S3Target(place, server.access), SECRET)
    dead = S3Target(place, server.access).locked()
    dead.__enter__()
    with pytest.raises(InUseError, match="was killed less than 5 minutes ago"):
        make(Files(), S3Target(place, server.access), SECRET)
    assert findings(S3Target(place, server.access)) == [], "reading needs no lock"
    monkeypatch.setattr(S3Target, "LEASE", timedelta(seconds=1))
    time.sleep(2.1)  # times have whole seconds
    assert make(Files(), S3Target(place, server.access), SECRET).manifest.number == 2
    dead.__exit__(None, None, None)


def test_a_writer_that_is_heard_of_keeps_its_lock(
    server: S3, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Target, "LEASE", timedelta(seconds=2))
    monkeypatch.setattr(S3Target, "RENEWED_EVERY", 0.2)
    with S3Target(place, server.access).locked():
        time.sleep(3)
        with pytest.raises(InUseError), S3Target(place, server.access).locked():
            pytest.fail("both have it")


def test_a_writer_that_lost_its_lock_adds_nothing(server: S3, place: str) -> None:
    make(Files(), S3Target(place, server.access), SECRET)
    late = S3Target(place, server.access)
    with late.locked():
        for lock in S3Target(place, server.access).names("locks"):
            other = S3Target(place, server.access)
            other.remove(lock)
            other.flush()
        late.put("manifests/00000002", b"too late")
        with pytest.raises(BackupError, match="another backup has begun"):
            late.flush()
    assert S3Target(place, server.access).names("manifests") == {"manifests/00000001"}


# -- what breaks off ---------------------------------------------------------------------------------


class Cutter:
    """Stands before a server, and is gone for good after so many bytes from the client."""

    def __init__(self, server: S3, after: int) -> None:
        self._behind = (server.host, server.port)
        self._left = after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                behind = socket.create_connection(self._behind)
                self._open += [client, behind]
                for source, sink, counted in ((client, behind, True), (behind, client, False)):
                    threading.Thread(target=self._pass, args=(source, sink, counted), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(8192):
                if counted:
                    with self._lock:
                        data = data[: max(0, self._left)]
                        self._left -= len(data)
                    if self._left <= 0:
                        sink.sendall(data)
                        self.close()
                        return
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def test_an_upload_that_is_cut_off_anywhere_harms_none_of_before(
    server: S3, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_RETRY_SECONDS", 0.2)
    monkeypatch.setattr(S3Target, "LEASE", timedelta(seconds=0))
    source = Files(size=400_000)
    make(source, S3Target(place, server.access), SECRET)
    random = Random(1)
    ends = []
    for _ in range(6):
        source.contents["kompass.sqlite"] = random.randbytes(400_000)
        cutter = Cutter(server, random.randrange(600_000))
        try:
            make(source, S3Target(place, replace(server.access, endpoint=cutter.url)), SECRET)
            ends.append("made")
        except BackupError as error:
            ends.append(str(error))
        cutter.close()
        assert findings(S3Target(place, server.access)) == []
    assert any("can't be used" in end for end in ends), ends
    last = make(source, S3Target(place, server.access), SECRET)
    assert last.manifest.number == ends.count("made") + 2
    assert findings(S3Target(place, server.access)) == []


@pytest.mark.crash
def test_killed_backups_harm_none_of_before(
    server: S3, place: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = Company(tmp_path_factory.mktemp("company"))
    company.fill()
    before = tables(company.data)
    environment = {
        "KOMPASS_BACKUP_REPOSITORY": place,
        "KOMPASS_BACKUP_KEY_FILE": str(company.place / "key"),
        "KOMPASS_BACKUP_S3_ENDPOINT": server.url,
        "KOMPASS_BACKUP_S3_REGION": str(server.access.region),
        "KOMPASS_BACKUP_S3_ACCESS_KEY": str(server.access.access_key),
        "KOMPASS_BACKUP_S3_SECRET_KEY_FILE": str(company.place / "secret-key"),
    }
    (company.place / "secret-key").write_text(f"{server.access.secret_key}\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    first = run("backup", "--data", company.data)
    assert first.exit_code == 0, (first.output, first.exception)
    monkeypatch.setattr(S3Target, "LEASE", timedelta(seconds=0))
    random = Random(os.environ.get("KOMPASS_TEST_SEED", "1"))
    words = [sys.executable, "-m", "kompass", "backup", "--data", str(company.data)]
    for round_ in range(ROUNDS):
        (company.data / f"big{round_}.sqlite").write_bytes((company.data / "kompass.sqlite").read_bytes())
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        target = S3Target(place, server.access)
        while not target.names("locks") and process.poll() is None:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.wait()
        repository = Repository.open(target, KEY.encode())
        assert not verify(repository).findings
        assert 1 in repository.numbers()
        with target.locked():  # as the next one does after the lease
            pass
    told = run("backup", "--data", company.data, "--keep-last", "1")
    assert told.exit_code == 0, (told.output, told.exception)
    assert run("verify-backup").exit_code == 0
    restored = company.place / "restored"
    assert run("restore", "--data", restored).exit_code == 0
    found = tables(restored)
    assert found["kompass.sqlite", "docs"] == before["kompass.sqlite", "docs"]


# -- what is said ------------------------------------------------------------------------------------


@contextmanager
def answering(status: int, code: str) -> Iterator[str]:
    """A server that refuses everything, as Amazon's documentation says."""

    class Handler(BaseHTTPRequestHandler):
        def _refuse(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            body = (
                f"<Error><Code>{code}</Code><Message>its-secret</Message></Error>".encode() if code else b""
            )
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_DELETE = _refuse  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    refusing = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=refusing.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{refusing.server_port}"
    finally:
        refusing.shutdown()
        refusing.server_close()


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "InvalidAccessKeyId", "backup_s3_access_key and backup_s3_secret_key"),
        (403, "SignatureDoesNotMatch", "backup_s3_access_key and backup_s3_secret_key"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
        (403, "AccessDenied", "needs s3:ListBucket"),
        (403, "", "needs s3:ListBucket"),
        (400, "AuthorizationHeaderMalformed", "look at backup_s3_region"),
        (404, "NoSuchBucket", "there is no bucket bucket"),
        (400, "QuotaExceeded", "what was backed up before is whole"),
        (400, "SomethingElse", "can't be used: SomethingElse"),
    ],
)
def test_what_a_server_refuses_is_said_in_clear_words(status: int, code: str, said: str) -> None:
    with answering(status, code) as url:
        target = S3Target("s3://bucket/place", Access(url, "eu-central-1", "name-of-a-key", "its-secret"))
        attempts: list[Callable[[], object]] = [
            lambda: target.locked().__enter__(),
            lambda: target.names("chunks"),
            lambda: target.get("config", 1000),
        ]
        for attempt in attempts:
            with pytest.raises(BackupError) as caught:
                attempt()
            assert said in str(caught.value)
            assert "its-secret" not in str(caught.value)
            assert caught.value.__cause__ is None


def test_a_bucket_or_a_server_that_is_not_there_is_said(server: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_RETRY_SECONDS", 0.1)
    with pytest.raises(BackupError, match="there is no bucket nobody-made-it"):
        Repository.open(S3Target("s3://nobody-made-it/x", server.access), SECRET)
    nowhere = Access("http://127.0.0.1:1", "eu-central-1", "k", "its-secret")
    with pytest.raises(BackupError, match="can't be used") as caught:
        S3Target("s3://bucket/x", nowhere).names("chunks")
    assert "its-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "place", ["s3://", "s3://B/x", "s3://b", "s3://bucket/../x/..", "s3://bucket/ x", "s3:/x"]
)
def test_what_can_not_be_a_place_is_refused(place: str) -> None:
    with pytest.raises(BackupError, match="s3://BUCKET/PREFIX"):
        S3Target(place, Access("http://127.0.0.1:1", "r", "k", "s"))
