"""What every place for backups promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from kompass.backup.errors import DamagedError, InUseError
from kompass.backup.target import DirectoryTarget, Target
from tests.backup.s3 import S3


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.slow)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "s3":
        server: S3 = request.getfixturevalue("server")
        return server.target()
    return DirectoryTarget(tmp_path / "repository")


def test_what_was_put_and_flushed_is_there_for_everybody(target: Target) -> None:
    with target.locked():
        target.put("chunks/ab/abcd", b"one")
        target.put("config", b"two")
        target.flush()
    assert target.get("chunks/ab/abcd", 3) == b"one"
    assert target.exists("config")
    assert target.names("chunks") == {"chunks/ab/abcd"}
    assert target.names("manifests") == set()


def test_what_was_not_flushed_is_not_there_whatever_becomes_of_the_writer(target: Target) -> None:
    with target.locked():
        target.put("chunks/ab/abcd", b"one")
        assert not target.exists("chunks/ab/abcd")
    with target.locked():
        target.flush()
    assert target.names("chunks") == set()


def test_an_object_is_replaced_whole(target: Target) -> None:
    with target.locked():
        for content in (b"first", b"second, longer"):
            target.put("config", content)
            target.flush()
    assert target.get("config", 100) == b"second, longer"


@pytest.mark.slow
def test_thousands_are_put_at_once(target: Target) -> None:
    with target.locked():
        for number in range(700):
            target.put(f"chunks/{number % 7}/{number}", b"%d" % number)
        target.flush()
    assert len(target.names("chunks")) == 700
    assert target.get("chunks/0/693", 10) == b"693"


def test_what_is_missing_or_too_long_is_damage(target: Target) -> None:
    with target.locked():
        target.put("config", b"0123456789")
        target.flush()
    with pytest.raises(DamagedError, match="config is longer"):
        target.get("config", 9)
    with pytest.raises(DamagedError, match="nothing is missing"):
        target.get("nothing", 9)
    target.remove("config")
    target.remove("config")
    assert not target.exists("config")


@pytest.mark.parametrize("name", ["", "../config", "/etc/passwd", "a//b", "A", "a/../b", "a/b/c/d/e", "a\n"])
def test_a_name_that_leads_elsewhere_is_refused(target: Target, name: str) -> None:
    with target.locked():
        with pytest.raises(DamagedError, match="can't be the name of an object"):
            target.get(name, 1)
        with pytest.raises(DamagedError, match="can't be the name of an object"):
            target.put(name, b"")
        with pytest.raises(DamagedError, match="can't be the name of an object"):
            target.remove(name)


def test_a_second_writer_is_refused_while_there_is_one(target: Target) -> None:
    with target.locked(), pytest.raises(InUseError, match="another backup is at work"), target.locked():
        raise AssertionError
    with target.locked():
        pass
