"""A repository keeps what it was given, notices every change, and shows nothing to whoever lacks the key."""

from __future__ import annotations

import errno
import io
import os
import shutil
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kompass.backup import sealing
from kompass.backup.errors import BackupError, DamagedError, InUseError, WrongKeyError
from kompass.backup.making import assembled, make
from kompass.backup.manifest import CHUNK, Manifest, Stored
from kompass.backup.repository import Repository
from kompass.backup.retention import Retention
from kompass.backup.target import DirectoryTarget
from tests.backup.world import SECRET, Files, Place


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 1024)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "repository")


def contents_of(repository: Repository, number: int) -> dict[str, bytes]:
    files = repository.manifest(number).files
    return {file.name: b"".join(assembled(repository, file)) for file in files}


def test_every_backup_gives_back_what_it_was_given(place: Place) -> None:
    given = []
    for _ in range(3):
        place.backup()
        given.append(dict(place.source.contents))
        place.source.change()
    for number, contents in enumerate(given, 1):
        assert contents_of(place.open(), number) == contents
    assert not place.verify().findings


def test_what_has_not_changed_costs_nothing(place: Place) -> None:
    first = place.backup()
    assert first.new_chunks == first.chunks - 1, "of the equal chunks one is stored"
    assert place.backup().new_chunks == 0
    place.source.change()
    assert place.backup().new_chunks == 1


def test_a_full_backup_mends_chunks_that_were_damaged(place: Place) -> None:
    place.backup()
    (chunk, *_) = place.directory.glob("chunks/*/*")
    chunk.write_bytes(b"rotten")
    place.backup()
    assert place.verify().findings
    place.backup(full=True)
    assert not place.verify().findings


def test_nothing_that_was_stored_can_be_read_or_recognised(place: Place) -> None:
    place.backup()
    text = b"".join(path.read_bytes() + path.name.encode() for path in place.objects())
    for word in (b"geheim", b"kompass.sqlite", b"jobs", b"server0"):
        assert word not in text
    assert all(
        path.stat().st_size % 1024 == sealing.OVERHEAD % 1024 - 5
        for path in place.objects()[:-1]
        if "chunks" in str(path)
    )
    other = Place(place.directory.parent / "other")
    other.backup()
    chunks = {path.name for path in place.objects() if len(path.name) == 64}
    assert not chunks & {path.name for path in other.objects()}, "names are the repository's own"


def test_another_key_is_refused_in_clear_words(place: Place) -> None:
    place.backup()
    with pytest.raises(WrongKeyError, match="the key doesn't open this repository"):
        Repository.open(place.target, b"somebody else's key")
    with pytest.raises(WrongKeyError):
        make(place.source, place.target, b"somebody else's key")
    with pytest.raises(BackupError, match="at least 12"):
        sealing.read_secret(b" short \n")


def test_there_is_nothing_to_open_where_nobody_backed_up(place: Place) -> None:
    with pytest.raises(BackupError, match="no repository of backups here"):
        place.open()


def test_every_flipped_bit_is_found(place: Place) -> None:
    place.source = Files(size=150_000)
    place.backup()
    place.source.change()
    place.backup()
    for path in place.objects():
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 2}:
            damaged = bytearray(whole)
            damaged[at] ^= 4
            path.write_bytes(damaged)
            if path.name == "config":
                with pytest.raises(BackupError):
                    place.open()
            else:
                assert place.verify().findings, path
        path.write_bytes(whole)
    assert not place.verify().findings


def _missing_chunk(place: Place) -> None:
    next(place.directory.glob("chunks/*/*")).unlink()


def _another_chunk(place: Place) -> None:
    one, two, *_ = place.directory.glob("chunks/*/*")
    shutil.copy(one, two)


def _truncated(place: Place) -> None:
    chunk = next(place.directory.glob("chunks/*/*"))
    chunk.write_bytes(chunk.read_bytes()[:-1])


def _swapped(place: Place) -> None:
    one, two, _ = sorted(place.directory.glob("manifests/*"))
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


def _replayed(place: Place) -> None:
    one, _, three = sorted(place.directory.glob("manifests/*"))
    shutil.copy(one, three)


def _replayed_as_newer(place: Place) -> None:
    one, *_ = sorted(place.directory.glob("manifests/*"))
    shutil.copy(one, place.directory / "manifests" / "00000004")


def _removed(place: Place) -> None:
    sorted(place.directory.glob("manifests/*"))[1].unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (_missing_chunk, "is missing: it is in"),
        (_another_chunk, "another object under this name: it is in"),
        (_truncated, "was changed"),
        (_swapped, "backup 1 can't be used"),
        (_replayed, "backup 3 can't be used"),
        (_replayed_as_newer, "backup 4 can't be used"),
        (_removed, "backup 2 is missing, and was to be kept"),
    ],
)
def test_what_somebody_did_to_a_repository_is_named(
    place: Place, damage: Callable[[Place], None], told: str
) -> None:
    for _ in range(3):
        place.backup()
        place.source.change()
    damage(place)
    findings = place.verify().findings
    assert any(told in one for one in findings), findings


def test_a_latest_backup_that_was_taken_away_is_missed_by_who_noted_it(place: Place) -> None:
    place.backup()
    place.source.change()
    latest = place.backup()
    noted = (latest.manifest.number, latest.hash)
    assert not place.verify(noted).findings
    (place.directory / "manifests" / "00000002").unlink()
    assert place.verify().findings == []
    assert "backup 2 was expected, and the latest is 1" in place.verify(noted).findings
    place.backup()
    assert "backup 2 isn't the one that was expected" in place.verify(noted).findings


def test_backups_of_two_servers_do_not_share_a_repository(place: Place) -> None:
    place.backup()
    place.source = Files(seed=1)
    with pytest.raises(BackupError, match="another server"):
        place.backup()


# -- what is kept ------------------------------------------------------------------------------------


def test_only_what_is_kept_stays_and_all_of_that(place: Place) -> None:
    for _ in range(5):
        place.backup(Retention(last=2))
        place.source.change()
    assert place.open().numbers() == [4, 5]
    assert not place.verify().findings
    chunks = {chunk for n in (4, 5) for file in place.open().manifest(n).files for chunk in file.chunks}
    assert {path.name for path in place.directory.glob("chunks/*/*")} == chunks


def test_the_latest_of_each_day_week_and_month() -> None:
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    backups = [
        (2 * day + half + 1, start + timedelta(days=day, hours=half)) for day in range(90) for half in (0, 1)
    ]
    kept = Retention(daily=3, weekly=2, monthly=3).kept(backups)
    times = sorted(at for number, at in backups if number in kept)
    assert [at.strftime("%m-%d %H") for at in times] == [
        "01-31 13", "02-28 13", "03-29 13", "03-30 13", "03-31 13",
    ]  # fmt: skip
    assert Retention().kept(backups) == {number for number, _ in backups}
    assert Retention(weekly=1).kept(backups) == {180}


def test_nothing_is_removed_beside_a_backup_that_can_not_be_read(place: Place) -> None:
    place.backup()
    place.source.change()
    place.backup()
    (place.directory / "manifests" / "00000001").write_bytes(b"rotten")
    before = set(place.directory.glob("chunks/*/*"))
    made = place.backup(Retention(last=1))
    assert made.warning is not None
    assert "nothing was removed" in made.warning
    assert before <= set(place.directory.glob("chunks/*/*"))
    assert 2 in place.open().numbers()


# -- what breaks off ---------------------------------------------------------------------------------


class _Failing(DirectoryTarget):
    """Fails at the n-th thing that it is asked to write."""

    def __init__(self, directory: Path, after: int, error: BaseException) -> None:
        super().__init__(directory)
        self.left = after
        self._error = error

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self._error

    def put(self, name: str, content: bytes) -> None:
        self._count()
        super().put(name, content)

    def flush(self) -> None:
        self._count()
        super().flush()

    def remove(self, name: str) -> None:
        self._count()
        super().remove(name)


class _Killed(BaseException):
    pass


@pytest.mark.slow
def test_a_backup_that_is_cut_off_anywhere_leaves_those_of_before_whole(place: Place) -> None:
    place.source = Files(size=200_000)
    place.backup()
    place.source.change()
    place.backup()
    finished = 0
    for after in range(12):
        place.source.change()
        target = _Failing(place.directory, after, _Killed())
        try:
            make(place.source, target, SECRET, retention=Retention(last=2))
            finished += 1
        except _Killed:
            pass
        assert not place.verify().findings
        assert len(place.open().numbers()) >= 2
    assert 0 < finished < 12
    place.backup(Retention(last=2))
    assert not place.verify().findings
    assert place.open().numbers()[-2:] == place.open().numbers(), "what was cut off is made up for"


def test_a_full_disk_is_said_and_harms_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.backup()
    place.source = Files(seed=0)
    place.source.contents["kompass.sqlite"] = os.urandom(300_000)

    def full(descriptor: int, mode: str) -> io.BytesIO:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdopen", full)
        with pytest.raises(BackupError, match=r"no room left in .*: what was backed up before is whole"):
            place.backup()
    assert not place.verify().findings
    assert place.open().numbers() == [1]
    assert list(place.directory.glob("drafts/*")) == []


def test_a_second_backup_at_once_is_refused(place: Place) -> None:
    place.backup()
    with place.target.locked(), pytest.raises(InUseError, match="another backup is at work"):
        place.backup()
    assert place.backup().manifest.number == 2


# -- hostile content ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_chunk_that_unpacks_to_more_than_a_chunk_is_refused(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.backup()
    keys = place.open()._keys
    (path, *_) = place.directory.glob("chunks/*/*")
    name = path.relative_to(place.directory).as_posix()
    bomb = zlib.compress(bytes(50_000_000))
    monkeypatch.setattr(sealing, "_packed", lambda _: bytes([1]) + len(bomb).to_bytes(4, "big") + bomb)
    sealed = keys.seal(name, b"")
    with pytest.raises(DamagedError, match="longer than anything of its kind"):
        keys.open(name, sealed, CHUNK)
    path.write_bytes(sealed)
    with pytest.raises(DamagedError):
        place.open().chunk(path.name)


@pytest.mark.parametrize(
    "name",
    [
        "../kompass.sqlite",
        "/etc/passwd",
        "a/../../b",
        "jobs/../x",
        "a\\b",
        "",
        ".",
        "..",
        "jobs/",
        "a/b/c",
        "LOCK\0",
        ".hidden",
    ],
)
def test_a_file_that_leads_out_of_the_directory_is_refused(name: str) -> None:
    manifest = _manifest([Stored(name, 0, "", [])])
    with pytest.raises(DamagedError, match="can't be a file of a data directory"):
        Manifest.from_json(manifest.to_json(), 1)


def test_a_manifest_with_impossible_contents_is_refused() -> None:
    chunk = "0" * 64
    for files in (
        [Stored("a", 10**15, "", [chunk])],
        [Stored("a", 0, "", [chunk] * 100_000)],
        [Stored("a", -1, "", [])],
        [Stored("a", 5, "", ["../../etc/passwd"])],
        [Stored("a", 0, "", []), Stored("A", 0, "", [])],
        [Stored(f"f{n}", 0, "", []) for n in range(10_001)],
    ):
        with pytest.raises(DamagedError):
            Manifest.from_json(_manifest(files).to_json(), 1)
    for text in (b"", b"[]", b"{}", b'{"number":1}', b"[" * 100_000):
        with pytest.raises(DamagedError):
            Manifest.from_json(text, 1)


def _manifest(files: list[Stored]) -> Manifest:
    return Manifest(1, datetime(2026, 1, 1, tzinfo=UTC), "s", 0.0, None, [], files)


@pytest.mark.parametrize(
    "config",
    [
        b"", b"{}", b"[]", b"null", b'{"kompass_backup": 1}', b"x" * 20_000,
        b'{"kompass_backup": 1, "repository": "%s", "key": "%s",'
        b' "kdf": {"name": "scrypt", "n": 1073741824, "r": 8, "p": 1, "salt": "%s"}}'
        % (b"0" * 32, b"0" * 120, b"0" * 32),
    ],
)  # fmt: skip
def test_a_config_that_can_not_be_is_refused(place: Place, config: bytes) -> None:
    place.directory.mkdir()
    (place.directory / "config").write_bytes(config)
    with pytest.raises(DamagedError):
        place.open()


def test_a_repository_without_its_config_is_not_taken_for_an_empty_one(place: Place) -> None:
    place.backup()
    (place.directory / "config").unlink()
    with pytest.raises(DamagedError, match="config is missing"):
        place.backup()
